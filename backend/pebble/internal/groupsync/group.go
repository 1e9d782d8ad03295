package groupsync

import (
	"sync"
	"time"
)

const (
	// A round awaits others for no longer than maxWait, however slow the disk is,
	// and not at all for less than minWait, which is what a timer is worth.
	minWait = 50 * time.Microsecond
	maxWait = 10 * time.Millisecond
	// maxSkips is the largest number of rounds from one that awaited others in vain
	// to the next that awaits any.
	maxSkips = 64
)

// Group has callers share syncs. Its methods are safe for concurrent use.
type Group struct {
	sync  func() error
	start func(func())
	clock func() time.Duration

	// mu guards the rest. Nothing else is locked while it is held.
	mu sync.Mutex
	// busy says that a goroutine runs the rounds, or that the caller of Lead is
	// about to start one.
	busy bool
	// current is the round whose sync is under way, next the one that callers join;
	// nil if there is none.
	current, next *Round

	// awaited is how many callers the next round is made for: those of the last one
	// and those who had joined by its end, at ended. full is closed when they are
	// there, while a round awaits them, else nil.
	awaited int
	ended   time.Duration
	full    chan struct{}
	// usual is how long a sync takes, smoothed.
	usual time.Duration
	// skips is how many rounds are still to await nobody, penalty how many will be
	// after the next one that awaits others in vain.
	skips, penalty int
}

// Round is a sync that several callers wait for.
type Round struct {
	members int // guarded by the Group's mu
	done    chan struct{}
	err     error // written before done is closed, read after
}

// New returns a Group of a log. sync puts on the disk what was written to the log
// before the call; no two calls of it run at once, but for those that Lead's caller
// brings. start runs a function in a goroutine that the owner waits for before it closes
// the log. clock returns the time since any moment, and never goes back.
func New(sync func() error, start func(func()), clock func() time.Duration) *Group {
	return &Group{sync: sync, start: start, clock: clock, penalty: 1}
}

// Done is closed when the round has ended.
func (r *Round) Done() <-chan struct{} { return r.done }

// Err returns the error of the round's sync. Done must be closed.
func (r *Round) Err() error { return r.err }

// Join returns the next round. Its sync has not begun.
func (g *Group) Join() *Round {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next == nil {
		g.next = &Round{done: make(chan struct{})}
	}
	r := g.next
	r.members++
	switch {
	case !g.busy:
		g.busy = true
		g.start(g.run)
	case g.full != nil && r.members >= g.awaited:
		close(g.full)
		g.full = nil
	}
	return r
}

// Current returns the round whose sync is under way, nil if there is none.
func (g *Group) Current() *Round {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.current
}

// Lead returns a round for the caller alone if nobody else is there or awaited, else nil.
// The caller brings the sync itself, by calling Go exactly once, whatever became
// of what it was to write: others wait behind it.
func (g *Group) Lead() *Round {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy || g.wait() > 0 && g.awaited > 1 {
		return nil
	}
	g.busy = true
	r := &Round{members: 1, done: make(chan struct{})}
	g.begin(r)
	return r
}

// Go runs sync as that of r, which Lead has returned, and then the rounds of those who
// have joined since.
func (g *Group) Go(r *Round, sync func() error) {
	g.start(func() {
		g.end(r, sync)
		g.run()
	})
}

// run syncs rounds until nobody has joined one.
func (g *Group) run() {
	for r := g.take(); r != nil; r = g.take() {
		g.end(r, g.sync)
	}
}

// take returns the next round, which nobody can join any more, when those whom it
// awaits are there or late. It returns nil, and there is no run, if nobody has joined.
func (g *Group) take() *Round {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next == nil {
		g.busy = false
		return nil
	}
	if wait := g.wait(); wait > 0 && g.next.members < g.awaited {
		g.gather(wait)
	}
	r := g.next
	// Before the sync begins, and no later: a caller that joined r from here on could
	// have written what the sync does not cover.
	g.next = nil
	g.begin(r)
	return r
}

// wait returns how long the next round may await others. mu is held.
func (g *Group) wait() time.Duration {
	if g.skips > 0 {
		return 0
	}
	// From the end of the last round on: who was answered then and is not back after
	// as long as a sync takes would have missed nothing by the next one's beginning.
	if w := min(g.usual, maxWait) - (g.clock() - g.ended); w >= minWait {
		return w
	}
	return 0
}

// gather waits for at most d until all who are awaited have joined. mu is held at its
// beginning and end, and let go meanwhile.
func (g *Group) gather(d time.Duration) {
	full := make(chan struct{})
	g.full = full
	had, missing := g.next.members, g.awaited-g.next.members
	g.mu.Unlock()
	timer := time.NewTimer(d)
	select {
	case <-full:
	case <-timer.C:
	}
	timer.Stop()
	g.mu.Lock()
	g.full = nil
	if 2*(g.next.members-had) >= missing {
		g.penalty = 1
		return
	}
	g.skips = g.penalty
	g.penalty = min(2*g.penalty, maxSkips)
}

// begin notes that the sync of r is under way. mu is held.
func (g *Group) begin(r *Round) {
	g.current = r
	if g.skips > 0 {
		g.skips--
	}
}

// end syncs r and answers those who wait for it.
func (g *Group) end(r *Round, sync func() error) {
	begun := g.clock()
	r.err = sync()
	g.mu.Lock()
	g.current = nil
	g.ended = g.clock()
	g.note(g.ended - begun)
	g.awaited = r.members
	if g.next != nil {
		g.awaited += g.next.members
	}
	g.mu.Unlock()
	close(r.done)
}

// note smooths how long syncs take. One that hung counts as twice the usual: nobody is to
// await others for as long. mu is held.
func (g *Group) note(took time.Duration) {
	if g.usual == 0 {
		g.usual = min(took, maxWait)
		return
	}
	g.usual += (min(took, 2*g.usual) - g.usual) / 8
}
