// Package expiryhooks reports products that have expired: each at most once, one
// after the other, off the path of every call.
//
// # The invariant
//
// What is reported has expired for good. Products are queued when the Update
// that removed or replaced them has ended, so never for one that failed. If it
// was not durable yet, they are reported only once it is: a crash could bring
// them back, they would expire again, and be reported twice. Where that can't be
// known, they are not reported at all: at most once, not at least once.
//
// The queue is not bounded by itself, since an upsert that replaces an expired
// product must not wait. The sweeper, whose work can be done later, calls
// [Hooks.AwaitRoom] before each batch.
package expiryhooks

import (
	"context"
	"sync"
)

// queueLength is how many expiries may wait before AwaitRoom waits too.
const queueLength = 1024

// Hooks calls a function for each expiry E. It is safe for concurrent use.
type Hooks[E any] struct {
	report func(E)

	// mu guards the fields below. It is not held while report runs.
	mu      sync.Mutex
	changed sync.Cond
	queue   []batch[E]
	queued  int // expiries in queue
	stopped bool
	// room is nil while the queue is not full, and closed when it has room again.
	room chan struct{}
}

// batch is what one Update expired. Unless durable is nil it is reported once that
// has returned nil.
type batch[E any] struct {
	expired []E
	durable func(context.Context) error
}

// New returns hooks that call report in Run.
func New[E any](report func(E)) *Hooks[E] {
	h := &Hooks[E]{report: report}
	h.changed.L = &h.mu
	return h
}

// Add queues what an Update has expired. Where that is not durable yet, durable
// returns nil when it is, and an error where that can't be known; otherwise it is nil.
func (h *Hooks[E]) Add(expired []E, durable func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queue = append(h.queue, batch[E]{expired, durable})
	h.queued += len(expired)
	if h.queued >= queueLength && h.room == nil {
		h.room = make(chan struct{})
	}
	h.changed.Signal()
}

// AwaitRoom returns when the queue is not full, or with the error of ctx.
func (h *Hooks[E]) AwaitRoom(ctx context.Context) error {
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

// Run reports what is queued until Stop was called and the queue is empty.
func (h *Hooks[E]) Run() {
	for {
		queue := h.take()
		if len(queue) == 0 {
			return
		}
		for _, b := range queue {
			h.reportBatch(b)
		}
	}
}

// take returns what is queued as soon as there is something, nothing where the
// queue is empty after Stop.
func (h *Hooks[E]) take() []batch[E] {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.queue) == 0 && !h.stopped {
		h.changed.Wait()
	}
	queue := h.queue
	h.queue, h.queued = nil, 0
	if h.room != nil {
		close(h.room)
		h.room = nil
	}
	return queue
}

// reportBatch reports each of b, none where it can't be known that they stay
// expired.
func (h *Hooks[E]) reportBatch(b batch[E]) {
	if b.durable != nil && b.durable(context.Background()) != nil {
		return
	}
	for expired := b.expired; len(expired) > 0; {
		expired = expired[h.call(expired):]
	}
}

// call reports each, and returns how many it did: all, unless report ended its
// goroutine, as a test that fails does.
func (h *Hooks[E]) call(expired []E) int {
	called := make(chan int)
	go func() {
		n := 0
		defer func() { called <- n }()
		for _, e := range expired {
			n++
			h.report(e)
		}
	}()
	return <-called
}

// Stop has Run end when it has reported everything that was queued.
func (h *Hooks[E]) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	h.changed.Broadcast()
}
