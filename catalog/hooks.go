package catalog

import (
	"context"
	"sync"

	"github.com/shelflife-db/shelflife/backend"
)

// expireHooks calls Options.OnExpire in one goroutine, off everybody's path.
type expireHooks struct {
	fn func(Expired)
	// durable returns when what is visible under the scopes is durable.
	durable func(context.Context, []backend.Scope) error

	// mu guards the fields below. It is not held while fn runs.
	mu      sync.Mutex
	changed sync.Cond
	queue   []expiredTogether
	queued  int // products in queue
	stopped bool
	// room is nil while the queue is not full, and closed when it has room again.
	room chan struct{}
}

// expiredTogether are products whose expiry one Update committed. Unless scopes
// is nil they are reported once what is visible there is durable: what a crash
// brings back expires again, and must not be reported twice.
type expiredTogether struct {
	products []Expired
	scopes   []backend.Scope
}

// maxHookQueue is how many expiries may wait before the sweeper waits too.
const maxHookQueue = 1024

func newExpireHooks(fn func(Expired)) *expireHooks {
	h := &expireHooks{fn: fn}
	h.changed.L = &h.mu
	return h
}

// add queues what a commit expired; see expiredTogether.
func (h *expireHooks) add(products []Expired, scopes []backend.Scope) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queue = append(h.queue, expiredTogether{products, scopes})
	h.queued += len(products)
	if h.queued >= maxHookQueue && h.room == nil {
		h.room = make(chan struct{})
	}
	h.changed.Signal()
}

// awaitRoom returns when the queue is not full. Only the sweeper waits: what it
// does can be done later.
func (h *expireHooks) awaitRoom(ctx context.Context) error {
	h.mu.Lock()
	room := h.room
	h.mu.Unlock()
	if room == nil {
		return nil
	}
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run calls fn until stop was called and the queue is empty.
func (h *expireHooks) run() {
	for {
		h.mu.Lock()
		for len(h.queue) == 0 && !h.stopped {
			h.changed.Wait()
		}
		queue := h.queue
		h.queue, h.queued = nil, 0
		if h.room != nil {
			close(h.room)
			h.room = nil
		}
		h.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		for _, q := range queue {
			h.report(q)
		}
	}
}

// report calls fn for each of q, for none where it can't be known that they stay
// expired.
func (h *expireHooks) report(q expiredTogether) {
	if q.scopes != nil && h.durable(context.Background(), q.scopes) != nil {
		return
	}
	for products := q.products; len(products) > 0; {
		products = products[h.call(products):]
	}
}

// call calls fn for each, and returns for how many it did: all, unless fn ended
// its goroutine, as a test that fails does.
func (h *expireHooks) call(queue []Expired) int {
	called := make(chan int)
	go func() {
		n := 0
		defer func() { called <- n }()
		for _, e := range queue {
			n++
			h.fn(e)
		}
	}()
	return <-called
}

// stop has run end when it has called fn for everything that was queued.
func (h *expireHooks) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	h.changed.Broadcast()
}
