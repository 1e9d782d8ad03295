package catalog

import "io"

// Upload is the bytes of an image on their way in. It serves one upsert at a
// time.
type Upload struct {
	r io.Reader // nil if there is none

	// The fields below say what the upserts so far did to r.
	begun bool
	start int64 // where r stood when the first one began; -1 where it can't say
	read  int64 // how many bytes the latest has read
	seeks bool  // the position of r moved by as much as was read
}

// NewUpload returns an Upload that reads r to its end during the upsert that it
// is given to, in bounded memory. The upsert does not close r.
//
// An upsert that fails may be repeated with the same Upload if r is an io.Seeker
// that can in fact seek, as bytes.Reader, strings.Reader and a regular *os.File
// can: each upsert reads from where r stood when the first one began. A pipe or
// a network connection can't, though an *os.File of a pipe is an io.Seeker: the
// second upsert fails with [ErrUploadSpent]. Where an upsert over such a reader
// may have to be repeated, for a condition that may fail or a store that may be
// unavailable, give the bytes to [Catalog.StageImage] first and upsert by their
// reference, which a failure does not spend.
func NewUpload(r io.Reader) *Upload {
	if isNil(r) {
		r = nil
	}
	return &Upload{r: r}
}

// begin returns the bytes from their beginning, for one upsert, which must call
// end.
func (u *Upload) begin() (io.Reader, error) {
	seeker, ok := u.r.(io.Seeker)
	switch {
	case !u.begun:
		u.begun, u.start = true, -1
		if ok {
			if at, err := seeker.Seek(0, io.SeekCurrent); err == nil {
				u.start = at
			}
		}
	case u.read == 0 && !u.seeks:
		// Nothing of it was used.
	case !u.seeks:
		return nil, ErrUploadSpent
	default:
		if at, err := seeker.Seek(u.start, io.SeekStart); err != nil || at != u.start {
			return nil, ErrUploadSpent
		}
	}
	u.read, u.seeks = 0, false
	return uploadReader{u}, nil
}

// end notes whether the reader can go back. That it has a method Seek which
// returns no error is not enough: some devices do and have no position.
func (u *Upload) end() {
	if seeker, ok := u.r.(io.Seeker); ok && u.start >= 0 {
		at, err := seeker.Seek(0, io.SeekCurrent)
		u.seeks = err == nil && at == u.start+u.read
	}
}

// uploadReader counts what is read of an Upload. It has no other method, so that
// nothing passes by its count.
type uploadReader struct{ u *Upload }

func (r uploadReader) Read(p []byte) (int, error) {
	n, err := r.u.r.Read(p)
	r.u.read += int64(n)
	return n, err
}
