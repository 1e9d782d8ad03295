package workload

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

// largePeers are those of which the goals ask something at larger sizes.
var largePeers = []string{"shelflife", "pebble"}

// large measures what should not depend on how much is stored.
func (r *run) large(ctx context.Context) error {
	if r.Large == 0 {
		return nil
	}
	set := r.set.Resize(r.Large)
	if r.wants(indexMemory) && r.hasPeer(largePeers[0]) {
		if err := r.measureIndex(ctx, set); err != nil {
			return err
		}
	}
	if !r.wants(importLarge, heapLarge, openCleanLarge, openKilledLarge) {
		return nil
	}
	for _, p := range r.peers {
		if slices.Contains(largePeers, p.Name) {
			if err := r.largeStore(ctx, p, set); err != nil {
				return fmt.Errorf("%s: large store: %w", p.Name, err)
			}
		}
	}
	return nil
}

// largeStore makes one large store and removes it: two would take the disk.
func (r *run) largeStore(ctx context.Context, p peer.Peer, set *dataset.Set) error {
	dir := filepath.Join(r.Dir, p.Name+"-large")
	took, err := r.importSet(ctx, p, dir, set)
	if err != nil {
		return err
	}
	r.add(importLarge, p.Name, 0, result.Observation{Value: took.rate(set)})
	r.add(heapLarge, p.Name, 0, result.Observation{Value: steadiness(took.heaps)})
	for round := range r.Rounds {
		if r.wants(openCleanLarge) {
			if err := r.timeOpenClean(ctx, openCleanLarge, p, dir, set, round); err != nil {
				return err
			}
		}
		if r.wants(openKilledLarge) {
			if err := r.timeOpenKilled(ctx, openKilledLarge, p, dir, set, round); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(dir)
}

// steadiness compares the largest heap of the second half of an import with
// the largest of the first: memory that does not grow with what was imported
// gives about one.
func steadiness(heaps []float64) float64 {
	if len(heaps) < 2 {
		return 1
	}
	half := len(heaps) / 2
	return slices.Max(heaps[half:]) / slices.Max(heaps[:half])
}

// huge measures a store of small products that is larger than memory should
// have to be.
func (r *run) huge(ctx context.Context) error {
	if r.Huge == 0 || !r.wants(hugeImport, hugeGet, hugeOpen) {
		return nil
	}
	for _, p := range r.peers {
		if p.Name != largePeers[0] {
			continue
		}
		if err := r.hugeStore(ctx, p); err != nil {
			return fmt.Errorf("%s: huge store: %w", p.Name, err)
		}
	}
	return nil
}

func (r *run) hugeStore(ctx context.Context, p peer.Peer) error {
	set := r.set.Small().Resize(r.Huge)
	dir := filepath.Join(r.Dir, p.Name+"-huge")
	took, err := r.importSet(ctx, p, dir, set)
	if err != nil {
		return err
	}
	r.add(hugeImport, p.Name, 0, result.Observation{Value: took.rate(set)})
	// The working set is spread over the whole store.
	hot := *r
	hot.set = set.Every(max(set.Len()/hotProducts, 1))
	hot.keys = hot.set.Keys()
	access := dataset.Uniform(hot.set.Len())
	for round := range r.Rounds {
		if r.wants(hugeOpen) {
			if err := r.timeOpenClean(ctx, hugeOpen, p, dir, set, round); err != nil {
				return err
			}
		}
		if !r.wants(hugeGet) {
			continue
		}
		store, err := p.Open(ctx, dir, r.options(false))
		if err != nil {
			return err
		}
		t := &turn{&hot, p, store, round}
		if err := t.repeat(ctx, []timed{{hugeGet, r.Readers, getTask(access)}}); err != nil {
			return err
		}
		if err := store.Close(); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}
