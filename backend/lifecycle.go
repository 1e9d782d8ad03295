package backend

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// Lifecycle counts the calls that run on an engine, so that it closes once,
// and while none of them runs. It is for implementers of [Backend]. The zero value is
// open.
type Lifecycle struct {
	closing atomic.Bool
	_       [60]byte // each call looks at it: no counter shares its cache line
	// calls adds up to the number of calls that run. It is spread over cache
	// lines, so that calls on several cores do not wait for each other.
	calls [lifecycleStripes]callCount
	init  sync.Once
	begin sync.Once
	done  chan struct{} // closed when Close begins
	ended chan struct{} // gets a value when a call ended while closing
	close sync.Once
	err   error
}

const lifecycleStripes = 16

type callCount struct {
	n atomic.Int64
	_ [56]byte
}

// Enter counts a call in, or returns ErrClosed. After a nil the caller must
// call Exit.
func (l *Lifecycle) Enter() error {
	n := &l.calls[rand.Uint32()%lifecycleStripes].n
	n.Add(1)
	// Looked at after the call is counted: either Close waits for it, or it is
	// refused.
	if l.closing.Load() {
		n.Add(-1)
		l.notify()
		return ErrClosed
	}
	return nil
}

// Exit counts a call out.
func (l *Lifecycle) Exit() {
	l.calls[rand.Uint32()%lifecycleStripes].n.Add(-1)
	if l.closing.Load() {
		l.notify()
	}
}

// Closing is closed when Close begins: long calls look at it to end early.
func (l *Lifecycle) Closing() <-chan struct{} {
	l.makeChannels()
	return l.done
}

// Closed reports whether Close has begun.
func (l *Lifecycle) Closed() bool { return l.closing.Load() }

// Refuse begins to close: new calls are refused from then on. A caller that has
// something to end between that and the wait of Close calls it first.
func (l *Lifecycle) Refuse() {
	l.makeChannels()
	l.begin.Do(func() {
		l.closing.Store(true)
		close(l.done)
	})
}

// Close refuses new calls, waits for the counted ones and runs release, once;
// later calls wait for that and return the same result.
func (l *Lifecycle) Close(release func() error) error {
	l.Refuse()
	l.close.Do(func() {
		for l.running() {
			<-l.ended
		}
		l.err = release()
	})
	return l.err
}

// running reports whether calls may still run. It is asked while closing: what is
// counted in then is refused and counted out of the same stripe, so no stripe
// is seen lower than it will stay, and a sum of 0 means that there is none.
func (l *Lifecycle) running() bool {
	var n int64
	for i := range l.calls {
		n += l.calls[i].n.Load()
	}
	return n != 0
}

// notify has Close count again. The one place in ended is enough: Close counts
// after it has taken the value.
func (l *Lifecycle) notify() {
	l.makeChannels()
	select {
	case l.ended <- struct{}{}:
	default:
	}
}

func (l *Lifecycle) makeChannels() {
	l.init.Do(func() { l.done, l.ended = make(chan struct{}), make(chan struct{}, 1) })
}
