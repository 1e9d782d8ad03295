package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/shelflife-db/shelflife/catalog/productimport"
)

var errInterrupted = errors.New("interrupted")

// input reads entries ahead on a goroutine of its own, since a read of the
// standard input can't be cut short: the goroutine that is in it then ends with
// the process.
type input struct {
	steps <-chan inputStep
	stop  context.CancelFunc
	// from is the first line whose entry is wanted, 0 once that was met.
	from int
}

// inputStep is what came of one reading. The end of the input is a step like any
// other, told by the reader: the channel is never closed, because one that is
// closed when the process is told to stop looks like the end.
type inputStep struct {
	entry productimport.Entry
	err   error
}

// openInput opens an input, looks at how it begins, and reads on. It must be
// closed. That open may wait, as for the other end of a named pipe, keeps ctx
// from nothing.
func openInput(ctx context.Context, open func() (io.ReadCloser, error)) (*input, error) {
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
		from, err := productimport.NewReader(r)
		for s := (inputStep{err: err}); send(s); {
			s.entry, s.err = from.Next()
		}
	}()
	in := &input{steps: steps, stop: stop}
	if _, err := in.next(ctx); err != nil {
		stop()
		return nil, err
	}
	return in, nil
}

// wanted returns the next entry that begins at the line from or later, its size that
// of what was passed over included.
func (in *input) wanted(ctx context.Context) (productimport.Entry, error) {
	passed, last := int64(0), 0
	for {
		e, err := in.next(ctx)
		if err == io.EOF && last > 0 && in.from > last+1 {
			// Nothing was wanted; only directly behind the last entry is that what an
			// import that stopped there asks for.
			return e, fmt.Errorf("--from-line is %d, and the last entry is on line %d", in.from, last)
		}
		line := e.Line // of an element of an array
		if line == 0 {
			line = e.Number
		}
		if err == nil && line < in.from {
			passed, last = passed+e.Size, line
			continue
		}
		in.from, e.Size = 0, e.Size+passed
		return e, err
	}
}

// next returns the next entry: io.EOF says that there is none, errInterrupted
// that ctx is done.
func (in *input) next(ctx context.Context) (productimport.Entry, error) {
	select {
	case s := <-in.steps:
		return s.entry, s.err
	case <-ctx.Done():
		return productimport.Entry{}, errInterrupted
	}
}

// close ends the reading ahead.
func (in *input) close() { in.stop() }
