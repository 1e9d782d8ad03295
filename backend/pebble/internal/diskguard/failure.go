package diskguard

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/backend"
)

// Failure is the end of a store's writing: set once, by the first error that
// makes it unsafe to go on.
type Failure struct {
	log  *slog.Logger
	once sync.Once
	// err is what Unavailable returns, for cause.
	err   atomic.Pointer[error]
	cause error
	set   chan struct{}
	// broken says that Pebble panicked in a call of ours, and may hold its main
	// lock for good. It must not even be closed then.
	broken atomic.Bool
}

// NewFailure returns one that has not happened yet.
func NewFailure(log *slog.Logger) *Failure {
	return &Failure{log: log, set: make(chan struct{})}
}

// Fail stops the store for cause. Only the first call counts.
func (f *Failure) Fail(cause error) {
	f.once.Do(func() {
		err := fmt.Errorf("%w: %w", backend.ErrStopped, cause)
		f.cause = cause
		f.err.Store(&err)
		close(f.set)
		f.log.Error("backend/pebble: a write failed, the store is read-only until it is opened again", "error", cause)
	})
}

// Failed reports whether the store has failed.
func (f *Failure) Failed() bool { return f.err.Load() != nil }

// Happened is closed when the store fails.
func (f *Failure) Happened() <-chan struct{} { return f.set }

// Unavailable returns nil, or the error for calls that changed nothing.
func (f *Failure) Unavailable() error {
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}

// Cause returns what stopped the store, nil where nothing has.
func (f *Failure) Cause() error {
	if !f.Failed() {
		return nil
	}
	return f.cause
}

// Engine returns an error if Pebble must not be asked for what takes its main
// lock.
func (f *Failure) Engine() error {
	if f.broken.Load() {
		return f.Unavailable()
	}
	return nil
}

// Unknown returns the error for a commit that was applied when the store had
// failed.
func (f *Failure) Unknown() error {
	return fmt.Errorf("%w: %v", backend.ErrUnknownOutcome, f.Unavailable())
}

// OnPanic, deferred around a call of Pebble, fails the store when Pebble
// panicked: its locks are in no known state then.
func (f *Failure) OnPanic(err *error) {
	if p := recover(); p != nil {
		f.Fail(fmt.Errorf("engine panic: %v", p))
		f.broken.Store(true)
		*err = f.Unknown()
	}
}
