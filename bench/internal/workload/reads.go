package workload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/measure"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

// hotProducts is the size of a working set that fits every cache.
const hotProducts = 10_000

func (r *run) reads(ctx context.Context) error {
	list := []timed{
		{getUniform, r.Readers, getTask(dataset.Uniform(r.set.Len()))},
		{getZipf, r.Readers, getTask(r.zipf)},
		{getHot, r.Readers, getTask(dataset.Uniform(min(hotProducts, r.set.Len())))},
		{getMiss, r.Readers, missTask},
		{viewUniform, r.Readers, viewTask(dataset.Uniform(r.set.Len()), peer.Untouched)},
		{viewZipf, r.Readers, viewTask(r.zipf, peer.Untouched)},
		{viewHot, r.Readers, viewTask(dataset.Uniform(min(hotProducts, r.set.Len())), peer.Untouched)},
		{viewHotFields, r.Readers, viewTask(dataset.Uniform(min(hotProducts, r.set.Len())), peer.Fields)},
		{viewHotJSON, r.Readers, viewTask(dataset.Uniform(min(hotProducts, r.set.Len())), peer.JSON)},
		{page50, r.Readers, pageTask},
		{viewPage50, r.Readers, viewPageTask},
		{getMany50, r.Readers, getManyTask},
		{imageRead, r.Readers, imageReadTask},
		{imageWrite, r.Readers, imageWriteTask(writerOnly{io.Discard})},
		{imageLend, r.Readers, imageWriteTask(io.Discard)},
	}
	return r.turns(ctx, r.options(false), workloadsOf(list), func(ctx context.Context, t *turn) error {
		if err := t.touch(ctx); err != nil {
			return err
		}
		return t.repeat(ctx, list)
	})
}

func workloadsOf(list []timed) []result.Workload {
	out := make([]result.Workload, len(list))
	for i, w := range list {
		out[i] = w.Workload
	}
	return out
}

// getTask reads products.
func getTask(access dataset.Access) func(*turn, uint64, int) (task, error) {
	return func(t *turn, segment uint64, workers int) (task, error) {
		random, results := t.sources(segment, workers), make([]kept[int], workers)
		op := func(ctx context.Context, w, n int) error {
			i := access.Next(random[w])
			keep := results[w].wants(n)
			got, err := t.store.Get(ctx, t.keys[i], keep)
			if keep && err == nil {
				results[w].add(i, got)
			}
			return err
		}
		return task{op, t.verifyKept(results)}, nil
	}
}

// verifyKept checks the products that were kept.
func (t *turn) verifyKept(results []kept[int]) func(context.Context, measure.Sample) error {
	return func(context.Context, measure.Sample) error {
		for _, k := range results {
			for n, i := range k.what {
				if _, err := t.check(i, k.got[n]); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// check compares a result of Get with product i, and returns its revision.
func (t *turn) check(i int, got any) (uint64, error) {
	p, err := t.store.Product(got)
	if err != nil {
		return 0, err
	}
	return t.edits.Check(t.set, i, &p, t.peer.Floor)
}

// missTask asks for products that never were.
func missTask(t *turn, segment uint64, workers int) (task, error) {
	random := t.sources(segment, workers)
	const prepared = 4096
	missing := make([]dataset.Key, min(prepared, len(t.keys)))
	for i := range missing {
		missing[i] = dataset.Key{Account: t.keys[i].Account, ID: t.keys[i].ID + "-none"}
	}
	op := func(ctx context.Context, w, _ int) error {
		return expectNotFound(t.store.Get(ctx, missing[random[w].IntN(len(missing))], false))
	}
	return task{op, verifyNothing}, nil
}

// verifyNothing is for operations that check every result themselves.
func verifyNothing(context.Context, measure.Sample) error { return nil }

func expectNotFound(_ any, err error) error {
	switch {
	case errors.Is(err, peer.ErrNotFound):
		return nil
	case err == nil:
		return errors.New("found a product that should not be there")
	}
	return err
}

// preparedPages is how many pages are asked for, over and over.
const preparedPages = 512

// pageTask reads pages. Each was read once before the clock starts.
func pageTask(t *turn, segment uint64, workers int) (task, error) {
	return t.pages(segment, workers, t.store.Page)
}

// pages reads the products of pages, in a way.
func (t *turn) pages(segment uint64, workers int, read func(context.Context, dataset.Page, bool) (any, error)) (task, error) {
	pages := t.set.Pages(50)
	pages = pages[:min(preparedPages, len(pages))]
	if len(pages) == 0 {
		return task{}, errors.New("no account has 50 products")
	}
	for _, p := range pages {
		if _, err := read(context.Background(), p, false); err != nil {
			return task{}, err
		}
	}
	random, results := t.sources(segment, workers), make([]kept[dataset.Page], workers)
	op := func(ctx context.Context, w, n int) error {
		p := pages[random[w].IntN(len(pages))]
		keep := results[w].wants(n)
		got, err := read(ctx, p, keep)
		if keep && err == nil {
			results[w].add(p, got)
		}
		return err
	}
	verify := func(context.Context, measure.Sample) error {
		for _, k := range results {
			for n, p := range k.what {
				if err := t.checkPage(p, k.got[n]); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return task{op, verify}, nil
}

func (t *turn) checkPage(p dataset.Page, got any) error {
	products, err := t.store.Products(got)
	if err != nil {
		return err
	}
	if len(products) != p.Limit {
		return fmt.Errorf("page of %s behind %q has %d products", p.Account, p.After, len(products))
	}
	for i := range products {
		if _, err := t.edits.Check(t.set, p.First+i, &products[i], t.peer.Floor); err != nil {
			return err
		}
	}
	return nil
}

// imageReadTask reads uploaded images.
func imageReadTask(t *turn, segment uint64, workers int) (task, error) {
	random, results := t.sources(segment, workers), make([]kept[int], workers)
	buffers := make([][]byte, workers)
	keys := t.photos.Keys()
	op := func(ctx context.Context, w, n int) (err error) {
		i := random[w].IntN(len(keys))
		if buffers[w], err = t.store.GetImage(ctx, keys[i], buffers[w][:0]); err != nil {
			return err
		}
		if results[w].wants(n) {
			results[w].add(i, bytes.Clone(buffers[w]))
		}
		return nil
	}
	verify := func(context.Context, measure.Sample) error {
		for _, k := range results {
			for n, i := range k.what {
				if !bytes.Equal(k.got[n].([]byte), t.images[t.photoOf[dataName(t.peer)][i]]) {
					return fmt.Errorf("image of %v differs", keys[i])
				}
			}
		}
		return nil
	}
	return task{op, verify}, nil
}
