package imageheader

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
)

// box is a box of an ISO base media file (ISO/IEC 14496-12, 4.2) whose header
// has been read.
type box struct {
	kind [4]byte
	// end is the offset in the stream at which the box ends.
	end int64
	// open says that the box ends where the stream does, at end at the latest.
	open bool
}

// is reports whether b is of the given kind.
func (b box) is(kind string) bool { return string(b.kind[:]) == kind }

// wholeFile holds the boxes of the top level.
var wholeFile = box{end: math.MaxInt64, open: true}

// boxReader reads boxes front to back. A box never reaches beyond the one that
// holds it, and no read beyond the box it is meant for.
type boxReader struct {
	src *source
	pos int64
}

// next reads the header of the next box inside parent, or reports false at
// parent's end.
func (r *boxReader) next(parent box) (b box, ok bool, err error) {
	if r.pos == parent.end || parent.open && len(r.src.peek(1)) == 0 {
		return box{}, false, nil
	}
	if err := r.src.step(); err != nil {
		return box{}, false, err
	}
	start := r.pos
	var head [8]byte
	if err := r.read(parent, head[:]); err != nil {
		return box{}, false, err
	}
	b = box{kind: [4]byte(head[4:])}
	size := uint64(binary.BigEndian.Uint32(head[:]))
	switch size {
	case 0:
		b.end, b.open = parent.end, parent.open
		return b, true, nil
	case 1:
		var large [8]byte
		if err := r.read(parent, large[:]); err != nil {
			return box{}, false, err
		}
		size = binary.BigEndian.Uint64(large[:])
	}
	if size < uint64(r.pos-start) || size > uint64(parent.end-start) {
		return box{}, false, errMalformed
	}
	b.end = start + int64(size)
	return b, true, nil
}

// read fills p with the next bytes of b.
func (r *boxReader) read(b box, p []byte) error {
	if int64(len(p)) > b.end-r.pos {
		return errMalformed
	}
	if err := r.src.fill(p); err != nil {
		return err
	}
	r.pos += int64(len(p))
	return nil
}

// rest returns what is left of b, which must be limit bytes at most. Memory
// grows with the bytes that arrive, not with the size that b claims.
func (r *boxReader) rest(b box, limit int64) ([]byte, error) {
	n := b.end - r.pos
	if n > limit {
		return nil, errMalformed
	}
	var buf bytes.Buffer
	got, err := io.CopyN(&buf, r.src, n)
	r.pos += got
	return buf.Bytes(), err
}

// version reads the version and flags with which a full box begins.
func (r *boxReader) version(b box) (version byte, flags uint32, err error) {
	var v [4]byte
	if err := r.read(b, v[:]); err != nil {
		return 0, 0, err
	}
	return v[0], binary.BigEndian.Uint32(v[:]) & 0xFFFFFF, nil
}

// skip consumes what is left of b.
func (r *boxReader) skip(b box) error {
	err := r.src.discard(b.end - r.pos)
	r.pos = b.end
	if b.open && isEnd(err) {
		return nil
	}
	return err
}

// each calls fn with every box inside b from here on. What fn leaves of a box
// is skipped.
func (r *boxReader) each(b box, fn func(box) error) error {
	for {
		child, ok, err := r.next(b)
		if err != nil || !ok {
			return err
		}
		if err := fn(child); err != nil {
			return err
		}
		if err := r.skip(child); err != nil {
			return err
		}
	}
}
