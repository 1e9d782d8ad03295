package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

var (
	errExpected    = errors.New("expected one JSON object a line, or one JSON array of objects")
	errInterrupted = errors.New("interrupted")
)

// openEntries looks at how an input begins and returns its entries, each of at
// most limit bytes. An input that is of another kind than lines of JSON or a
// JSON array is refused as a whole, with errExpected.
func openEntries(r io.Reader, limit int) (entries, error) {
	in := bufio.NewReaderSize(r, peeked)
	if mark, err := in.Peek(len(byteOrderMark)); err == nil && string(mark) == byteOrderMark {
		if _, err := in.Discard(len(byteOrderMark)); err != nil {
			return nil, err
		}
	}
	start, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	for _, s := range strangers {
		if bytes.HasPrefix(start, []byte(s.start)) {
			return nil, fmt.Errorf("the input is %s: %w", s.kind, errExpected)
		}
	}
	lines := &lineReader{in: in, limit: limit}
	switch first, next, err := peekLine(in); {
	case err != nil:
		return nil, err
	case first == nil:
		return lines, nil
	case first[0] == '[':
		return newArrayReader(in, limit), nil
	case first[0] != '{':
		return nil, fmt.Errorf("the input begins with neither { nor [: %w", errExpected)
	// A line that is damaged is followed by another object; an object that goes
	// on for several lines by something else.
	case next >= 0 && next != '{' && !json.Valid(first):
		return nil, fmt.Errorf("the first line is not a whole JSON object: %w", errExpected)
	}
	return lines, nil
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
		return nil, 0, fmt.Errorf("the input begins with %d bytes of white space: %w", peeked, errExpected)
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

// input reads entries ahead on a goroutine of its own, since a read of the
// standard input can't be cut short: the goroutine that is in it then ends with
// the process.
type input struct {
	steps <-chan inputStep
	stop  context.CancelFunc
}

// inputStep is what came of one reading. The end of the input is a step like any
// other, told by the reader: the channel is never closed, because one that is
// closed when the process is told to stop looks like the end.
type inputStep struct {
	entry entry
	err   error
}

// openInput opens an input, looks at how it begins, and reads on. It must be
// closed. That open may wait, as for the other end of a named pipe, keeps ctx
// from nothing.
func openInput(ctx context.Context, open func() (io.ReadCloser, error), limit int) (*input, error) {
	reading, stop := context.WithCancel(ctx)
	steps := make(chan inputStep)
	send := func(s inputStep) (more bool) {
		select {
		case steps <- s:
			return s.err == nil
		case <-reading.Done():
			return false
		}
	}
	go func() {
		r, err := open()
		if err != nil {
			send(inputStep{err: err})
			return
		}
		defer r.Close()
		from, err := openEntries(r, limit)
		for s := (inputStep{err: err}); send(s); {
			s.entry, s.err = from.next()
		}
	}()
	in := &input{steps, stop}
	if _, err := in.next(ctx); err != nil {
		stop()
		return nil, err
	}
	return in, nil
}

// next returns the next entry: io.EOF says that there is none, errInterrupted
// that ctx is done.
func (in *input) next(ctx context.Context) (entry, error) {
	select {
	case s := <-in.steps:
		return s.entry, s.err
	case <-ctx.Done():
		return entry{}, errInterrupted
	}
}

// close ends the reading ahead.
func (in *input) close() { in.stop() }
