package budget

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/semaphore"
)

var (
	// ErrFull says that all requests together hold what they may.
	ErrFull = errors.New("budget: the pool is used up")
	// ErrShare says that the requests of the account hold what they may, whatever
	// the others do.
	ErrShare = errors.New("budget: the account's share is used up")
	// ErrTooLarge says that a hold asks for more than it could ever get.
	ErrTooLarge = errors.New("budget: more than an account may hold")
)

// Pool is an amount that requests share. It is safe for concurrent use.
type Pool struct {
	size, share int64
	// all is what is left of size. It is taken after an account's share, and
	// given back before it.
	all *semaphore.Weighted

	// mu guards the fields below. Nothing blocks while it is held.
	mu       sync.Mutex
	held     int64
	accounts map[string]*account
	// spare are accounts without holds, to be used again: an account that makes one
	// request after the other would cost two allocations for each.
	spare []*account
}

// account is what the holds of one account have in common.
type account struct {
	left  *semaphore.Weighted // of the share, all of it where there are no holds
	holds int                 // that have asked for something; the account goes with the last
}

// maxSpare bounds what a pool keeps of accounts that have gone.
const maxSpare = 64

// NewPool returns a pool of the size, of which each account may hold share.
// Both are positive; a share above the size counts as the size.
func NewPool(size, share int64) *Pool {
	return &Pool{
		size:     size,
		share:    min(share, size),
		all:      semaphore.NewWeighted(size),
		accounts: make(map[string]*account),
	}
}

// Size returns the size and the share of an account.
func (p *Pool) Size() (size, share int64) { return p.size, p.share }

// Held returns what all open holds have at the moment.
func (p *Pool) Held() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// Open returns a hold for a request of the account, with nothing in it. It must
// be closed, and costs next to nothing before it asks for something.
func (p *Pool) Open(name string) Hold { return Hold{pool: p, name: name} }

// join returns the account of a hold that asks for something for the first time.
func (p *Pool) join(name string) *account {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.accounts[name]
	if a == nil {
		if n := len(p.spare) - 1; n >= 0 {
			a, p.spare = p.spare[n], p.spare[:n]
		} else {
			a = &account{left: semaphore.NewWeighted(p.share)}
		}
		p.accounts[name] = a
	}
	a.holds++
	return a
}

// leave is called when a hold of the account has given all back.
func (p *Pool) leave(name string, a *account) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.holds--; a.holds > 0 {
		return
	}
	delete(p.accounts, name)
	if len(p.spare) < maxSpare {
		p.spare = append(p.spare, a)
	}
}

// Hold is what one request holds. One goroutine uses it at a time, and it must not
// be copied once it was asked for something.
type Hold struct {
	pool    *Pool
	account *account // nil until the hold asks for something
	name    string
	has     int64
	closed  bool
}

// Grow takes n more, at once or not at all: then with [ErrShare] or [ErrFull].
// A request that has something already must not wait for more, since what it
// waits for may be held by others that wait for what it has.
func (h *Hold) Grow(n int64) error {
	if n <= 0 {
		return nil
	}
	if h.account == nil {
		h.account = h.pool.join(h.name)
	}
	if !h.account.left.TryAcquire(n) {
		return ErrShare
	}
	if !h.pool.all.TryAcquire(n) {
		h.account.left.Release(n)
		return ErrFull
	}
	h.take(n)
	return nil
}

// Await takes n as soon as it is to be had; the hold must have nothing. It
// fails with [ErrTooLarge], or when ctx is done first with [ErrShare] or
// [ErrFull], whichever it was waiting for. Holds are served in the order in
// which they came.
func (h *Hold) Await(ctx context.Context, n int64) error {
	switch {
	case n <= 0:
		return nil
	case h.has > 0:
		return errors.New("budget: a hold that has something must not wait")
	case n > h.pool.share:
		return ErrTooLarge
	}
	if h.account == nil {
		h.account = h.pool.join(h.name)
	}
	// The account's share comes first: what waits for it takes nothing from the
	// other accounts, and what waits for the pool takes only from its own.
	if !acquire(ctx, h.account.left, n) {
		return ErrShare
	}
	if !acquire(ctx, h.pool.all, n) {
		h.account.left.Release(n)
		return ErrFull
	}
	h.take(n)
	return nil
}

// acquire takes n of s, and reports whether it did before ctx was done. What is
// to be had at once is taken even if ctx is done: Acquire alone may not, and
// then ErrShare would be told where it is the pool that is used up.
func acquire(ctx context.Context, s *semaphore.Weighted, n int64) bool {
	return s.TryAcquire(n) || s.Acquire(ctx, n) == nil
}

func (h *Hold) take(n int64) {
	h.has += n
	h.pool.mu.Lock()
	h.pool.held += n
	h.pool.mu.Unlock()
}

// ShrinkTo gives back all but n; it does nothing where the hold has no more.
func (h *Hold) ShrinkTo(n int64) {
	give := h.has - max(n, 0)
	if give <= 0 {
		return
	}
	h.has -= give
	h.pool.mu.Lock()
	h.pool.held -= give
	h.pool.mu.Unlock()
	h.pool.all.Release(give)
	h.account.left.Release(give)
}

// Has returns what the hold has.
func (h *Hold) Has() int64 { return h.has }

// Close gives everything back. Calling it again does nothing; the hold must
// not be used otherwise.
func (h *Hold) Close() {
	if h.closed {
		return
	}
	h.closed = true
	if h.account == nil {
		return
	}
	h.ShrinkTo(0)
	h.pool.leave(h.name, h.account)
}
