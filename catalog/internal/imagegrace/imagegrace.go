// Package imagegrace bounds, in bytes, the image bytes that products have released
// and that stay for their readers for a while.
//
// The invariant: what waits here never takes more than the budget for longer than
// the owner of the queue needs to remove the excess, the oldest first. Time ends a
// grace too; the sweeper sees to that, and the queue only stops counting what it
// has seen to. It is a count in memory of what this process has released: a caller that
// removes by it looks first whether the bytes still wait, since an Update that
// released them may have been taken back, and others may have removed them.
package imagegrace

import (
	"sync"

	"github.com/shelflife-db/shelflife/encoding"
)

// A Blob is image bytes without an owner.
type Blob struct {
	Account  string
	ID       encoding.BlobID
	Size     int64 // in bytes
	Deadline int64 // when its grace ends, in Unix milliseconds
}

// overhead is what a blob is counted with beside its bytes: the budget also bounds
// how many wait.
const overhead = 4 << 10

// A Queue has the blobs that wait. It is safe for concurrent use.
type Queue struct {
	budget int64
	over   chan struct{}

	mu    sync.Mutex // guards the rest; nothing is locked below it
	blobs []Blob     // the oldest first
	bytes int64      // of blobs, with overhead
}

// New returns an empty queue. A negative budget has room for everything, and nothing
// is kept.
func New(budget int64) *Queue { return &Queue{budget: budget, over: make(chan struct{}, 1)} }

// Add has a blob wait. It never blocks.
func (q *Queue) Add(b Blob) {
	if q.budget < 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.blobs = append(q.blobs, b)
	q.bytes += b.Size + overhead
	if q.bytes > q.budget {
		select {
		case q.over <- struct{}{}:
		default:
		}
	}
}

// Bytes returns how much waits, as the budget counts it.
func (q *Queue) Bytes() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

// Over receives after Add when more waits than the budget has room for.
func (q *Queue) Over() <-chan struct{} { return q.over }

// Excess takes from the queue up to n of the oldest blobs that it has no room for,
// to be removed now. Those whose grace is over count no more.
func (q *Queue) Excess(now int64, n int) (excess []Blob) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.blobs) > 0 && len(excess) < n {
		b := q.blobs[0]
		ended := b.Deadline <= now
		if !ended && q.bytes <= q.budget {
			break
		}
		q.blobs[0] = Blob{} // so that its account's name can be collected
		q.blobs = q.blobs[1:]
		q.bytes -= b.Size + overhead
		if !ended {
			excess = append(excess, b)
		}
	}
	return excess
}

// Return puts back what Excess has taken and could not be removed.
func (q *Queue) Return(excess []Blob) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.blobs = append(excess, q.blobs...)
	for _, b := range excess {
		q.bytes += b.Size + overhead
	}
}
