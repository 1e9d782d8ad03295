package workload

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
)

// viewTask looks at products that are lent.
func viewTask(access dataset.Access, how peer.How) func(*turn, uint64, int) (task, error) {
	return func(t *turn, segment uint64, workers int) (task, error) {
		lender, ok := t.store.(peer.Lender)
		if !ok {
			return task{}, peer.ErrNotOffered
		}
		random, results, scratch := t.sources(segment, workers), make([]kept[int], workers), make([][]byte, workers)
		op := func(ctx context.Context, w, n int) error {
			i := access.Next(random[w])
			keep := results[w].wants(n)
			got, err := lender.View(ctx, t.keys[i], how, &scratch[w], keep)
			if keep && err == nil {
				results[w].add(i, got)
			}
			return err
		}
		return task{op, t.verifyKept(results)}, nil
	}
}

// viewPageTask reads pages of views. Each was read once before the clock starts.
func viewPageTask(t *turn, segment uint64, workers int) (task, error) {
	lender, ok := t.store.(peer.Lender)
	if !ok {
		return task{}, peer.ErrNotOffered
	}
	return t.pages(segment, workers, lender.PageOfViews)
}

// getManyTask reads the products of pages by their IDs.
func getManyTask(t *turn, segment uint64, workers int) (task, error) {
	lender, ok := t.store.(peer.Lender)
	if !ok {
		return task{}, peer.ErrNotOffered
	}
	return t.pages(segment, workers, func(ctx context.Context, p dataset.Page, keep bool) (any, error) {
		return lender.GetMany(ctx, t.keys[p.First:p.First+p.Limit], keep)
	})
}

// imageWriteTask has uploaded images written to a writer that many may use at once.
func imageWriteTask(to io.Writer) func(*turn, uint64, int) (task, error) {
	return func(t *turn, segment uint64, workers int) (task, error) {
		lender, ok := t.store.(peer.Lender)
		if !ok {
			return task{}, peer.ErrNotOffered
		}
		random, keys := t.sources(segment, workers), t.photos.Keys()
		op := func(ctx context.Context, w, n int) error {
			i := random[w].IntN(len(keys))
			if n%keepEvery != 0 {
				return lender.WriteImage(ctx, keys[i], to)
			}
			var got bytes.Buffer
			if err := lender.WriteImage(ctx, keys[i], &got); err != nil {
				return err
			}
			if !bytes.Equal(got.Bytes(), t.images[t.photoOf[dataName(t.peer)][i]]) {
				return fmt.Errorf("image of %v differs", keys[i])
			}
			return nil
		}
		return task{op, verifyNothing}, nil
	}
}

// writerOnly hides what else a writer can do.
type writerOnly struct{ io.Writer }
