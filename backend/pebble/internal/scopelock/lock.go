package scopelock

import (
	"sync"
	"sync/atomic"
)

// The bits of rwlock.state. The readers are counted above them.
const (
	lockWriter  = 1 << 0 // held exclusively
	lockWaiting = 1 << 1 // the queue is not empty: no fast path
	lockReader  = 1 << 2 // one shared holder
)

// A Waiter waits for a lock: it returns nil when granted is closed, or the error
// with which the caller gives up. It is called only where a lock is not free.
type Waiter func(granted <-chan struct{}) error

// rwlock is a lock, shared or exclusive, whose waiters are served in the order
// of their arrival, and may give up. Free locks are taken and released with one
// atomic operation. The zero value is free.
type rwlock struct {
	state atomic.Int64
	// mu guards queue and every change of state while lockWaiting is set,
	// except releases. No other lock is taken while it is held.
	mu    sync.Mutex
	queue []*lockWaiter
}

type lockWaiter struct {
	exclusive bool
	granted   chan struct{}
}

func (l *rwlock) lock(wait Waiter, exclusive bool) error {
	if exclusive {
		if l.state.CompareAndSwap(0, lockWriter) {
			return nil
		}
	} else {
		for s := l.state.Load(); s&(lockWriter|lockWaiting) == 0; s = l.state.Load() {
			if l.state.CompareAndSwap(s, s+lockReader) {
				return nil
			}
		}
	}
	return l.queueUp(wait, exclusive)
}

func (l *rwlock) unlock(exclusive bool) {
	d := int64(lockReader)
	if exclusive {
		d = lockWriter
	}
	if l.state.Add(-d) == lockWaiting {
		l.mu.Lock()
		l.grant()
		l.mu.Unlock()
	}
}

// queueUp waits behind those that came before.
func (l *rwlock) queueUp(wait Waiter, exclusive bool) error {
	w := &lockWaiter{exclusive: exclusive, granted: make(chan struct{})}
	l.mu.Lock()
	l.state.Or(lockWaiting)
	l.queue = append(l.queue, w)
	l.grant()
	l.mu.Unlock()

	err := wait(w.granted)
	if err == nil {
		return nil
	}
	l.mu.Lock()
	for i, q := range l.queue {
		if q == w {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			// Those behind w may have waited for nothing else.
			l.grant()
			l.mu.Unlock()
			return err
		}
	}
	l.mu.Unlock()
	// It was granted while the caller gave up.
	l.unlock(exclusive)
	return err
}

// grant hands the lock to the waiters that can have it now, from the front of
// the queue. mu is held. While lockWaiting is set only releases happen beside
// it, and the last of them comes here after it.
func (l *rwlock) grant() {
	for len(l.queue) > 0 {
		w := l.queue[0]
		s := l.state.Load()
		if w.exclusive {
			if s != lockWaiting {
				return
			}
			l.state.Add(lockWriter)
		} else {
			if s&lockWriter != 0 {
				return
			}
			l.state.Add(lockReader)
		}
		l.queue[0] = nil
		l.queue = l.queue[1:]
		close(w.granted)
	}
	l.queue = nil
	l.state.And(^int64(lockWaiting))
}
