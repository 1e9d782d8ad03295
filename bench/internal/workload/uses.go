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

// bufferedUses measures uses, and the log that they take where it is known.
func (t *turn) bufferedUses(ctx context.Context) error {
	meter, metered := t.store.(logMeter)
	metered = metered && t.wants(useLog)
	if !metered && !t.wants(useBuffered) {
		return nil
	}
	uses := timed{useBuffered, t.Readers, useTask}
	warm, err := t.once(ctx, uses, t.warmUp(uses.workers))
	if errors.Is(err, peer.ErrNotOffered) {
		t.skip(useBuffered, t.peer.Name, "not offered")
		return nil
	}
	if err != nil {
		return err
	}
	var before uint64
	if metered {
		if err := meter.SettleUses(ctx); err != nil {
			return err
		}
		before = meter.LogBytes()
	}
	segment := t.segmentAfter(warm, uses.workers)
	segment.Duration *= useSegments
	var sample measure.Sample
	err = t.profiled(t.round, func() (err error) {
		sample, err = t.once(ctx, uses, segment)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", useBuffered.Name, err)
	}
	t.add(useBuffered, t.peer.Name, t.round, result.Of(sample))
	if !metered {
		return nil
	}
	if err := meter.SettleUses(ctx); err != nil {
		return err
	}
	perUse := float64(meter.LogBytes()-before) / float64(sample.Total())
	t.add(useLog, t.peer.Name, t.round, result.Observation{Value: perUse})
	return nil
}

// useTask uses products. Afterwards they must say so, and be unchanged
// otherwise.
func useTask(t *turn, segment uint64, workers int) (task, error) {
	var access dataset.Access = t.zipf
	random := t.sources(segment, workers)
	op := func(ctx context.Context, w, _ int) error {
		return t.store.Use(ctx, t.keys[access.Next(random[w])])
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
