package catalog_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// stored counts the products in the store.
func (w *glassWorld) stored() (n int) {
	w.t.Helper()
	start, end := encoding.SpaceRange(encoding.SpaceProduct)
	r := backend.Range{Start: start, End: end}
	for _, err := range w.store.Scan(w.t.Context(), r, backend.ScanOptions{KeysOnly: true}) {
		require.NoError(w.t, err)
		n++
	}
	return n
}

// contract 7: while OnExpire does not return, the sweeper waits: what is removed
// and not reported yet is bounded. Nothing else waits, and Close reports all that
// was removed, once.
func TestSweeperWaitsForOnExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const products, queue, batch = 4000, 1024, 128
		release := make(chan struct{})
		reported := map[string]int{}
		w := behindGlass(t, catalog.Options{OnExpire: func(_ context.Context, _ *catalog.Catalog, e catalog.Expired) {
			<-release
			reported[e.Product.ExternalID]++
		}})
		releaseOnce := sync.OnceFunc(func() { close(release) })
		t.Cleanup(releaseOnce) // Close would wait
		for i := range products {
			w.createFor(fmt.Sprint(i), 1)
		}
		w.clock.Advance(day)
		sweepOn := func() {
			for range 2 * products / batch {
				w.clock.Advance(time.Second)
				synctest.Wait()
			}
		}
		sweepOn()
		swept := make(chan error, 1)
		c := w.c()
		go func() {
			_, err := c.Sweep(t.Context())
			swept <- err
		}()
		sweepOn()
		removed := products - w.stored()
		require.GreaterOrEqual(t, removed, queue, "the queue is used")
		require.LessOrEqual(t, removed, 2*(queue+batch))
		require.Empty(t, swept, "a Sweep waits as well")

		// Readers and writers go on; one of them replaces what has expired.
		last := fmt.Sprint(products - 1)
		w.requireGone(last)
		created := w.createFor("new", 9)
		require.Equal(t, created, w.get("new"))
		w.use("new")
		w.upsert("new", catalog.Patch{Title: catalog.Set("edited")})
		require.Equal(t, [][]string{{"new"}}, w.listAll(catalog.ListOptions{}))
		w.createFor(last, 9)

		closed := make(chan struct{})
		go func() {
			defer close(closed)
			w.close()
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("closed before what was removed was reported")
		default:
		}
		require.ErrorIs(t, <-swept, catalog.ErrClosed)
		releaseOnce()
		<-closed
		require.Equal(t, products-removed+1, w.stored(), "nothing but the new one has changed that")
		require.Len(t, reported, removed+1, "and the one that was replaced")

		// What was left is removed and reported when the function is quick again.
		w.start()
		w.sweep()
		require.Equal(t, 2, w.stored())
		w.reopen()
		require.Len(t, reported, products)
		for id, times := range reported {
			require.Equal(t, 1, times, id)
		}
	})
}
