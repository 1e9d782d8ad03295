package workload

import (
	"context"
	"errors"
	"fmt"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/measure"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

// logMeter is a store that knows how much it has written to its log.
type logMeter interface {
	LogBytes() uint64
	// SettleUses returns when every use has reached the log.
	SettleUses(ctx context.Context) error
}

// useSegments is how many times longer buffered uses are measured than others,
// so that a full run sees what is put off several times.
const useSegments = 3

// uses measures uses that are not durable. They have turns of their own, behind those of
// the edits: what is put off of them is written in the background when the store is
// open again, beside what comes next.
func (r *run) uses(ctx context.Context) error {
	all := []result.Workload{useBuffered, useLog, touch}
	return r.turns(ctx, r.options(false), all, func(ctx context.Context, t *turn) error {
		if err := t.touch(ctx); err != nil {
			return err
		}
		if err := t.bufferedUses(ctx); err != nil {
			return err
		}
		return t.bufferedTouches(ctx)
	})
}

// bufferedUses measures uses, and the log that they take where it is known.
func (t *turn) bufferedUses(ctx context.Context) error {
	meter, metered := t.store.(logMeter)
	metered = metered && t.wants(useLog)
	if !metered && !t.wants(useBuffered) {
		return nil
	}
	var before uint64
	sample, ok, err := t.manyUses(ctx, timed{useBuffered, t.Readers, useTask}, func() error {
		if !metered {
			return nil
		}
		if err := meter.SettleUses(ctx); err != nil {
			return err
		}
		before = meter.LogBytes()
		return nil
	})
	if err != nil || !ok || !metered {
		return err
	}
	if err := meter.SettleUses(ctx); err != nil {
		return err
	}
	perUse := float64(meter.LogBytes()-before) / float64(sample.Total())
	t.add(useLog, t.peer.Name, t.round, result.Observation{Value: perUse})
	return nil
}

// bufferedTouches measures uses that return no product.
func (t *turn) bufferedTouches(ctx context.Context) error {
	if !t.wants(touch) {
		return nil
	}
	_, _, err := t.manyUses(ctx, timed{touch, t.Readers, touchTask}, func() error { return nil })
	return err
}

// manyUses measures uses of one kind, and calls between when they have warmed up. ok
// is false where the peer has none.
func (t *turn) manyUses(ctx context.Context, uses timed, between func() error) (sample measure.Sample, ok bool, err error) {
	warm, err := t.once(ctx, uses, t.warmUp(uses.workers))
	if errors.Is(err, peer.ErrNotOffered) {
		t.skip(uses.Workload, t.peer.Name, "not offered")
		return sample, false, nil
	}
	if err == nil {
		err = between()
	}
	if err != nil {
		return sample, false, err
	}
	segment := t.segmentAfter(warm, uses.workers)
	segment.Duration *= useSegments
	err = t.profiled(t.round, func() (err error) {
		sample, err = t.once(ctx, uses, segment)
		return err
	})
	if err != nil {
		return sample, false, fmt.Errorf("%s: %w", uses.Name, err)
	}
	t.add(uses.Workload, t.peer.Name, t.round, result.Of(sample))
	return sample, true, nil
}

// useTask uses products.
func useTask(t *turn, segment uint64, workers int) (task, error) {
	return t.usesBy(t.store.Use, segment, workers)
}

// touchTask uses products that it does not ask for.
func touchTask(t *turn, segment uint64, workers int) (task, error) {
	toucher, ok := t.store.(peer.Toucher)
	if !ok {
		return task{}, peer.ErrNotOffered
	}
	return t.usesBy(toucher.Touch, segment, workers)
}

// usesBy uses products. Afterwards they must say so, and be unchanged otherwise.
func (t *turn) usesBy(use func(context.Context, dataset.Key) error, segment uint64, workers int) (task, error) {
	var access dataset.Access = t.zipf
	random := t.sources(segment, workers)
	op := func(ctx context.Context, w, _ int) error {
		return use(ctx, t.keys[access.Next(random[w])])
	}
	verify := func(ctx context.Context, s measure.Sample) error {
		for w, r := range t.sources(segment, workers) {
			for range min(s.Ops[w], verifiedProducts/workers+1) {
				i := access.Next(r)
				got, err := t.store.Get(ctx, t.keys[i], true)
				if err != nil {
					return err
				}
				if _, err := t.check(i, got); err != nil {
					return err
				}
				if p, err := t.store.Product(got); err != nil || !p.Used {
					return errors.Join(fmt.Errorf("product %v shows no use", t.keys[i]), err)
				}
			}
		}
		return nil
	}
	return task{op, verify}, nil
}
