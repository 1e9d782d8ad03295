package imageheader

import (
	"bufio"
	"io"
)

// source buffers the stream and keeps apart what the decoders blur: a stream
// that failed, one that ended too early, and one that holds nonsense.
type source struct {
	buf *bufio.Reader
	// failed is the first error of the stream that is not its end.
	failed error
	// ended says that a decoder asked for bytes beyond the end. Reading ahead
	// into the buffer does not set it.
	ended bool
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

// watched notes the errors of the stream itself: bufio reports one only to
// those who read up to it.
type watched struct {
	r   io.Reader
	src *source
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF && w.src.failed == nil {
		w.src.failed = err // io.ErrUnexpectedEOF too: it is the stream's, not a decoder's
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
