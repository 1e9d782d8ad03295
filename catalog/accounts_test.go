package catalog_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// adversarialNames are pieces of accounts and IDs: separators, the bytes that a
// key escapes or ends with, prefixes of each other.
var adversarialNames = []string{"a", "b", "/", "a/", "/b", "\x01", "\x00", "ÿ", "\U0010FFFF", "_anon_", "é", "é", " ", "%2F", "aa", "."}

func randomName(rng *rand.Rand, control bool) string {
	for {
		var b strings.Builder
		for range 1 + rng.IntN(3) {
			piece := adversarialNames[rng.IntN(len(adversarialNames))]
			if !control && strings.ContainsAny(piece, "\x00\x01") {
				continue
			}
			b.WriteString(piece)
		}
		name := b.String()
		// "." and ".." are no IDs, and "_anon_" is reserved.
		if name != "" && (control || name != "." && name != ".." && !strings.HasPrefix(name, "_anon_")) {
			return name
		}
	}
}

// accountProduct is what the test knows of a product.
type accountProduct struct {
	product *catalog.Product
	image   []byte
}

// contract 2: two accounts never see or affect each other's products, whatever
// their names and IDs.
func TestAdversarialAccounts(t *testing.T) {
	pngs := [][]byte{pngOf(1, 2, 2), pngOf(2, 2, 2), pngOf(3, 2, 2)}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		rng := seededRand(t)
		ctx := t.Context()
		var accounts, names []string
		for range 8 {
			accounts = append(accounts, randomName(rng, true))
		}
		accounts = append(accounts, "a", "a/", "a\x00", "a\x00\x01", "a\x01", "a\x00ÿ")
		slices.Sort(accounts)
		accounts = slices.Compact(accounts)
		for range 10 {
			names = append(names, randomName(rng, false))
		}
		names = append(names, "b/c", "c", "/c")
		model := map[string]map[string]accountProduct{}
		for _, a := range accounts {
			model[a] = map[string]accountProduct{}
		}
		for step := range 150 {
			account, id := accounts[rng.IntN(len(accounts))], names[rng.IntN(len(names))]
			have := model[account]
			w.clock.Advance(time.Millisecond)
			switch op := rng.IntN(20); {
			case op < 8:
				png := pngs[rng.IntN(len(pngs))]
				patch := catalog.Patch{Title: catalog.Set(fmt.Sprint(step)), Images: imagesOf(png)}
				upsert := w.c().Upsert
				if op == 0 {
					upsert = w.c().UpsertInline
				}
				res, err := upsert(ctx, account, id, patch)
				require.NoError(t, err)
				_, existed := have[id]
				require.Equal(t, existed, res.Outcome == catalog.Edited)
				have[id] = accountProduct{res.Product, png}
			case op < 12:
				p, err := w.c().Use(ctx, account, id)
				if m, ok := have[id]; ok {
					require.NoError(t, err)
					have[id] = accountProduct{p, m.image}
				} else {
					require.ErrorIs(t, err, catalog.ErrNotFound)
				}
			case op < 14:
				err := w.c().Delete(ctx, account, id)
				if _, ok := have[id]; ok {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, catalog.ErrNotFound)
				}
				delete(have, id)
			case op < 15:
				n, err := w.c().DeleteAccount(ctx, account)
				require.NoError(t, err)
				require.Equal(t, len(have), n)
				clear(have)
			case op < 16:
				w.sweep()
			default:
				requireAccount(t, w, account, have)
			}
			if step%50 == 49 {
				for _, a := range accounts {
					requireAccount(t, w, a, model[a])
				}
			}
		}
		for _, a := range accounts {
			_, err := w.c().DeleteAccount(ctx, a)
			require.NoError(t, err)
			clear(model[a])
			for _, b := range accounts {
				requireAccount(t, w, b, model[b])
			}
		}
		w.clock.Advance(day)
		w.sweepAll()
		require.Empty(t, w.rawKeys())
	})
}

// requireAccount checks everything that an account reads.
func requireAccount(t *testing.T, w *world, account string, have map[string]accountProduct) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	want := slices.Sorted(maps.Keys(have))
	var all []string
	for p, err := range w.c().All(ctx, account, catalog.AllOptions{Unlisted: true}) {
		require.NoError(t, err)
		require.Equal(t, have[p.ExternalID].product, p)
		all = append(all, p.ExternalID)
	}
	require.True(t, slices.Equal(want, all), "%q: %q, not %q", account, all, want)
	o := catalog.ListOptions{Limit: 2, Unlisted: true}
	var listed []string
	for {
		page, err := w.c().List(ctx, account, o)
		require.NoError(t, err)
		listed = append(listed, ids(page.Products)...)
		if o.Cursor = page.NextCursor; !page.HasMore {
			break
		}
	}
	require.True(t, slices.Equal(want, listed), "%q: %q, not %q", account, listed, want)
	stats, err := w.c().Stats(ctx, account)
	require.NoError(t, err)
	require.Equal(t, len(have), stats.Products)
	require.Equal(t, len(have), stats.Uploads)
	var size int64
	for id, m := range have {
		p, err := w.c().Get(ctx, account, id)
		require.NoError(t, err)
		require.Equal(t, m.product, p)
		r, err := w.c().OpenImage(ctx, account, id, 0)
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(m.image, got))
		size += int64(len(got))
	}
	require.Equal(t, size, stats.ImageBytes)
}

// contract 7: Stats walks the account and is exact.
func TestStats(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		png, other := pngOf(1, 4, 4), pngOf(2, 9, 9)
		shared := catalog.NewUpload(bytes.NewReader(png))
		w.upsert("p", catalog.Patch{ValidForDays: catalog.Set(1), Images: catalog.Set([]catalog.NewImage{
			{Upload: shared}, {Upload: shared}, {URL: "https://cdn.example/1.jpg"}, {Upload: catalog.NewUpload(bytes.NewReader(other))},
		})})
		w.create("q")
		w.createInline("i")
		_, err := w.c().CreateOneShot(ctx, acme, withImage(catalog.Patch{}))
		require.NoError(t, err)
		_, err = w.c().Upsert(ctx, "other", "p", catalog.Patch{Images: imagesOf(png)})
		require.NoError(t, err)

		s, err := w.c().Stats(ctx, acme)
		require.NoError(t, err)
		require.Positive(t, s.RecordBytes)
		s.RecordBytes = 0
		require.Equal(t, catalog.AccountStats{
			Products: 4, Listed: 2, Expiring: 3, Images: 7, Uploads: 2, ImageBytes: int64(len(png) + len(other)),
		}, s)
		w.clock.Advance(day)
		s, err = w.c().Stats(ctx, acme)
		require.NoError(t, err)
		s.RecordBytes = 0
		require.Equal(t, catalog.AccountStats{Products: 3, Listed: 1, Expiring: 2, Images: 3}, s)
		s, err = w.c().Stats(ctx, "nobody")
		require.NoError(t, err)
		require.Zero(t, s)
		_, err = w.c().Stats(ctx, "")
		requireFaults(t, err, map[string]catalog.Code{"account": catalog.CodeValidationFailed})
		store, err := w.c().StoreStats(ctx)
		require.NoError(t, err)
		require.NotZero(t, store.ProductBytes+store.ImageBytes+1)
	})
}
