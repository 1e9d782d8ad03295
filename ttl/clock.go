package ttl

import (
	"sync"
	"sync/atomic"
	"time"
)

// Clock is the one source of time: what takes a Clock reads no other.
//
// Implementations are safe for concurrent use. Elapsed never decreases and
// does not follow changes of the wall clock; Now may jump either way.
type Clock interface {
	// Now returns the wall clock's time.
	Now() time.Time
	// Elapsed returns the monotonic time since a fixed instant that the
	// implementation chooses.
	Elapsed() time.Duration
	// NewTimer returns a timer that fires once after d of monotonic time, at
	// once when d is not positive. The caller stops a timer that it no longer
	// waits for.
	NewTimer(d time.Duration) Timer
}

// Timer is one pending wake-up of a [Clock].
type Timer interface {
	// C receives one value when the timer fires. It is never closed.
	C() <-chan time.Time
	// Stop keeps the timer from firing and reports whether it did: false says
	// that the timer had fired or was stopped before.
	Stop() bool
}

// SystemClock returns the clock of the operating system. Its monotonic time
// may stand still while the machine is suspended.
func SystemClock() Clock { return systemClock{start: time.Now()} }

type systemClock struct{ start time.Time }

func (systemClock) Now() time.Time { return time.Now() }

func (c systemClock) Elapsed() time.Duration { return time.Since(c.start) }

func (systemClock) NewTimer(d time.Duration) Timer { return systemTimer{time.NewTimer(d)} }

type systemTimer struct{ t *time.Timer }

func (t systemTimer) C() <-chan time.Time { return t.t.C }
func (t systemTimer) Stop() bool          { return t.t.Stop() }

// Monotone is a [Clock] cut to milliseconds that never runs backward: while
// the wall clock is behind what was returned before, it stands still. It begins
// with the first millisecond of 1970: a time is a positive number. It is safe for
// concurrent use.
type Monotone struct {
	clock Clock
	last  atomic.Int64
}

// NewMonotone returns a Monotone that reads c.
func NewMonotone(c Clock) *Monotone {
	m := &Monotone{clock: c}
	m.last.Store(max(c.Now().UnixMilli(), 1))
	return m
}

// Now returns the time in Unix milliseconds: the wall clock's, or what an
// earlier call returned if that is later.
func (m *Monotone) Now() int64 {
	now := m.clock.Now().UnixMilli()
	for {
		last := m.last.Load()
		if now <= last {
			return last
		}
		if m.last.CompareAndSwap(last, now) {
			return now
		}
	}
}

// leapWatch notices when wall time advances more than monotonic time does. It
// is not safe for concurrent use.
type leapWatch struct {
	clock     Clock
	tolerance time.Duration
	wall      int64
	elapsed   time.Duration
}

func newLeapWatch(c Clock, tolerance time.Duration) leapWatch {
	return leapWatch{clock: c, tolerance: tolerance, wall: c.Now().UnixMilli(), elapsed: c.Elapsed()}
}

// observe reads the clock. leap is how far the wall clock got ahead since the
// last call, 0 if that is within the tolerance.
func (w *leapWatch) observe() (wall int64, elapsed, leap time.Duration) {
	// The two are to be of one instant: time that passes between them, while
	// nothing runs here, would look like a leap the next time.
	for before := w.clock.Elapsed(); ; before = elapsed {
		wall, elapsed = w.clock.Now().UnixMilli(), w.clock.Elapsed()
		if elapsed-before <= max(w.tolerance/2, 10*time.Millisecond) {
			break
		}
	}
	ahead := fromMillis(wall-w.wall) - (elapsed - w.elapsed)
	w.wall, w.elapsed = wall, elapsed
	if ahead > w.tolerance {
		leap = ahead
	}
	return wall, elapsed, leap
}

// fromMillis converts milliseconds, saturating where a Duration ends.
func fromMillis(ms int64) time.Duration {
	const limit = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(max(ms, -limit), limit)) * time.Millisecond
}

// ManualClock is a [Clock] for tests: time stands still until it is moved. To
// let time pass, use Advance. Leap and Set simulate a wall clock that is set,
// after which a [Sweeper] pauses removals. Its methods are safe for concurrent
// use.
type ManualClock struct {
	mu      sync.Mutex // guards the rest
	wall    time.Time
	elapsed time.Duration
	timers  map[*manualTimer]struct{}
}

var (
	_ Clock = systemClock{}
	_ Clock = (*ManualClock)(nil)
)

// NewManualClock returns a clock whose wall clock shows start and whose
// monotonic time is 0.
func NewManualClock(start time.Time) *ManualClock {
	return &ManualClock{wall: start.Round(0), timers: make(map[*manualTimer]struct{})}
}

// Now returns the wall clock's time.
func (c *ManualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

// Elapsed returns the sum of what the clock was advanced by.
func (c *ManualClock) Elapsed() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.elapsed
}

// Advance moves wall and monotonic time forward by d and fires the timers that
// are due then. A negative d counts as 0.
func (c *ManualClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d = max(d, 0)
	c.wall = c.wall.Add(d)
	c.elapsed += d
	for t := range c.timers {
		if t.at <= c.elapsed {
			delete(c.timers, t)
			t.c <- c.wall
		}
	}
}

// Leap moves only the wall clock, forward or (negative d) back, as an operator
// or a time server does. It fires no timer.
func (c *ManualClock) Leap(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

// Set puts the wall clock to t. Like [ManualClock.Leap] it moves nothing else.
func (c *ManualClock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = t.Round(0)
}

// NewTimer returns a timer that fires when the clock has been advanced by d in
// total from now on, at once when d is not positive.
func (c *ManualClock) NewTimer(d time.Duration) Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &manualTimer{clock: c, at: c.elapsed + d, c: make(chan time.Time, 1)}
	if d <= 0 {
		t.c <- c.wall
	} else {
		c.timers[t] = struct{}{}
	}
	return t
}

// Timers returns how many timers wait to fire. A test that shares the clock
// with a goroutine can find out so whether that goroutine sleeps.
func (c *ManualClock) Timers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
}

type manualTimer struct {
	clock *ManualClock
	at    time.Duration
	c     chan time.Time // buffered for the one value it gets
}

func (t *manualTimer) C() <-chan time.Time { return t.c }

func (t *manualTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	_, waiting := t.clock.timers[t]
	delete(t.clock.timers, t)
	return waiting
}
