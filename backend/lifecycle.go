package backend

import "sync"

// Lifecycle counts the calls that run on an engine, so that it closes once and
// under nobody's feet. It is for implementers of [Backend]. The zero value is
// open.
type Lifecycle struct {
	// mu guards closing being set against calls that are about to be counted.
	// No other lock is taken while it is held.
	mu      sync.RWMutex
	closing bool
	calls   sync.WaitGroup
	init    sync.Once
	done    chan struct{}
	close   sync.Once
	err     error
}

// Enter counts a call in, or returns ErrClosed. After a nil the caller must
// call Exit.
func (l *Lifecycle) Enter() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closing {
		return ErrClosed
	}
	l.calls.Add(1)
	return nil
}

// Exit counts a call out.
func (l *Lifecycle) Exit() { l.calls.Done() }

// Closing is closed when Close begins: long calls look at it to end early.
func (l *Lifecycle) Closing() <-chan struct{} {
	l.init.Do(func() { l.done = make(chan struct{}) })
	return l.done
}

// Closed tells whether Close has begun.
func (l *Lifecycle) Closed() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.closing
}

// Close refuses new calls, waits for the counted ones and runs release, once;
// later calls wait for that and return the same result.
func (l *Lifecycle) Close(release func() error) error {
	l.close.Do(func() {
		l.mu.Lock()
		l.closing = true
		l.mu.Unlock()
		l.Closing()
		close(l.done)
		l.calls.Wait()
		l.err = release()
	})
	return l.err
}
