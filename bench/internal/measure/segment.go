// Package measure times operations and summarizes rounds.
package measure

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Segment says how long and by how many workers an operation is repeated.
type Segment struct {
	Workers int
	// Duration ends the segment, MaxOps does too where it is not 0: that many
	// operations of all workers together.
	Duration time.Duration
	MaxOps   int
	// Until, where not nil, ends the segment when it is closed.
	Until <-chan struct{}
	// TimeEvery has every so many-th operation of a worker timed on its own,
	// so that the clock does not outweigh short operations. 0 means all.
	TimeEvery int
}

// A Sample is what a segment took.
type Sample struct {
	// Ops counts the operations of each worker.
	Ops     []int
	Elapsed time.Duration
	// P50 and P99 are of the time that one operation took, among the timed.
	P50, P99 time.Duration
	// Allocs and AllocBytes are per operation and count the whole process, the
	// peer's background work too.
	Allocs, AllocBytes float64
}

// Total returns the operations of all workers.
func (s Sample) Total() int {
	n := 0
	for _, ops := range s.Ops {
		n += ops
	}
	return n
}

// Rate returns operations per second.
func (s Sample) Rate() float64 {
	if s.Elapsed <= 0 {
		return 0
	}
	return float64(s.Total()) / s.Elapsed.Seconds()
}

// An Op is operation n, from 0, of a worker. A worker's operations run one
// after the other.
type Op func(ctx context.Context, worker, n int) error

const (
	longest   = int64(2 * time.Minute)
	hdrDigits = 2
)

// Run repeats op. The first error ends it and is returned.
func (s Segment) Run(ctx context.Context, op Op) (Sample, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers, timeEvery := max(s.Workers, 1), max(s.TimeEvery, 1)
	out := Sample{Ops: make([]int, workers)}
	histograms := make([]*hdrhistogram.Histogram, workers)
	for w := range histograms {
		histograms[w] = hdrhistogram.New(1, longest, hdrDigits)
	}
	var budget atomic.Int64
	budget.Store(int64(s.MaxOps))

	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	deadline := begin.Add(s.Duration)
	var running sync.WaitGroup
	for w := range workers {
		running.Go(func() {
			n := 0
			for ; s.MaxOps == 0 || budget.Add(-1) >= 0; n++ {
				if n%timeEvery != 0 {
					if err := op(ctx, w, n); err != nil {
						cancel(err)
						break
					}
					continue
				}
				started := time.Now()
				if err := op(ctx, w, n); err != nil {
					cancel(err)
					break
				}
				ended := time.Now()
				_ = histograms[w].RecordValue(min(int64(ended.Sub(started)), longest))
				if !ended.Before(deadline) || ctx.Err() != nil || isClosed(s.Until) {
					n++
					break
				}
			}
			out.Ops[w] = n
		})
	}
	running.Wait()
	out.Elapsed = time.Since(begin)
	runtime.ReadMemStats(&after)
	if err := ctx.Err(); err != nil {
		return out, context.Cause(ctx)
	}

	for _, h := range histograms[1:] {
		histograms[0].Merge(h)
	}
	out.P50 = time.Duration(histograms[0].ValueAtQuantile(50))
	out.P99 = time.Duration(histograms[0].ValueAtQuantile(99))
	if n := float64(out.Total()); n > 0 {
		out.Allocs = float64(after.Mallocs-before.Mallocs) / n
		out.AllocBytes = float64(after.TotalAlloc-before.TotalAlloc) / n
	}
	return out, nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
