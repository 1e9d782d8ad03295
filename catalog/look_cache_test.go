package catalog_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// The record cache changes no answer, whatever its size: after an acknowledged
// write no call reads an older state, under any mix of operations.
func TestCacheIsNeverStale(t *testing.T) {
	for _, size := range []int64{-1, 2000, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			onEveryStore(t, func(o *catalog.Options) { o.CacheBytes = size }, neverStale)
		})
	}
}

// neverStale has one writer per product, which numbers what it writes, and
// readers that compare what they see with what was acknowledged before they
// began.
func neverStale(t *testing.T, w *world) {
	rng := seededRand(t)
	ctx := t.Context()
	const products, steps = 6, 80
	var acked, begun [products]atomic.Int64 // numbers; a multiple of 5 stands for a delete
	stop := make(chan struct{})
	var writers, beside sync.WaitGroup
	for i := range products {
		id, c, seed := fmt.Sprint(i), w.c(), rng.Uint64()
		writers.Go(func() {
			for n := int64(1); n <= steps; n++ {
				begun[i].Store(n)
				var err error
				switch seed = seed*6364136223846793005 + 1442695040888963407; {
				case n%5 == 0:
					err = c.Delete(ctx, acme, id)
				case seed>>62 == 0:
					_, err = c.UpsertInline(ctx, acme, id, withImage(catalog.Patch{Title: catalog.Set(fmt.Sprint(n))}))
				case seed>>62 == 1:
					item := catalog.UpsertItem{ExternalID: id, Patch: withImage(catalog.Patch{Title: catalog.Set(fmt.Sprint(n))})}
					err = c.UpsertMany(ctx, acme, []catalog.UpsertItem{item})[0].Err
				default:
					_, err = c.Upsert(ctx, acme, id, withImage(catalog.Patch{Title: catalog.Set(fmt.Sprint(n))}))
				}
				if err != nil {
					t.Errorf("step %d of %s: %v", n, id, err)
					return
				}
				acked[i].Store(n)
			}
		})
	}
	for range 2 {
		c, seed := w.c(), rng.Uint64()
		beside.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				seed = seed*6364136223846793005 + 1442695040888963407
				i := int(seed >> 33 % products)
				least := acked[i].Load()
				read := c.Get
				if seed>>61 == 0 {
					read = c.Use
				}
				p, err := read(ctx, acme, fmt.Sprint(i))
				most := begun[i].Load()
				if errors.Is(err, catalog.ErrNotFound) {
					// Some delete, or the time before the first creation, must lie between.
					if least != 0 && least%5 != 0 && least/5 == most/5 {
						t.Errorf("product %d: gone at a step of %d to %d", i, least, most)
					}
					continue
				}
				var n int64
				if err == nil {
					_, err = fmt.Sscan(p.Title, &n)
				}
				if err != nil || n < least || n > most {
					t.Errorf("product %d: read %d, acknowledged %d, begun %d: %v", i, n, least, most, err)
					return
				}
			}
		})
	}
	beside.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				w.clock.Advance(50 * time.Millisecond)
			}
		}
	})
	writers.Wait()
	close(stop)
	beside.Wait()
	for i := range products {
		w.requireGone(fmt.Sprint(i)) // 80 is a multiple of 5
	}
}

// The cache is used: a second read costs nothing of the backend, and negative
// CacheBytes turn it off.
func TestCacheSavesReads(t *testing.T) {
	for size, want := range map[int64]int64{0: 0, -1: 10} {
		w := behindGlass(t, catalog.Options{CacheBytes: size})
		w.create("p")
		w.get("p")
		w.probe.reset()
		for range 10 {
			p := w.get("p")
			p.Images[0].SourceURL = "changed by the caller" // contract 7: it is theirs
			p.Title = "x"
		}
		require.Equal(t, want, w.probe.gets.Load())
		require.Equal(t, "https://cdn.example/front.jpg", w.get("p").Images[0].SourceURL)
	}
}
