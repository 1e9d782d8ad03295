package formparts

import (
	"bytes"
	"io"
)

// unfinished ends in a line break and io.ErrUnexpectedEOF where source ends. The
// multipart package stops at the last boundary, which that break completes if it
// stands last; but it would take an end within the headers of a part for one.
type unfinished struct {
	source io.Reader
	ended  bool
	rest   string // of the line break

	last byte // of what was read
	bare bool // the last line break was no CRLF; nor must be the one added
}

// Read implements io.Reader.
func (u *unfinished) Read(b []byte) (int, error) {
	if !u.ended {
		n, err := u.source.Read(b)
		u.noteLineEnd(b[:n])
		if err != io.EOF {
			return n, err
		}
		u.ended, u.rest = true, "\r\n"
		if u.bare {
			u.rest = "\n"
		}
		if n > 0 {
			return n, nil
		}
	}
	if u.rest == "" {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(b, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

// noteLineEnd remembers how the last line of what was read has ended.
func (u *unfinished) noteLineEnd(b []byte) {
	if len(b) == 0 {
		return
	}
	if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
		before := u.last
		if i > 0 {
			before = b[i-1]
		}
		u.bare = before != '\r'
	}
	u.last = b[len(b)-1]
}
