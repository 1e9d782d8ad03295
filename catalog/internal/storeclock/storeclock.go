// Package storeclock is the clock of a store that several processes share, as one
// of them knows it by the times that came with its reads.
//
// A read brings a time that the store's clock had passed when the answer came. So
// long as the process's monotonic clock runs as fast as the store's, that time and
// what has passed here since is no later than what the store's clock shows: a
// [Clock] never runs ahead of the store, and is behind it by what the quickest
// of the latest answers took on its way. It is never behind the last read. The
// wall clock of the process has no say.
//
// Invariants:
//
//   - What Now returns is not before any time that was observed within the last
//     window.
//   - Without a read it runs on by the monotonic clock. What this and the store's
//     clock differ by in a minute, the next read puts right.
//   - A store whose clock was set back takes this one with it, within two windows.
//     A caller that needs a time which never goes back, as the catalog does, reads
//     it through ttl.Monotone.
package storeclock

import (
	"sync"
	"time"

	"github.com/shelflife-db/shelflife/ttl"
)

// window is how long an answer counts as one of the latest.
const window = 10 * time.Second

// Clock is the store's clock, with the process's monotonic one for what takes
// time. It is safe for concurrent use. Before the first time was observed it
// shows the first instant of 1970.
type Clock struct {
	ttl.Clock // whose Now is not read

	mu sync.Mutex // guards what follows
	// latest and before are the largest differences between an observed time and
	// the monotonic clock at its arrival, of the window that began at began, and
	// of the one before it.
	latest, before time.Duration
	began          time.Duration
	last           time.Duration // when a time was observed
	observed       bool
}

// New returns the clock of a store for a process that has process as its own.
func New(process ttl.Clock) *Clock { return &Clock{Clock: process} }

// Observe takes a time, in Unix milliseconds, that came with a read whose answer
// has just arrived.
func (c *Clock) Observe(ms int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	elapsed := c.Elapsed()
	c.last = elapsed
	ahead := time.Duration(ms)*time.Millisecond - elapsed
	switch age := elapsed - c.began; {
	case !c.observed || age >= 2*window:
		c.latest, c.before, c.began, c.observed = ahead, ahead, elapsed, true
	case age >= window:
		c.before, c.latest, c.began = c.latest, ahead, elapsed
	default:
		c.latest = max(c.latest, ahead)
	}
}

// Observed reports whether a time was observed.
func (c *Clock) Observed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.observed
}

// Fresh reports whether a time was observed within the last window: what is judged by
// the clock without a read of its own is then judged as by one of the latest.
func (c *Clock) Fresh() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.observed && c.Elapsed()-c.last < window
}

// Now returns the store's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.observed {
		return time.UnixMilli(0)
	}
	return time.Unix(0, 0).Add(max(c.latest, c.before) + c.Elapsed())
}
