package workload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"time"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

// importBatch is how many products a store gets at a time.
const importBatch = 1000

// mostImports bounds the rounds of imports, which take long.
const mostImports = 3

// load makes the base store of each peer, which is the work of one round of
// the import, and leaves it compacted.
func (r *run) load(ctx context.Context) error {
	if !r.needsBase() {
		return nil
	}
	rounds := 1
	if r.wants(importBase) {
		rounds = min(r.Rounds, mostImports)
	}
	for round := range rounds {
		for _, p := range r.peers {
			if p.Data != "" && r.hasPeer(p.Data) {
				continue
			}
			if err := os.RemoveAll(r.dir(p)); err != nil {
				return err
			}
			took, err := r.importBase(ctx, p, round)
			if err != nil {
				return fmt.Errorf("%s: import: %w", p.Name, err)
			}
			if round == rounds-1 {
				if err := r.settle(ctx, p, took); err != nil {
					return fmt.Errorf("%s: %w", p.Name, err)
				}
			}
		}
	}
	return nil
}

// needsBase reports whether anything was chosen that works on the base stores.
func (r *run) needsBase() bool {
	base := r.Config
	base.Large, base.Larger, base.Huge = 0, 0, 0
	return len(r.peers) > 0 && slices.ContainsFunc(base.All(), func(w result.Workload) bool {
		return r.wants(w) && !slices.Contains(httpWorkloads, w)
	})
}

func (r *run) hasPeer(name string) bool {
	for _, p := range r.peers {
		if p.Name == name {
			return true
		}
	}
	return false
}

func (r *run) importBase(ctx context.Context, p peer.Peer, round int) (took imported, err error) {
	err = r.profiled(round, func() (err error) {
		took, err = r.importSet(ctx, p, r.dir(p), r.set)
		return err
	})
	if err == nil && r.wants(importBase) {
		r.add(importBase, p.Name, round, result.Observation{Value: took.rate(r.set)})
	}
	return took, err
}

// imported is what an import took.
type imported struct {
	elapsed time.Duration
	// tenth is what the first tenth of the products took.
	tenth time.Duration
	heaps []float64 // bytes in use after each batch
}

func (i imported) rate(s *dataset.Set) float64 { return float64(s.Len()) / i.elapsed.Seconds() }

// slowdown is how much longer a product took than one of the first tenth.
func (i imported) slowdown() float64 { return i.elapsed.Seconds() / 10 / i.tenth.Seconds() }

// importSet imports a set into a new store. The clock runs while the store has
// products to write, and while it is closed, which makes them durable; not
// while they are made.
func (r *run) importSet(ctx context.Context, p peer.Peer, dir string, s *dataset.Set) (imported, error) {
	return r.importBatches(ctx, p, dir, s, importBatch)
}

// importBatches is importSet with batches of another size.
func (r *run) importBatches(ctx context.Context, p peer.Peer, dir string, s *dataset.Set, size int) (took imported, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return took, err
	}
	store, err := p.Open(ctx, dir, r.options(false))
	if err != nil {
		return took, err
	}
	runtime.GC()
	for begin := 0; begin < s.Len(); begin += size {
		batch := s.Batch(begin, begin+size)
		started := time.Now()
		if err := store.Import(ctx, batch); err != nil {
			return took, errors.Join(err, store.Close())
		}
		took.elapsed += time.Since(started)
		if begin <= s.Len()/10 {
			took.tenth = took.elapsed * time.Duration(s.Len()) / 10 / time.Duration(begin+len(batch))
		}
		took.heaps = append(took.heaps, heapInUse())
	}
	started := time.Now()
	err = store.Close()
	took.elapsed += time.Since(started)
	return took, err
}

// heapInUse returns the bytes of live and not yet collected objects.
func heapInUse() float64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64())
}

// settle compacts a base store after the import that took so long, weighs it, and
// adds the uploaded images.
func (r *run) settle(ctx context.Context, p peer.Peer, took imported) error {
	store, err := p.Open(ctx, r.dir(p), r.options(false))
	if err != nil {
		return err
	}
	began := time.Now()
	if err := store.Compact(ctx); err != nil {
		return errors.Join(fmt.Errorf("compact: %w", err), store.Close())
	}
	if err := store.Close(); err != nil {
		return err
	}
	took.elapsed += time.Since(began)
	if r.wants(importCompact) {
		r.collect.Add(importCompact, p.Name, result.Observation{Value: took.rate(r.set)})
	}
	if r.wants(diskBytes) {
		size, err := dirSize(r.dir(p))
		if err != nil {
			return err
		}
		r.collect.Add(diskBytes, p.Name, result.Observation{Value: float64(size) / float64(r.set.Len())})
	}
	if store, err = p.Open(ctx, r.dir(p), r.options(false)); err != nil {
		return err
	}
	return errors.Join(r.addPhotos(ctx, p, store), store.Close())
}

func (r *run) addPhotos(ctx context.Context, p peer.Peer, store peer.Store) error {
	if err := store.Import(ctx, r.photos.Batch(0, r.photos.Len())); err != nil {
		return err
	}
	r.photoOf[dataName(p)] = make([]int, r.photos.Len())
	for _, k := range r.photos.Keys() {
		if err := store.PutImage(ctx, k, r.images[0]); err != nil {
			return fmt.Errorf("image: %w", err)
		}
	}
	return nil
}

// dirSize returns the bytes that the files under dir take on the disk.
func dirSize(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += diskUsage(info)
		}
		return err
	})
	return size, err
}
