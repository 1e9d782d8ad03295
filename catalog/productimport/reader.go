package productimport

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrFormat matches every error that is about what an input holds, rather than
// about reading it: it is of another kind than lines of JSON or a JSON array, or
// its array is broken.
var ErrFormat = errors.New("expected one JSON object a line, or one JSON array of objects")

// formatError is an error that matches ErrFormat; its text is for people.
type formatError string

func (e formatError) Error() string { return string(e) }

func (e formatError) Is(target error) bool { return target == ErrFormat }

// notExpected says what an input is, and what it should be.
func notExpected(what string) error { return formatError(what + ": " + ErrFormat.Error()) }

// Entry is one upsert of an input, as text.
type Entry struct {
	// Number is that of the line, or of the element of an array; from 1.
	Number int
	// Line is where the element of an array begins; 0 for a line.
	Line int
	// Size is how many bytes it took in the input, what stands before it included.
	Size int64
	// Text is nil where it is too long.
	Text []byte
}

// TooLong reports whether the entry is longer than MaxEntryBytes.
func (e Entry) TooLong() bool { return e.Text == nil }

// String says where the entry is.
func (e Entry) String() string {
	if e.Line == 0 {
		return fmt.Sprintf("line %d", e.Number)
	}
	return fmt.Sprintf("element %d (line %d)", e.Number, e.Line)
}

// entries is an input, read entry by entry, as Reader.Next says.
type entries interface {
	next() (Entry, error)
}

// Reader reads the entries of an input as they come, holding one of them at a
// time. One goroutine uses it at a time.
type Reader struct {
	// Array reports whether the input is a JSON array.
	Array bool
	from  entries
}

// Next returns the next entry, in memory of its own. The error is io.EOF at the end of
// the input, and nowhere else.
func (r *Reader) Next() (Entry, error) { return r.from.next() }

// MaxEntryBytes is the length of the longest entry: as much as the JSON of a
// request may have.
const MaxEntryBytes = 1 << 20

// NewReader looks at how an input begins and returns a reader of its entries. It
// waits for no more of the input than it needs: the first line, and what follows it.
// An input that is of another kind than lines of JSON or a JSON array is refused as
// a whole, with [ErrFormat]; other errors are those of r.
func NewReader(r io.Reader) (*Reader, error) {
	in, err := skipMark(r)
	if err != nil {
		return nil, err
	}
	start, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if err := refuseStranger(start); err != nil {
		return nil, err
	}
	lines := &Reader{from: &lineReader{in: in, limit: MaxEntryBytes}}
	switch first, next, err := peekLine(in); {
	case err != nil:
		return nil, err
	case first == nil:
		return lines, nil
	case first[0] == '[':
		return &Reader{Array: true, from: newArrayReader(in, MaxEntryBytes)}, nil
	case first[0] != '{':
		return nil, notExpected("the input begins with neither { nor [")
	// A line that is damaged is followed by another object; an object that goes
	// on for several lines by something else.
	case next >= 0 && next != '{' && !json.Valid(first):
		return nil, notExpected("the first line is not a whole JSON object")
	}
	return lines, nil
}

// NewLineReader is NewReader for an input that must be lines, and whose writer may
// wait for what becomes of the first before it goes on: it waits for some bytes of
// the input alone, and refuses by them.
func NewLineReader(r io.Reader) (*Reader, error) {
	in, err := skipMark(r)
	if err != nil {
		return nil, err
	}
	start, err := in.Peek(1)
	switch {
	case err != nil && err != io.EOF:
		return nil, err
	case len(start) == 0 || start[0] == '{' || isSpace(start[0]):
		return &Reader{from: &lineReader{in: in, limit: MaxEntryBytes}}, nil
	case start[0] == '[':
		return nil, formatError("the input is a JSON array: expected one JSON object a line")
	}
	start, _ = in.Peek(min(in.Buffered(), 4)) // which is there
	if err := refuseStranger(start); err != nil {
		return nil, err
	}
	return nil, formatError("the input does not begin with {: expected one JSON object a line")
}

// skipMark returns what r holds behind a byte order mark, if there is one.
func skipMark(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(r, peeked)
	mark, err := in.Peek(len(byteOrderMark))
	if err != nil && err != io.EOF {
		return nil, err
	}
	if string(mark) == byteOrderMark {
		_, _ = in.Discard(len(mark)) // which is there
	}
	return in, nil
}

// refuseStranger refuses what a file of another kind begins with.
func refuseStranger(start []byte) error {
	for _, s := range strangers {
		if bytes.HasPrefix(start, []byte(s.start)) {
			return notExpected("the input is " + s.kind)
		}
	}
	return nil
}

const byteOrderMark = "\ufeff"

// strangers are what a file of another kind begins with.
var strangers = []struct{ start, kind string }{
	{"\xff\xfe", "UTF-16 and must be UTF-8"},
	{"\xfe\xff", "UTF-16 and must be UTF-8"},
	{"\x1f\x8b", "compressed by gzip and must be unpacked first"},
	{"\x28\xb5\x2f\xfd", "compressed by zstd and must be unpacked first"},
	{"PK\x03\x04", "a ZIP archive and must be unpacked first"},
}

// peeked is how much of an input can be looked at without taking it.
const peeked = 64 << 10

// peekLine returns the first line that is not blank, from where it is not, and
// the first byte that is not white space behind it, -1 if there is none, without
// taking either. It waits for no more than them. first is nil where nothing but
// white space is. Of what does not begin with {, and of a line that is too long
// to be looked at, it returns the beginning.
func peekLine(in *bufio.Reader) (first []byte, next int, err error) {
	at := func(i int) int { // -1 where err says why
		var text []byte
		if text, err = in.Peek(i + 1); err != nil {
			return -1
		}
		return int(text[i])
	}
	start := 0
	for isBlank(at(start)) {
		start++
	}
	end := start
	for c := at(start); c == '{' || end > start && c >= 0 && c != '\n'; c = at(end) {
		end++
	}
	behind := end
	if end > start {
		for isBlank(at(behind)) {
			behind++
		}
	}
	next = at(behind)
	switch {
	case err == bufio.ErrBufferFull && start == peeked:
		return nil, 0, notExpected(fmt.Sprintf("the input begins with %d bytes of white space", peeked))
	case err != nil && err != io.EOF && err != bufio.ErrBufferFull:
		return nil, 0, err
	case start == end && next < 0:
		return nil, -1, nil
	case start == end:
		return []byte{byte(next)}, -1, nil
	}
	text, _ := in.Peek(end) // it was there above
	return bytes.TrimRight(text[start:], " \t\r"), next, nil
}

// isBlank reports whether c is white space of JSON, and no -1.
func isBlank(c int) bool { return c >= 0 && isSpace(byte(c)) }
