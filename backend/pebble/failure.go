package pebble

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/backend"
)

// failure is the end of a store's writing: set once, by the first error that
// makes it unsafe to go on.
type failure struct {
	log  *slog.Logger
	once sync.Once
	err  atomic.Pointer[error]
	set  chan struct{}
	// broken says that Pebble panicked in a call of ours, and may hold its main
	// lock for good. It must not even be closed then.
	broken atomic.Bool
}

func newFailure(log *slog.Logger) *failure {
	return &failure{log: log, set: make(chan struct{})}
}

// fail stops the store for cause. Only the first call counts.
func (f *failure) fail(cause error) {
	f.once.Do(func() {
		err := fmt.Errorf("%w: %w", backend.ErrStopped, cause)
		f.err.Store(&err)
		close(f.set)
		f.log.Error("backend/pebble: a write failed, the store is read-only until it is opened again", "error", cause)
	})
}

func (f *failure) failed() bool { return f.err.Load() != nil }

// unavailable returns nil, or the error for calls that changed nothing.
func (f *failure) unavailable() error {
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}

// engine returns an error if Pebble must not be asked for what takes its main
// lock.
func (f *failure) engine() error {
	if f.broken.Load() {
		return f.unavailable()
	}
	return nil
}

// unknown returns the error for a commit that was applied when the store had
// failed.
func (f *failure) unknown() error {
	return fmt.Errorf("%w: %v", backend.ErrUnknownOutcome, f.unavailable())
}

// onPanic, deferred around a call of Pebble, fails the store when Pebble
// panicked: its locks are in no known state then.
func (f *failure) onPanic(err *error) {
	if p := recover(); p != nil {
		f.fail(fmt.Errorf("engine panic: %v", p))
		f.broken.Store(true)
		*err = f.unknown()
	}
}
