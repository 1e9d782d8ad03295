package imageheader

import (
	"bufio"
	"bytes"
	"io"
)

// maxSteps bounds the parts of a header.
const maxSteps = 1 << 16

// source buffers the stream, counts the parts of the header that it is read
// for, and keeps apart a stream that failed, one that ended too early, and one
// that holds nonsense.
type source struct {
	buf *bufio.Reader
	// failed is the first error of the stream that is not its end.
	failed error
	// ended says that bytes beyond the end were asked for. Reading ahead into
	// the buffer does not set it.
	ended bool
	steps int
}

var (
	_ io.Reader     = (*source)(nil)
	_ io.ByteReader = (*source)(nil)
)

func newSource(r io.Reader) *source {
	s := &source{}
	s.buf = bufio.NewReader(&watched{r: r, src: s})
	return s
}

// watched notes the errors of the stream itself: bufio reports one only to a
// caller that reads up to it.
type watched struct {
	r   io.Reader
	src *source
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF && w.src.failed == nil {
		w.src.failed = err // io.ErrUnexpectedEOF too: it is the stream's own
	}
	return n, err
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.buf.Read(p)
	s.note(err)
	return n, err
}

func (s *source) ReadByte() (byte, error) {
	b, err := s.buf.ReadByte()
	s.note(err)
	return b, err
}

// fill fills p, which must be shorter than the buffer. Unlike with io.ReadFull,
// p can stay on the stack.
func (s *source) fill(p []byte) error {
	head, err := s.buf.Peek(len(p))
	s.note(err)
	if err != nil {
		return err
	}
	copy(p, head)
	_, _ = s.buf.Discard(len(p)) // it is buffered
	return nil
}

// peek returns the next n bytes without consuming them, fewer only at the end
// of the stream. They are valid until the next read.
func (s *source) peek(n int) []byte {
	head, err := s.buf.Peek(n)
	s.noteFailure(err)
	return head
}

// discard consumes n bytes.
func (s *source) discard(n int64) error {
	const step = 1 << 30 // bufio counts in int
	for n > 0 {
		done, err := s.buf.Discard(int(min(n, step)))
		s.note(err)
		if err != nil {
			return err
		}
		n -= int64(done)
	}
	return nil
}

// skipPast consumes everything up to and including the next byte b.
func (s *source) skipPast(b byte) error {
	return s.skipBuffered(func(chunk []byte) (n int, found bool) {
		i := bytes.IndexByte(chunk, b)
		return i + 1, i >= 0
	})
}

// skipRun consumes the bytes b that come next, if any, up to another one.
func (s *source) skipRun(b byte) error {
	return s.skipBuffered(func(chunk []byte) (n int, found bool) {
		for n < len(chunk) && chunk[n] == b {
			n++
		}
		return n, n < len(chunk)
	})
}

// skipBuffered consumes what is buffered, as it arrives, until end finds the
// end of it: after n bytes of the chunk.
func (s *source) skipBuffered(end func(chunk []byte) (n int, found bool)) error {
	for {
		if _, err := s.buf.Peek(1); err != nil {
			s.note(err)
			return err
		}
		chunk, _ := s.buf.Peek(s.buf.Buffered())
		n, found := end(chunk)
		if !found {
			n = len(chunk)
		}
		_, _ = s.buf.Discard(n) // it is buffered
		if found {
			return nil
		}
	}
}

// step counts a part of the header, before the part is read: a chunk, a
// segment, a block or a box. It fails when there are too many.
func (s *source) step() error {
	if s.steps == maxSteps {
		return errTooMany
	}
	s.steps++
	return nil
}

func (s *source) note(err error) {
	if isEnd(err) {
		s.ended = true
	}
	s.noteFailure(err)
}

func (s *source) noteFailure(err error) {
	if err != nil && !isEnd(err) && s.failed == nil {
		s.failed = err
	}
}

func isEnd(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }
