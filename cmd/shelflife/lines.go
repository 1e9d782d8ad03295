package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// entry is one upsert of an input, as text.
type entry struct {
	number int    // of the line, or of the element of an array; from 1
	line   int    // where the element of an array begins; 0 for a line
	size   int64  // bytes that it took in the input, what stands before it included
	text   []byte // nil if it is too long
}

func (e entry) tooLong() bool { return e.text == nil }

// String says where the entry is.
func (e entry) String() string {
	if e.line == 0 {
		return fmt.Sprintf("line %d", e.number)
	}
	return fmt.Sprintf("element %d (line %d)", e.number, e.line)
}

// entries is an input, read entry by entry.
type entries interface {
	// next returns the next entry, in memory of its own. At the end of the
	// input, and nowhere else, the error is io.EOF: what reading it by halves
	// looks like must not be taken for the end.
	next() (entry, error)
}

// lineReader reads the lines of an input that are not blank. Of one longer than
// limit bytes it keeps nothing. A line ends with \n or \r\n, the last one also
// with the input. A line that an error cut off is not an entry.
type lineReader struct {
	in     *bufio.Reader
	limit  int
	number int  // of the last line
	ended  bool // the last line ended with the input
}

var _ entries = (*lineReader)(nil)

func (r *lineReader) next() (entry, error) {
	var size int64 // blank lines count towards the next one's size
	for !r.ended {
		r.number++
		e := entry{number: r.number}
		err := r.read(&e)
		size += e.size
		switch {
		case err == io.EOF:
			r.ended = true
		case err != nil:
			return entry{}, err
		}
		if e.tooLong() || len(bytes.TrimSpace(e.text)) > 0 {
			e.size = size
			return e, nil
		}
	}
	return entry{}, io.EOF
}

// read reads a line. At the end of the input it returns io.EOF beside it.
func (r *lineReader) read(e *entry) error {
	text := []byte{}
	for {
		part, err := r.in.ReadSlice('\n')
		e.size += int64(len(part))
		if text != nil {
			text = append(text, part...)
			if len(withoutEnd(text)) > r.limit+1 { // a \r may yet turn out to be the end
				text = nil
			}
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if text = withoutEnd(text); len(text) <= r.limit {
			e.text = text
		}
		return err
	}
}

func withoutEnd(text []byte) []byte {
	text, ended := bytes.CutSuffix(text, []byte("\n"))
	if ended {
		text = bytes.TrimSuffix(text, []byte("\r"))
	}
	return text
}
