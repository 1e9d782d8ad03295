package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/measure"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

// sweepShare is the part of a store's size that expires in a sweep.
const sweepShare = 10

// behind is how far the clock of a store is put back so that products of one
// day can expire while it is open.
const behind = 2 * peer.Day

// sweeps has products expire, reads them, and removes them while a reader
// works.
func (r *run) sweeps(ctx context.Context) error {
	o := r.options(true)
	o.Offset = -behind
	list := []result.Workload{getExpired, sweepRate, sweepTail}
	return r.turns(ctx, o, list, func(ctx context.Context, t *turn) error { return t.expire(ctx) })
}

func (t *turn) expire(ctx context.Context) error {
	t.segments++
	// What the workloads before have left to compact is none of a sweep's work.
	if err := t.store.Compact(ctx); err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	set := t.set.Mortal(fmt.Sprintf("mortal%d", t.segments)).Resize(max(t.set.Len()/sweepShare, 1))
	for begin := 0; begin < set.Len(); begin += importBatch {
		if err := t.store.Import(ctx, set.Batch(begin, begin+importBatch)); err != nil {
			return err
		}
	}
	if t.wants(sweepTail) {
		if err := t.touch(ctx); err != nil {
			return err
		}
	}
	reader := timed{Workload: getZipf, workers: 1, start: getTask(t.zipf)}
	if _, err := t.once(ctx, reader, t.warmUp(1)); err != nil {
		return err
	}
	rest, err := t.once(ctx, reader, t.segment(1))
	if err != nil {
		return err
	}
	t.store.Advance(behind)
	if p, ok := t.store.(peer.SweepPreparer); ok {
		if err := p.PrepareSweep(ctx, set.Len()); err != nil {
			return err
		}
	}
	if err := t.readExpired(ctx, set); err != nil {
		return err
	}
	return t.sweep(ctx, set, reader, rest)
}

// readExpired measures reads of what has expired and was not removed yet.
func (t *turn) readExpired(ctx context.Context, set *dataset.Set) error {
	if t.peer.Floor {
		t.skip(getExpired, t.peer.Name, "the floor knows no lifetimes")
		return nil
	}
	keys := set.Keys()
	return t.repeat(ctx, []timed{{getExpired, t.Readers, func(t *turn, segment uint64, workers int) (task, error) {
		random := t.sources(segment, workers)
		op := func(ctx context.Context, w, _ int) error {
			return expectNotFound(t.store.Get(ctx, keys[random[w].IntN(len(keys))], false))
		}
		return task{op, verifyNothing}, nil
	}}})
}

// sweep removes set while a reader works.
func (t *turn) sweep(ctx context.Context, set *dataset.Set, reader timed, rest measure.Sample) error {
	if !t.wants(sweepRate, sweepTail) {
		return nil
	}
	swept := make(chan struct{})
	reading := make(chan error, 1)
	var during measure.Sample
	go func() {
		var err error
		during, err = t.once(ctx, reader, measure.Segment{Workers: 1, Duration: time.Hour, Until: swept})
		reading <- err
	}()
	var removed int
	var elapsed time.Duration
	err := t.profiled(t.round, func() (err error) {
		began := time.Now()
		removed, err = t.store.Sweep(ctx)
		elapsed = time.Since(began)
		return err
	})
	close(swept)
	readErr := <-reading
	if errors.Is(err, peer.ErrNotOffered) && readErr == nil {
		t.skip(sweepRate, t.peer.Name, "removal can't be asked for")
		t.skip(sweepTail, t.peer.Name, "removal can't be asked for")
		return nil
	}
	if err := errors.Join(err, readErr); err != nil {
		return err
	}
	if err := t.checkSwept(ctx, set, removed); err != nil {
		return fmt.Errorf("wrong data: %w", err)
	}
	t.add(sweepRate, t.peer.Name, t.round, result.Observation{Value: float64(removed) / elapsed.Seconds(), P50: during.P50, P99: during.P99})
	t.add(sweepTail, t.peer.Name, t.round, result.Observation{Value: float64(during.P99) / float64(max(rest.P99, 1))})
	return nil
}

func (t *turn) checkSwept(ctx context.Context, set *dataset.Set, removed int) error {
	if removed < set.Len() {
		return fmt.Errorf("the sweep removed %d of %d", removed, set.Len())
	}
	for i := 0; i < set.Len(); i += max(1, set.Len()/verifiedProducts) {
		if err := expectNotFound(t.store.Get(ctx, set.Key(i), false)); err != nil {
			return err
		}
	}
	return nil
}
