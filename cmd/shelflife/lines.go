package main

import (
	"bufio"
	"bytes"
	"io"
	"iter"
)

// line is one line of an input.
type line struct {
	number int    // from 1
	size   int64  // bytes that it took in the input, its end included
	text   []byte // without its end; nil if it is too long
}

func (l line) tooLong() bool { return l.text == nil }

// readLines yields the lines of r that are not blank, each in memory of its
// own. Of one longer than limit bytes it keeps nothing. A line ends with \n or
// \r\n, the last one also with the input. An error of r is the last step; the
// line that it cut off is not yielded.
func readLines(r io.Reader, limit int) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		in := bufio.NewReaderSize(r, limit+len("\r\n"))
		var skipped int64 // blank lines count towards the next one's size
		for number := 1; ; number++ {
			l := line{number: number, size: skipped}
			part, err := in.ReadSlice('\n')
			l.size += int64(len(part))
			if err == bufio.ErrBufferFull {
				for err == bufio.ErrBufferFull {
					part, err = in.ReadSlice('\n')
					l.size += int64(len(part))
				}
			} else if text := withoutEnd(part); len(text) <= limit {
				l.text = append(make([]byte, 0, len(text)), text...)
			}
			switch {
			case err != nil && err != io.EOF:
				yield(line{}, err)
				return
			case !l.tooLong() && len(bytes.TrimSpace(l.text)) == 0:
				skipped = l.size
			case !yield(l, nil):
				return
			default:
				skipped = 0
			}
			if err == io.EOF {
				return
			}
		}
	}
}

func withoutEnd(text []byte) []byte {
	text, ended := bytes.CutSuffix(text, []byte("\n"))
	if ended {
		text = bytes.TrimSuffix(text, []byte("\r"))
	}
	return text
}
