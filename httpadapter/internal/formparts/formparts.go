// Package formparts takes a multipart body apart, for clients that are not trusted.
//
// The package mime/multipart holds the headers of a part in memory, up to 10 MiB of
// them, and takes the end of a body within such headers for its end. Here they are
// at most [MaxHeader] bytes, and a body without its last boundary is cut off.
package formparts

import (
	"errors"
	"io"
	"mime/multipart"
)

// MaxHeader limits what is read for the headers of one part, in bytes; some 4 KiB
// more may have been read with the part before.
const MaxHeader = 16 << 10

// ErrHeaders says that the headers of a part are longer than MaxHeader.
var ErrHeaders = errors.New("formparts: the headers of a part are too large")

// Reader reads the parts of a body one after the other. One goroutine uses it at a
// time.
type Reader struct {
	guard headerGuard
	parts *multipart.Reader
	last  *multipart.Part
}

// NewReader returns a reader of the parts in source, which stand between
// boundaries.
func NewReader(source io.Reader, boundary string) *Reader {
	r := &Reader{guard: headerGuard{source: &unfinished{source: source}}}
	r.parts = multipart.NewReader(&r.guard, boundary)
	return r
}

// Next returns the next part, as it was sent: a Content-Transfer-Encoding means
// nothing. What is left of the part before is passed over. At the last boundary the
// error is io.EOF; what follows that is not read. Otherwise it is [ErrHeaders], or
// io.ErrUnexpectedEOF where the body is cut off, which the content of the last part
// may say instead, or another of source or of
// mime/multipart, and no more parts can be read.
func (r *Reader) Next() (*multipart.Part, error) {
	// First, so that all that is read with the guard are the headers of the next.
	if r.last != nil {
		if _, err := io.Copy(io.Discard, r.last); err != nil {
			return nil, err
		}
	}
	r.guard.begin()
	part, err := r.parts.NextRawPart()
	if r.guard.end() || errors.Is(err, multipart.ErrMessageTooLarge) {
		return nil, ErrHeaders // for the parser a line may just have ended there
	}
	r.last = part
	return part, err
}

// headerGuard limits what is read from source between begin and end.
type headerGuard struct {
	source io.Reader
	active bool
	left   int

	exceeded bool
}

func (g *headerGuard) begin() { g.active, g.left = true, MaxHeader }

// end reports whether more was asked for than is allowed.
func (g *headerGuard) end() (exceeded bool) {
	g.active = false
	return g.exceeded
}

// Read implements io.Reader.
func (g *headerGuard) Read(b []byte) (int, error) {
	if !g.active {
		return g.source.Read(b)
	}
	if g.left == 0 {
		g.exceeded = true
		return 0, ErrHeaders
	}
	n, err := g.source.Read(b[:min(len(b), g.left)])
	g.left -= n
	return n, err
}
