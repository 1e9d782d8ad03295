package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/measure"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

const (
	// bulkBatch is how many products a store gets at a time in a bulk load: as many as it
	// may want to write together.
	bulkBatch = 32_768
	// bulkChecked is how many of them are read back.
	bulkChecked = 1000
)

// bulkLoads has each peer load many new products of one account. The processor time
// is all that the process takes, in the background and for collecting garbage too,
// until the store is closed, but for what making the products takes.
func (r *run) bulkLoads(ctx context.Context) error {
	if r.Large == 0 || !r.wants(bulkLoad, bulkLoadCPU) {
		return nil
	}
	set := r.set.OneAccount("bulk").Resize(r.Large)
	for round := range min(r.Rounds, mostImports) {
		runtime.GC()
		before := measure.ProcessorTime()
		for begin := 0; begin < set.Len(); begin += bulkBatch {
			set.Batch(begin, begin+bulkBatch)
		}
		making := measure.ProcessorTime() - before
		for _, p := range r.peers {
			if p.Data != "" && p.Data != p.Name {
				continue // it loads as the one whose data it reads
			}
			if err := r.bulkLoad(ctx, p, set, making, round); err != nil {
				return fmt.Errorf("%s: bulk load: %w", p.Name, err)
			}
		}
	}
	return nil
}

func (r *run) bulkLoad(ctx context.Context, p peer.Peer, set *dataset.Set, making time.Duration, round int) (err error) {
	dir := filepath.Join(r.Dir, p.Name+"-bulk")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var took imported
	runtime.GC()
	before := measure.ProcessorTime()
	err = r.profiled(round, func() (err error) {
		took, err = r.importBatches(ctx, p, dir, set, bulkBatch)
		return err
	})
	if err != nil {
		return err
	}
	used := measure.ProcessorTime() - before - making
	r.add(bulkLoad, p.Name, round, result.Observation{Value: took.rate(set)})
	if before > 0 {
		r.add(bulkLoadCPU, p.Name, round, result.Observation{Value: float64(used.Nanoseconds()) / 1000 / float64(set.Len())})
	}
	return r.checkLoad(ctx, p, dir, set)
}

// checkLoad reads back a part of what was loaded.
func (r *run) checkLoad(ctx context.Context, p peer.Peer, dir string, set *dataset.Set) (err error) {
	store, err := p.Open(ctx, dir, r.options(false))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for i := range min(bulkChecked, set.Len()) {
		i = i * set.Len() / min(bulkChecked, set.Len())
		got, err := store.Get(ctx, set.Key(i), true)
		if err != nil {
			return err
		}
		have, err := store.Product(got)
		if err != nil {
			return err
		}
		if want := set.Product(i); dataset.Same(&want, &have) != nil {
			return dataset.Same(&want, &have)
		}
	}
	return nil
}
