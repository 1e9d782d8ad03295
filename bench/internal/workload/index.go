package workload

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/result"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// indexDays is the time over which the deadlines lie.
const indexDays = 30

// measureIndex weighs the expiry index of a store in which each product of a
// set has a deadline within the next 30 days: the index as the catalog fills
// it, alone on the heap.
func (r *run) measureIndex(ctx context.Context, set *dataset.Set) error {
	now := time.Now().UnixMilli()
	random := rand.New(rand.NewPCG(r.Seed, 2))
	deadlines := make([]int64, set.Len())
	for i := range deadlines {
		deadlines[i] = now + random.Int64N(indexDays*peer.Day.Milliseconds())
	}
	slices.Sort(deadlines)
	source := deadlineSource{set, deadlines}
	runtime.GC()
	before := heapInUse()
	index := ttl.NewIndex(ttl.IndexOptions{})
	if err := index.Refill(ctx, source, now); err != nil {
		return err
	}
	runtime.GC()
	used := heapInUse() - before
	if index.Len() == 0 && set.Len() > 100_000 {
		return fmt.Errorf("wrong data: the index is empty")
	}
	runtime.KeepAlive(source)
	r.add(indexMemory, largePeers[0], 0, result.Observation{Value: max(used, 1) / float64(set.Len())})
	return nil
}

// deadlineSource is an expiry space.
type deadlineSource struct {
	set       *dataset.Set
	deadlines []int64 // ascending
}

var _ ttl.Source = deadlineSource{}

// Entries implements ttl.Source.
func (s deadlineSource) Entries(_ context.Context, from, to int64) iter.Seq2[ttl.Entry, error] {
	return func(yield func(ttl.Entry, error) bool) {
		first, _ := slices.BinarySearch(s.deadlines, from)
		for i := first; i < len(s.deadlines) && s.deadlines[i] < to; i++ {
			k := s.set.Key(i)
			e := encoding.Expiry{Deadline: s.deadlines[i], Kind: encoding.ExpiryProduct, Account: k.Account, ID: k.ID}
			if !yield(ttl.Entry{Deadline: e.Deadline, Key: string(encoding.AppendExpiryKey(nil, e))}, nil) {
				return
			}
		}
	}
}
