package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/shelflife-db/shelflife/bench/internal/measure"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

// A task is an operation that is repeated in a segment, and a check that it did
// what it should.
type task struct {
	op measure.Op
	// verify looks at what the operations returned and left, after the clock
	// has stopped.
	verify func(context.Context, measure.Sample) error
}

// timed is a workload that repeats an operation on an open store.
type timed struct {
	result.Workload
	workers int
	// start makes the task of a segment; segment is a number of its own.
	start func(t *turn, segment uint64, workers int) (task, error)
}

// maxWriters and maxSegments bound what a revision has room for.
const (
	maxWriters   = 1 << 10
	writerBits   = 10
	opBits       = 38
	segmentShift = writerBits + opBits
)

// repeat measures the chosen ones of list on an open store: each is warmed up,
// measured and verified.
func (t *turn) repeat(ctx context.Context, list []timed) error {
	for _, w := range list {
		if !t.wants(w.Workload) {
			continue
		}
		_, err := t.measure(ctx, w)
		if errors.Is(err, peer.ErrNotOffered) {
			t.skip(w.Workload, t.peer.Name, "not offered")
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", w.Name, err)
		}
	}
	return nil
}

func (t *turn) measure(ctx context.Context, w timed) (measure.Sample, error) {
	warm, err := t.once(ctx, w, t.warmUp(w.workers))
	if err != nil {
		return measure.Sample{}, err
	}
	var sample measure.Sample
	err = t.profiled(t.round, func() (err error) {
		sample, err = t.once(ctx, w, t.segmentAfter(warm, w.workers))
		return err
	})
	if err == nil {
		t.add(w.Workload, t.peer.Name, t.round, result.Of(sample))
	}
	return sample, err
}

func (t *turn) once(ctx context.Context, w timed, s measure.Segment) (measure.Sample, error) {
	if c, ok := t.store.(peer.WriterCounter); ok {
		c.ExpectWriters(w.workers)
	}
	t.segments++
	task, err := w.start(t, t.segments, w.workers)
	if err != nil {
		return measure.Sample{}, err
	}
	sample, err := s.Run(ctx, task.op)
	if err != nil {
		return sample, err
	}
	if err := task.verify(ctx, sample); err != nil {
		return sample, fmt.Errorf("wrong data: %w", err)
	}
	return sample, nil
}

// sources returns the randomness of each worker of a segment; asked again it
// returns the same.
func (r *run) sources(segment uint64, workers int) []*rand.Rand {
	out := make([]*rand.Rand, workers)
	for w := range out {
		out[w] = rand.New(rand.NewPCG(r.Seed^segment<<32, uint64(w)))
	}
	return out
}

// Every keepEvery-th result of a worker is kept to be verified, at most
// keepMost.
const (
	keepEvery = 61
	keepMost  = 32
)

// kept are results of one worker.
type kept[T any] struct {
	what []T
	got  []any
}

func (k *kept[T]) wants(n int) bool { return n%keepEvery == 0 && len(k.got) < keepMost }

func (k *kept[T]) add(what T, got any) {
	k.what = append(k.what, what)
	k.got = append(k.got, got)
}
