package catalog_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
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

// contract 8: what a read gives back can be written as it is: the JSON form, the
// patch of a product, and the JSON form of that patch edit nothing, whatever the
// product has, and renew it if it has a lifetime.
func TestEveryProductGivenBack(t *testing.T) {
	w := memoryWorld(t)
	const seed = 1
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 300 {
		id := fmt.Sprintf("p/%d", i)
		was := w.upsert(id, randomPatch(r))
		if oneIn(r, 2) {
			was = w.use(id)
		}
		body, err := was.Patch().AppendJSON([]byte("before"))
		require.NoError(t, err)
		inBody, err := productjson.Decode(body[len("before"):], productjson.Options{Strict: true})
		require.NoError(t, err)
		require.False(t, inBody.NamesProduct)
		form, err := productjson.Decode(was.AppendJSON(nil), productjson.Options{Strict: true, RequireExternalID: true})
		require.NoError(t, err)
		for way, patch := range map[string]catalog.Patch{"Patch": was.Patch(), "JSON of Patch": inBody.Patch, "JSON": form.Patch} {
			require.Equal(t, was.Patch(), patch, "seed %d, %s, %s:\n%s", seed, id, way, was.AppendJSON(nil))
			w.clock.Advance(time.Minute)
			res, err := w.c().Upsert(t.Context(), acme, id, patch)
			require.NoError(t, err, "seed %d, %s, %s", seed, id, way)
			require.Equal(t, catalog.Unchanged, res.Outcome, "seed %d, %s, %s", seed, id, way)
			if was.ValidForDays != 0 {
				was.ExpiresAt = w.now().Add(time.Duration(was.ValidForDays) * day)
			}
			require.Equal(t, was, res.Product, "seed %d, %s, %s", seed, id, way)
		}
	}
}

// randomPatch makes a patch that creates.
func randomPatch(r *rand.Rand) catalog.Patch {
	out := catalog.Patch{Title: catalog.Set(pick(r, modelTitles)), Description: catalog.Set(pick(r, modelTitles))}
	raw := func() json.RawMessage {
		if oneIn(r, 3) {
			return nil
		}
		return json.RawMessage(pick(r, goodJSON).raw)
	}
	images := make([]catalog.NewImage, 1+r.IntN(4))
	for i := range images {
		images[i].URL = pick(r, modelURLs)
		if oneIn(r, 2) {
			images[i] = catalog.NewImage{Upload: upload(pick(r, samples().small).data)}
		}
		images[i].Classifications = raw()
	}
	out.Images = catalog.Set(images)
	out.Metadata = catalog.Set(raw())
	if oneIn(r, 2) {
		out.ValidForDays = catalog.Set(1 + r.IntN(365))
	}
	return out
}
