package catalog_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productjson"
)

// contract 3: a product's JSON form given back as an upsert is valid and edits
// nothing; it may renew, and it lists as any explicit upsert does.
func TestJSONFormGivenBack(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		giveBack := func(p *catalog.Product) catalog.Result {
			t.Helper()
			u, err := productjson.Decode(p.AppendJSON(nil), productjson.Options{RequireExternalID: true})
			require.NoError(t, err)
			id, ok := u.ExternalID.Get()
			require.True(t, ok)
			w.clock.Advance(time.Second)
			res, err := w.c().Upsert(ctx, acme, id, u.Patch)
			require.NoError(t, err)
			return res
		}
		requireSame := func(p *catalog.Product) {
			t.Helper()
			res := giveBack(p)
			require.Equal(t, catalog.Unchanged, res.Outcome)
			require.Equal(t, p.Version(), res.Product.Version())
			if p.ValidForDays != 0 {
				require.Equal(t, w.now().Add(time.Duration(p.ValidForDays)*day), res.Product.ExpiresAt, "renewed")
				p.ExpiresAt = res.Product.ExpiresAt
			}
			require.Equal(t, p, res.Product)
			require.Equal(t, p, w.get(p.ExternalID))
		}
		requireSame(w.create("a/../b"))
		full := fullPatch()
		images, _ := full.Images.Get()
		up := upload(chunkImage)
		full.Images = catalog.Set(append(images, catalog.NewImage{Upload: upload(smallImage)},
			catalog.NewImage{Upload: up}, catalog.NewImage{Upload: up, Classifications: []byte(`{"n":1E2}`)}))
		full.Title = catalog.Set("\u2028<\"\\\x00>")
		p := w.upsert("full", full)
		requireSame(p)
		w.requireStored(2, 2)
		w.requireBytes(chunkImage, "full", 4)

		res, err := w.c().CreateOneShot(ctx, acme, uploads(smallImage))
		require.NoError(t, err)
		requireSame(res.Product)

		res, err = w.c().UpsertInline(ctx, acme, "inline", withImage(catalog.Patch{}))
		require.NoError(t, err)
		listed := giveBack(res.Product)
		require.Equal(t, catalog.Edited, listed.Outcome)
		require.True(t, listed.Product.Listed)
		requireSame(listed.Product)
	})
}
