package diskguard

import (
	"context"
	"fmt"
	"time"

	"github.com/shelflife-db/shelflife/backend"
)

// errHungUp is for a commit whose caller has stopped waiting.
var errHungUp = fmt.Errorf("%w: %v", backend.ErrUnknownOutcome, errHanging)

// A Wait is how long one call waits: until its context ends, the store fails or,
// unless the caller is patient, the disk hangs. It is made once, where the call
// begins, and handed on. Every place where a call may be held up asks it.
type Wait struct {
	ctx  context.Context
	fail *Failure
	hang *Hang // nil: the caller is patient
}

// Wait returns how long a call with ctx waits.
func (h *Hang) Wait(ctx context.Context, fail *Failure, patient bool) Wait {
	w := Wait{ctx: ctx, fail: fail}
	if !patient {
		w.hang = h
	}
	return w
}

// hung is closed when the disk hangs: from now on, or already.
func (w Wait) hung() <-chan struct{} {
	if w.hang == nil {
		return nil
	}
	return w.hang.Begun()
}

// Hanging returns an error where the caller would not wait at all, since the
// disk hangs already.
func (w Wait) Hanging() error {
	if w.hang == nil {
		return nil
	}
	return w.hang.Err()
}

// For waits until c receives or is closed, and returns an error where it does
// not wait for that any more: nothing came of the wait.
func For[T any](w Wait, c <-chan T) (v T, err error) {
	select {
	case v = <-c:
		return v, nil
	case <-w.fail.Happened():
		return v, w.fail.Unavailable()
	case <-w.hung():
		return v, errHanging
	case <-w.ctx.Done():
		return v, w.ctx.Err()
	}
}

// Until is For where c is only closed.
func (w Wait) Until(c <-chan struct{}) error {
	_, err := For(w, c)
	return err
}

// Outcome returns when settled is closed, when what became of a commit that is applied is
// known. Neither the context nor a failure ends that: the caller must be told what
// became of the commit. A hang does, unless the caller is patient, with an error
// that matches backend.ErrUnknownOutcome.
func (w Wait) Outcome(settled <-chan struct{}) error {
	hung := w.hung()
	if isDone(hung) {
		// Pebble has just finished this commit: the disk may answer again.
		hung = afterTwoLooks()
	}
	select {
	case <-settled:
		return nil
	case <-hung:
	}
	if isDone(settled) {
		return nil
	}
	return errHungUp
}

// afterTwoLooks returns a channel that is closed when two looks have passed.
func afterTwoLooks() <-chan struct{} {
	c := make(chan struct{})
	time.AfterFunc(2*hangTick, func() { close(c) })
	return c
}
