package client

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"mime/multipart"
	"net/textproto"
	"sync"
)

// Upload is the bytes of an image, which are read while they are sent.
type Upload struct {
	r     io.Reader
	start int64 // where r stood; -1 if it can't go back
	size  int64 // -1 if it is not known
	spent bool
}

// NewUpload returns an upload of what r still has. If r is an io.Seeker the request
// can be sent again. Nothing is read once the call that it was passed to has
// returned; the caller closes r then. It must not be part of two calls at once.
func NewUpload(r io.Reader) *Upload {
	u := &Upload{r: r, start: -1, size: -1}
	s, ok := r.(io.Seeker)
	if !ok {
		return u
	}
	here, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return u // a pipe, say
	}
	end, err := s.Seek(0, io.SeekEnd)
	if err != nil {
		return u
	}
	if _, err = s.Seek(here, io.SeekStart); err != nil {
		u.spent = true
		return u
	}
	u.start, u.size = here, end-here
	return u
}

// errBodySpent says that a request can't be sent again.
var errBodySpent = errors.New("client: an upload was read before, and its reader can't go back")

// rewind makes the upload ready to be read.
func (u *Upload) rewind() error {
	if u.start >= 0 {
		_, err := u.r.(io.Seeker).Seek(u.start, io.SeekStart)
		return err
	}
	if u.spent {
		return errBodySpent
	}
	u.spent = true
	return nil
}

// textBody is a body in memory.
type textBody []byte

func (b textBody) open() (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
}

func (b textBody) close() {}

// formBody is a multipart body: JSON, and uploads.
type formBody struct {
	json     []byte
	uploads  []*Upload
	boundary string
	sent     *sentBody // of the last open
}

func newFormBody(json []byte, uploads []*Upload) *formBody {
	return &formBody{json: json, uploads: uploads, boundary: rand.Text()}
}

func (b *formBody) contentType() string { return "multipart/form-data; boundary=" + b.boundary }

// open strings the parts together: what stands between the uploads is small, and
// made beforehand, so that they are read when they are sent.
func (b *formBody) open() (io.ReadCloser, int64, error) {
	var text bytes.Buffer
	w := multipart.NewWriter(&text)
	if err := w.SetBoundary(b.boundary); err != nil {
		return nil, 0, err
	}
	length, known := int64(0), true
	var pieces []io.Reader
	between := func() {
		piece := bytes.Clone(text.Bytes())
		text.Reset()
		length += int64(len(piece))
		pieces = append(pieces, bytes.NewReader(piece))
	}
	// A buffer takes everything.
	part, _ := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="data"`}, "Content-Type": {"application/json"}})
	_, _ = part.Write(b.json)
	for i, u := range b.uploads {
		if err := u.rewind(); err != nil {
			return nil, 0, err
		}
		_, _ = w.CreateFormFile(fileKey(i), fileKey(i))
		between()
		if u.size < 0 {
			known = false
			pieces = append(pieces, u.r)
			continue
		}
		length += u.size
		pieces = append(pieces, io.LimitReader(u.r, u.size))
	}
	_ = w.Close()
	between()
	if !known {
		length = -1
	}
	b.sent = &sentBody{r: io.MultiReader(pieces...)}
	return b.sent, length, nil
}

func (b *formBody) close() {
	if b.sent != nil {
		_ = b.sent.Close() // which has no error
	}
}

// sentBody is read by the transport, which may do so for a while after the answer
// has come: Close ends it.
type sentBody struct {
	mu     sync.Mutex // guards the fields below, and is held while r is read
	r      io.Reader
	closed bool
}

// Read implements io.Reader.
func (b *sentBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, errors.New("client: the request has ended")
	}
	return b.r.Read(p)
}

// Close returns when nothing is read any more.
func (b *sentBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}
