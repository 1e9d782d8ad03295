package scopelock

import "sync/atomic"

// Applying stands for the position of a commit that is being applied.
const Applying = ^uint64(0)

// A Position is a place in the log up to which something holds. It starts at 0,
// before the first commit, and is safe for concurrent use.
type Position struct{ n atomic.Uint64 }

// Load returns the position.
func (p *Position) Load() uint64 { return p.n.Load() }

// Raise moves the position up to n, unless it is there or above.
func (p *Position) Raise(n uint64) {
	for o := p.n.Load(); o < n; o = p.n.Load() {
		if p.n.CompareAndSwap(o, n) {
			return
		}
	}
}

// set moves the position to n, which may be below: after Applying.
func (p *Position) set(n uint64) { p.n.Store(n) }
