package catalog_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// contract 6: All yields the products as they were when it began, whose uses
// are those of now: an edit of a product that was renewed behind the loop,
// beyond the deadline that the loop's state shows, is not to be seen.
func TestAllYieldsItsStateOfARenewedProduct(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.create("a")
		before := w.upsert("b", withImage(catalog.Patch{Title: catalog.Set("old"), ValidForDays: catalog.Set(1)}))
		w.clock.Advance(day - time.Second)
		var used, last *catalog.Product
		for p, err := range w.c().All(t.Context(), acme, catalog.AllOptions{}) {
			require.NoError(t, err)
			if last = p; p.ExternalID != "a" {
				continue
			}
			w.upsert("b", catalog.Patch{Title: catalog.Set("new"), Images: imagesOf(smallImage)})
			used = w.use("b") // near the deadline: written at once
			require.Equal(t, "new", used.Title)
			w.clock.Advance(time.Hour)
		}
		want := *before
		want.LastUsedAt, want.ExpiresAt = used.LastUsedAt, used.ExpiresAt
		require.Equal(t, &want, last)
		require.Equal(t, used, w.get("b"))
	})
}
