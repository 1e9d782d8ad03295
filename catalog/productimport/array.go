package productimport

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// arrayReader reads the elements of an input that is one JSON array, keeping one
// of them at a time; of one longer than limit bytes it keeps nothing.
//
// It finds the end of an element by counting brackets outside of strings. Where
// an element is not valid JSON that end means nothing, and what stands behind it
// may be the inside of a string: the reader stops there. Of an element that is
// too long it sees as much, by what may not stand in a string and what may not
// stand outside of one.
type arrayReader struct {
	in      *bufio.Reader
	limit   int
	began   bool
	ended   bool
	element int // the last one
	line    int // where in is, from 1
	size    int64
}

var _ entries = (*arrayReader)(nil)

func newArrayReader(in *bufio.Reader, limit int) *arrayReader {
	return &arrayReader{in: in, limit: limit, line: 1}
}

const errArrayCutOff = formatError("the JSON array is cut off: its closing ] is missing")

func (r *arrayReader) next() (Entry, error) {
	if r.ended {
		return Entry{}, io.EOF
	}
	before := r.size
	c, err := r.token()
	if err != nil {
		return Entry{}, err
	}
	switch {
	case !r.began: // at the bracket that made this an array
		r.began = true
		if c, err = r.token(); err != nil {
			return Entry{}, err
		}
		if c == ']' {
			return Entry{}, r.end()
		}
	case c == ']':
		return Entry{}, r.end()
	case c == ',':
		if c, err = r.token(); err != nil {
			return Entry{}, err
		}
	default:
		return Entry{}, formatError(fmt.Sprintf("behind element %d (line %d): expected a comma or the end of the JSON array", r.element, r.line))
	}
	r.element++
	e := Entry{Number: r.element, Line: r.line}
	if e.Text, err = r.value(c); err != nil {
		return Entry{}, err
	}
	if e.Text != nil && !json.Valid(e.Text) {
		return Entry{}, r.invalid(e)
	}
	e.Size = r.size - before
	return e, nil
}

// invalid is the error of an element that is not JSON.
func (r *arrayReader) invalid(e Entry) error {
	return formatError(fmt.Sprintf("%s is not valid JSON, so that it can't be told where the next one begins", e))
}

// end looks for something behind the array.
func (r *arrayReader) end() error {
	switch _, err := r.token(); err {
	case errArrayCutOff:
		r.ended = true
		return io.EOF
	case nil:
		return notExpected("something stands behind the JSON array")
	default:
		return err
	}
}

// token returns the first byte that is not white space.
func (r *arrayReader) token() (byte, error) {
	for {
		c, err := r.read()
		if err != nil || !isSpace(c) {
			return c, err
		}
	}
}

func (r *arrayReader) read() (byte, error) {
	c, err := r.in.ReadByte()
	switch {
	case err == io.EOF:
		return 0, errArrayCutOff
	case err != nil:
		return 0, err
	case c == '\n':
		r.line++
	}
	r.size++
	return c, nil
}

// value reads the value that begins with c; nil if it is too long.
func (r *arrayReader) value(c byte) ([]byte, error) {
	at := Entry{Number: r.element, Line: r.line}
	text := []byte{}
	depth, inString, escaped := 0, false, false
	for {
		switch {
		case inString && c < ' ':
			return nil, r.invalid(at)
		case inString:
			inString = escaped || c != '"'
			escaped = !escaped && c == '\\'
		case c == '"':
			inString = true
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			if depth--; depth < 0 {
				return nil, r.invalid(at)
			}
		case !isSpace(c) && !strings.ContainsRune(outsideStrings, rune(c)):
			return nil, r.invalid(at)
		}
		if text != nil {
			if text = append(text, c); len(text) > r.limit {
				text = nil
			}
		}
		if depth == 0 && !inString {
			// A number or a name ends where something else begins. The end of the
			// input is met again by the next reading.
			next, err := r.in.Peek(1)
			if err != nil && err != io.EOF {
				return nil, err
			}
			if c == '}' || c == ']' || c == '"' || err != nil || isSpace(next[0]) || next[0] == ',' || next[0] == ']' {
				return text, nil
			}
		}
		var err error
		if c, err = r.read(); err != nil {
			return nil, err
		}
	}
}

// outsideStrings are the bytes beside white space and quotes of which JSON
// outside of strings consists: numbers, true, false, null, and what separates.
const outsideStrings = `{}[],:+-.0123456789eEtrufalsn`

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
