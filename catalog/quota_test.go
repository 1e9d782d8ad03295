package catalog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// requireFull awaits that each catalog knows what the account has, and would refuse p.
func (w *world) requireFull(id string, p catalog.Patch) {
	w.t.Helper()
	for _, c := range w.catalogs {
		require.Eventually(w.t, func() bool {
			_, err := c.Preview(w.t.Context(), acme, id, p)
			if err == nil {
				nudge(w.clock, time.Second)
				return false
			}
			require.ErrorIs(w.t, err, catalog.ErrQuotaExceeded)
			return true
		}, time.Minute, time.Millisecond)
	}
}

// upsertSoon awaits that a catalog knows of the room for p.
func (w *world) upsertSoon(c *catalog.Catalog, id string, p func() catalog.Patch) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		_, err := c.Upsert(w.t.Context(), acme, id, p())
		if err != nil {
			require.ErrorIs(w.t, err, catalog.ErrQuotaExceeded)
			nudge(w.clock, 2*time.Second)
		}
		return err == nil
	}, time.Minute, time.Millisecond)
}

// contract 6: an account that has what it may have gets no more, and keeps what it has.
func TestQuotaOfProducts(t *testing.T) {
	configure := func(o *catalog.Options) {
		o.Quota = func(account string) catalog.Quota {
			if account == acme {
				return catalog.Quota{Products: 3}
			}
			return catalog.Quota{}
		}
	}
	onEveryStore(t, configure, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, id := range []string{"a", "b"} {
			w.create(id)
		}
		w.upsert("short", withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
		fresh := withImage(catalog.Patch{})
		w.requireFull("new", fresh)

		for name, create := range map[string]func(c *catalog.Catalog) error{
			"upsert":   func(c *catalog.Catalog) error { _, err := c.Upsert(ctx, acme, "new", fresh); return err },
			"inline":   func(c *catalog.Catalog) error { _, err := c.UpsertInline(ctx, acme, "new", fresh); return err },
			"one-shot": func(c *catalog.Catalog) error { _, err := c.CreateOneShot(ctx, acme, fresh); return err },
			"many": func(c *catalog.Catalog) error {
				title := catalog.Patch{Title: catalog.Set("by many")}
				results := c.UpsertMany(ctx, acme, []catalog.UpsertItem{{ExternalID: "a", Patch: title}, {ExternalID: "new", Patch: fresh}, {ExternalID: "b", Patch: title}})
				require.NoError(t, results[0].Err)
				require.NoError(t, results[2].Err)
				return results[1].Err
			},
		} {
			for _, c := range w.catalogs {
				err := create(c)
				require.ErrorIs(t, err, catalog.ErrQuotaExceeded, name)
				var quota *catalog.QuotaError
				require.ErrorAs(t, err, &quota)
				require.Equal(t, catalog.Quota{Products: 3}, quota.Quota)
				require.Contains(t, err.Error(), "3 products")
				_, err = c.Get(ctx, acme, "new")
				require.ErrorIs(t, err, catalog.ErrNotFound)
				_, err = c.Upsert(ctx, "other", "new", fresh)
				require.NoError(t, err)
			}
		}

		// What there is may be edited, used and deleted.
		w.upsert("a", catalog.Patch{Title: catalog.Set("edited")})
		_, err := w.c().Use(ctx, acme, "b")
		require.NoError(t, err)
		require.NoError(t, w.catalogs[0].Delete(ctx, acme, "a"))
		create := func() catalog.Patch { return fresh }
		_, err = w.catalogs[0].Upsert(ctx, acme, "c", fresh)
		require.NoError(t, err, "the catalog that deleted one knows it at once")
		for _, c := range w.catalogs[1:] {
			require.NoError(t, w.catalogs[0].Delete(ctx, acme, "c"))
			w.upsertSoon(c, "c", create)
		}

		// What expires makes room, and a batch takes what there is and no more.
		w.requireFull("new", fresh)
		w.clock.Advance(2 * day)
		for _, c := range w.catalogs {
			w.upsertSoon(c, "new", create)
			require.NoError(t, c.Delete(ctx, acme, "new"))
		}
		if w.handles > 1 {
			return // one does not know at once what another has written
		}
		results := w.c().UpsertMany(ctx, acme, []catalog.UpsertItem{
			{ExternalID: "b", Patch: fresh}, {ExternalID: "d", Patch: fresh}, {ExternalID: "e", Patch: fresh}, {ExternalID: "d", Patch: fresh},
		})
		for i, full := range []bool{false, false, true, false} {
			require.Equal(t, full, results[i].Err != nil, "%d: %v", i, results[i].Err)
		}
	})
}

func TestQuotaOfImageBytes(t *testing.T) {
	const small, large = 10_000, 600_000
	limit := int64(len(noise(1, large)) + 2*len(noise(2, small)))
	configure := func(o *catalog.Options) {
		o.Quota = func(string) catalog.Quota { return catalog.Quota{ImageBytes: limit} }
	}
	onEveryStore(t, configure, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.upsert("p", catalog.Patch{Images: imagesOf(noise(1, large), noise(2, small))})
		for _, c := range w.catalogs {
			_, err := c.Upsert(ctx, acme, "q", catalog.Patch{Images: imagesOf(noise(3, small))})
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				_, err := c.Upsert(ctx, acme, "p", catalog.Patch{Images: imagesOf(noise(1, large), noise(4, small), noise(5, small))})
				if err == nil {
					_, err = c.Upsert(ctx, acme, "p", catalog.Patch{Images: imagesOf(noise(1, large), noise(2, small))})
					require.NoError(t, err)
					nudge(w.clock, time.Minute) // what was written while it was counted may be missing
					return false
				}
				require.ErrorIs(t, err, catalog.ErrQuotaExceeded)
				require.Contains(t, err.Error(), fmt.Sprint(limit, " bytes"))
				return true
			}, time.Minute, time.Millisecond)
		}
		w.requireSound()

		// Images by URL, the same images again, others in their place, and fewer.
		for _, c := range w.catalogs {
			for _, images := range []func() catalog.Optional[[]catalog.NewImage]{
				func() catalog.Optional[[]catalog.NewImage] {
					return images(catalog.NewImage{URL: "https://cdn.example/1.png"})
				},
				func() catalog.Optional[[]catalog.NewImage] { return imagesOf(noise(3, small)) },
				func() catalog.Optional[[]catalog.NewImage] { return imagesOf(noise(4, small)) },
			} {
				w.upsertSoon(c, "q", func() catalog.Patch { return catalog.Patch{Images: images()} })
			}
		}
		for _, c := range w.catalogs {
			w.upsertSoon(c, "p", func() catalog.Patch { return catalog.Patch{Images: imagesOf(noise(6, large))} })
			w.upsertSoon(c, "r", func() catalog.Patch { return catalog.Patch{Images: imagesOf(noise(7, small))} })
		}
	})
}
