package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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
	if !r.wants(importLarge, heapLarge, diskLarge, mixedLarge, openCleanLarge, openKilledLarge) {
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
	took, err := r.importAndWeigh(ctx, p, dir, set, importLarge, diskLarge)
	if err != nil {
		return err
	}
	r.add(heapLarge, p.Name, 0, result.Observation{Value: steadiness(took.heaps)})
	if r.wants(mixedLarge) {
		if err := r.mixed(ctx, p, dir, set); err != nil {
			return err
		}
	}
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

// mixedWriters is how many goroutines do a mixed load, and mixedReads how many reads
// come to an edit.
const (
	mixedWriters = 16
	mixedReads   = 9
)

// mixed has goroutines read and edit a large store that is as its import left it.
func (r *run) mixed(ctx context.Context, p peer.Peer, dir string, set *dataset.Set) error {
	store, err := p.Open(ctx, dir, r.options(false))
	if err != nil {
		return err
	}
	on := *r
	on.set, on.keys, on.zipf = set, set.Keys(), dataset.NewZipf(set.Len(), r.Seed)
	for round := range r.Rounds {
		t := &turn{&on, p, store, round}
		if err := t.repeat(ctx, []timed{{mixedLarge, mixedWriters, mixedTask(on.zipf)}}); err != nil {
			return errors.Join(err, store.Close())
		}
	}
	r.segments = on.segments
	return store.Close()
}

// importAndWeigh makes a store, and notes at which rate and what it takes on the disk
// when it is closed.
func (r *run) importAndWeigh(ctx context.Context, p peer.Peer, dir string, set *dataset.Set, rate, disk result.Workload) (imported, error) {
	took, err := r.importSet(ctx, p, dir, set)
	if err != nil {
		return imported{}, err
	}
	size, err := dirSize(dir)
	if err != nil {
		return imported{}, err
	}
	r.add(rate, p.Name, 0, result.Observation{Value: took.rate(set)})
	r.add(disk, p.Name, 0, result.Observation{Value: float64(size) / float64(set.Len())})
	return took, nil
}

// larger measures an import of normal products that is several times the large
// one.
func (r *run) larger(ctx context.Context) error {
	if r.Larger == 0 || !r.wants(importLarger, heapLarger, diskLarger) {
		return nil
	}
	set := r.set.Resize(r.Larger)
	for _, p := range r.peers {
		if p.Name != largePeers[0] {
			continue
		}
		dir := filepath.Join(r.Dir, p.Name+"-larger")
		took, err := r.importAndWeigh(ctx, p, dir, set, importLarger, diskLarger)
		if err != nil {
			return fmt.Errorf("%s: larger store: %w", p.Name, err)
		}
		r.add(heapLarger, p.Name, 0, result.Observation{Value: steadiness(took.heaps)})
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
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
	if r.Huge == 0 || !r.wants(hugeImport, hugeSlower, hugeDisk, hugeManifest, hugeMemory, hugeGet, hugeOpen) {
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
	took, err := r.importAndWeigh(ctx, p, dir, set, hugeImport, hugeDisk)
	if err != nil {
		return err
	}
	r.add(hugeSlower, p.Name, 0, result.Observation{Value: took.slowdown()})
	if err := errors.Join(r.weighManifest(p, dir), r.hugeMemory(ctx, p, dir)); err != nil {
		return err
	}
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

// weighManifest notes the size of Pebble's MANIFEST, which an opening reads.
func (r *run) weighManifest(p peer.Peer, dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
	if err != nil {
		return err
	}
	size := int64(0)
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		size += info.Size()
	}
	r.add(hugeManifest, p.Name, 0, result.Observation{Value: float64(size) / 1024})
	return nil
}

// cacheMeter is a store that knows how large its block cache has grown.
type cacheMeter interface{ CacheBytes() int64 }

// hugeMemory notes what an opened store holds before its first read: the heap after
// a collection and the block cache, above those of an empty store.
func (r *run) hugeMemory(ctx context.Context, p peer.Peer, dir string) error {
	empty := dir + "-empty"
	if err := os.Mkdir(empty, 0o700); err != nil {
		return err
	}
	least, err := r.memoryOf(ctx, p, empty)
	if err != nil {
		return err
	}
	most, err := r.memoryOf(ctx, p, dir)
	if err != nil {
		return err
	}
	r.add(hugeMemory, p.Name, 0, result.Observation{Value: max(most-least, 1) / (1 << 20)})
	return os.RemoveAll(empty)
}

func (r *run) memoryOf(ctx context.Context, p peer.Peer, dir string) (bytes float64, err error) {
	store, err := p.Open(ctx, dir, r.options(false))
	if err != nil {
		return 0, err
	}
	runtime.GC()
	bytes = heapInUse()
	if m, ok := store.(cacheMeter); ok {
		bytes += float64(m.CacheBytes())
	}
	return bytes, store.Close()
}
