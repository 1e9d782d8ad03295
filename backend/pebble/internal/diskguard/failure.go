package diskguard

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/backend"
)

// Failure is the end of an opening's writing: set once, by the first error that
// makes it unsafe to go on. Where that passes, see Passes, the store may be opened
// anew, once there is room.
type Failure struct {
	log  *slog.Logger
	once sync.Once
	// err is what Unavailable returns, for cause.
	err   atomic.Pointer[error]
	cause atomic.Pointer[error]
	set   chan struct{}
	// lasting says that the disk has returned an error that does not pass, first or
	// later: several operations may have been under way.
	lasting atomic.Bool
	// broken says that Pebble panicked in a call of ours, and may hold its main
	// lock for good. It must not even be closed then.
	broken atomic.Bool
}

// NewFailure returns one that has not happened yet.
func NewFailure(log *slog.Logger) *Failure {
	return &Failure{log: log, set: make(chan struct{})}
}

// Fail stops the opening for cause. Only the first call counts: what Pebble
// complains of afterwards may come of that.
func (f *Failure) Fail(cause error) {
	f.once.Do(func() {
		f.lasting.Store(!Passes(cause))
		f.because(cause)
		close(f.set)
		if Passes(cause) {
			f.log.Error("backend/pebble: a write failed for want of room, the store is read-only until there is some", "error", cause)
		} else {
			f.log.Error("backend/pebble: a write failed, the store is read-only until it is opened again", "error", cause)
		}
	})
}

// failedDisk is Fail for an error of the disk itself. It counts too where it does
// not pass and the first one did.
func (f *Failure) failedDisk(cause error) {
	f.Fail(cause)
	if !Passes(cause) && f.lasting.CompareAndSwap(false, true) {
		f.because(cause)
		f.log.Error("backend/pebble: another write failed, the store is read-only until it is opened again", "error", cause)
	}
}

// because sets what is returned for cause.
func (f *Failure) because(cause error) {
	err := fmt.Errorf("%w: %w", backend.ErrStopped, cause)
	if Passes(cause) {
		err = fmt.Errorf("%w: read-only until there is room: %w", backend.ErrUnavailable, cause)
	}
	f.cause.Store(&cause)
	f.err.Store(&err)
}

// Failed reports whether the opening has failed.
func (f *Failure) Failed() bool { return f.err.Load() != nil }

// Passing reports whether the opening has failed for want of room alone, so that
// the store may be opened anew beside it. It is for good only once no operation
// on the disk is under way, see FS.Freeze.
func (f *Failure) Passing() bool {
	return f.Failed() && !f.lasting.Load() && !f.broken.Load()
}

// Happened is closed when the opening fails.
func (f *Failure) Happened() <-chan struct{} { return f.set }

// Unavailable returns nil, or the error for calls that changed nothing.
func (f *Failure) Unavailable() error {
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}

// Cause returns what stopped the opening, nil where nothing has.
func (f *Failure) Cause() error {
	if cause := f.cause.Load(); cause != nil {
		return *cause
	}
	return nil
}

// Engine returns an error if Pebble must not be asked for what takes its main
// lock.
func (f *Failure) Engine() error {
	if f.broken.Load() {
		return f.Unavailable()
	}
	return nil
}

// Unknown returns the error for a commit that was applied when the opening had
// failed.
func (f *Failure) Unknown() error {
	return fmt.Errorf("%w: %v", backend.ErrUnknownOutcome, f.Unavailable())
}

// OnPanic, deferred around a call of Pebble, fails the opening when Pebble
// panicked: its locks are in no known state then.
func (f *Failure) OnPanic(err *error) {
	if p := recover(); p != nil {
		f.Fail(fmt.Errorf("engine panic: %v", p))
		f.broken.Store(true)
		*err = f.Unknown()
	}
}
