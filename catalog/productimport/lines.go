package productimport

import (
	"bufio"
	"bytes"
	"io"
)

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

func (r *lineReader) next() (Entry, error) {
	var size int64 // blank lines count towards the next one's size
	for !r.ended {
		r.number++
		e := Entry{Number: r.number}
		err := r.read(&e)
		size += e.Size
		switch {
		case err == io.EOF:
			r.ended = true
		case err != nil:
			return Entry{}, err
		}
		if e.TooLong() || len(bytes.TrimSpace(e.Text)) > 0 {
			e.Size = size
			return e, nil
		}
	}
	return Entry{}, io.EOF
}

// read reads a line. At the end of the input it returns io.EOF beside it.
func (r *lineReader) read(e *Entry) error {
	text := []byte{}
	for {
		part, err := r.in.ReadSlice('\n')
		e.Size += int64(len(part))
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
			e.Text = text
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
