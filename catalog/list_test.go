package catalog_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// contract 5: limit is 1 to 200, default 50; wrong options are refused, all of
// them at once.
func TestListOptions(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		var items []catalog.UpsertItem
		for i := range 260 {
			items = append(items, catalog.UpsertItem{ExternalID: fmt.Sprintf("%03d", i), Patch: withImage(catalog.Patch{})})
		}
		for _, res := range w.c().UpsertMany(ctx, acme, items) {
			require.NoError(t, res.Err)
		}
		for limit, want := range map[int]int{0: 50, 1: 1, 2: 2, 199: 199, 200: 200} {
			page, err := w.c().List(ctx, acme, catalog.ListOptions{Limit: limit})
			require.NoError(t, err)
			require.Len(t, page.Products, want)
			require.True(t, page.HasMore)
		}
		const bad = catalog.CodeValidationFailed
		for _, limit := range []int{-1, 201, math.MaxInt} {
			_, err := w.c().List(ctx, acme, catalog.ListOptions{Limit: limit})
			requireFaults(t, err, map[string]catalog.Code{"limit": bad})
		}
		_, err := w.c().List(ctx, "", catalog.ListOptions{Limit: 201, Cursor: "x", Prefix: "\xff"})
		requireFaults(t, err, map[string]catalog.Code{"account": bad, "limit": bad, "cursor": bad, "prefix": bad})
		_, err = w.c().List(ctx, acme, catalog.ListOptions{Prefix: strings.Repeat("x", 256)})
		requireFaults(t, err, map[string]catalog.Code{"prefix": bad})
		for _, err := range w.c().All(ctx, "", catalog.AllOptions{Prefix: "\xff"}) {
			requireFaults(t, err, map[string]catalog.Code{"account": bad, "prefix": bad})
		}
	})
}

// contract 5: byte order; the prefix chooses IDs, also where it is one, ends
// within a range that is passed over, or is longer than any.
func TestListOrderAndPrefix(t *testing.T) {
	listed := []string{
		" ", "%", "/", "//", "0", "A", "_", "_an", "_anon", "_anon-", "_anonX", "_anoo", "a", "a/", "a/../b", "a/b", "a//b", "aa", "b",
		"é", "é́", "日", "日本", "日本語", "😀", "😀😀", strings.Repeat("z", 254), strings.Repeat("z", 255),
	}
	slices.Sort(listed)
	inline := []string{"_anoN", "a/inline", "aa-inline", "zz-inline"}
	prefixes := append([]string{
		"", "_a", "_anon_", "_anon_A", "_anon_~", "_anono", "a/.", "no", "日本語学", "\u00e9", "😀", "z", "\U0010FFFF",
	}, listed...)
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, i := range []int{3, 1, 4, 1, 5, 9, 2, 6} { // in no order
			w.create(listed[i])
		}
		for _, id := range listed {
			w.create(id)
		}
		for _, id := range inline {
			w.createInline(id)
		}
		all := slices.Concat(listed, inline)
		for range 5 {
			res, err := w.c().CreateOneShot(ctx, acme, withImage(catalog.Patch{}))
			require.NoError(t, err)
			all = append(all, res.Product.ExternalID)
		}
		slices.Sort(all)
		for _, prefix := range prefixes {
			for _, unlisted := range []bool{false, true} {
				from := listed
				if unlisted {
					from = all
				}
				want := []string{}
				for _, id := range from {
					if strings.HasPrefix(id, prefix) {
						want = append(want, id)
					}
				}
				got := slices.Concat(w.listAll(catalog.ListOptions{Prefix: prefix, Unlisted: unlisted, Limit: 3})...)
				require.ElementsMatch(t, want, got)
				require.True(t, slices.IsSorted(got))
				var exported []string
				for p, err := range w.c().All(ctx, acme, catalog.AllOptions{Prefix: prefix, Unlisted: unlisted}) {
					require.NoError(t, err)
					exported = append(exported, p.ExternalID)
				}
				require.True(t, slices.Equal(got, exported))
			}
		}
	})
}

// contract 5: hasMore is exact, whatever comes behind the page.
func TestHasMoreIsExact(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		requirePages := func(limit int, want [][]string) {
			t.Helper()
			require.Equal(t, want, w.listAll(catalog.ListOptions{Limit: limit}))
		}
		requirePages(1, [][]string{{}})
		w.create("a")
		requirePages(1, [][]string{{"a"}})
		// Behind the last listed one come unlisted, generated and expired ones.
		for i := range 40 {
			w.createInline(fmt.Sprintf("b%02d", i))
		}
		_, err := w.c().CreateOneShot(ctx, acme, withImage(catalog.Patch{}))
		require.NoError(t, err)
		for i := range 20 {
			w.createFor(fmt.Sprintf("c%02d", i), 1)
		}
		_, err = w.c().Upsert(ctx, acme+"0", "z", withImage(catalog.Patch{}))
		require.NoError(t, err)
		w.clock.Advance(day)
		requirePages(1, [][]string{{"a"}})
		w.create("b20") // listed from now on
		requirePages(1, [][]string{{"a"}, {"b20"}})
		requirePages(2, [][]string{{"a", "b20"}})
		w.create("d")
		requirePages(1, [][]string{{"a"}, {"b20"}, {"d"}})
		requirePages(2, [][]string{{"a", "b20"}, {"d"}})
		requirePages(3, [][]string{{"a", "b20", "d"}})
		require.NoError(t, w.c().Delete(ctx, acme, "b20"))
		requirePages(1, [][]string{{"a"}, {"d"}})
		// The prefix ends it too.
		require.Equal(t, [][]string{{"a"}}, w.listAll(catalog.ListOptions{Limit: 1, Prefix: "a"}))
	})
}

// A page of very large products ends early, and the list goes on behind it.
func TestPagesEndEarlyForLargeProducts(t *testing.T) {
	w := behindGlass(t, catalog.Options{Limits: catalog.Limits{MetadataBytes: 2 << 20}})
	meta := json.RawMessage(`"` + strings.Repeat("x", 1<<20) + `"`)
	const products = 10
	for i := range products {
		w.upsert(fmt.Sprint(i), withImage(catalog.Patch{Metadata: catalog.Set(meta)}))
	}
	pages := w.listAll(catalog.ListOptions{})
	require.Len(t, pages, 2)
	require.Len(t, slices.Concat(pages...), products)
	require.GreaterOrEqual(t, len(pages[0]), 8)
}

// contract 5: a cursor survives a restart and the deletion of the product it
// stands at, and goes on from its position with other options.
func TestListCursors(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, id := range []string{"a", "b", "b/1", "b/2", "c"} {
			w.create(id)
		}
		w.createInline("b/15")
		page, err := w.c().List(ctx, acme, catalog.ListOptions{Limit: 2})
		require.NoError(t, err)
		cursor := page.NextCursor
		w.reopen()
		require.NoError(t, w.c().Delete(ctx, acme, "b"))
		for _, test := range []struct {
			o    catalog.ListOptions
			want []string
		}{
			{catalog.ListOptions{}, []string{"b/1", "b/2", "c"}},
			{catalog.ListOptions{Unlisted: true}, []string{"b/1", "b/15", "b/2", "c"}},
			{catalog.ListOptions{Prefix: "b/"}, []string{"b/1", "b/2"}},
			{catalog.ListOptions{Prefix: "a"}, []string{}},
			{catalog.ListOptions{Prefix: "c"}, []string{"c"}},
		} {
			test.o.Cursor = cursor
			require.Equal(t, [][]string{test.want}, w.listAll(test.o))
		}
		// In another account it is a position too, and shows only what is there.
		other, err := w.c().List(ctx, "other", catalog.ListOptions{Cursor: cursor})
		require.NoError(t, err)
		require.Empty(t, other.Products)
		require.False(t, other.HasMore)
		// At the place of the deleted product another may come: it lies not behind.
		w.create("b")
		require.Equal(t, [][]string{{"b/1", "b/2", "c"}}, w.listAll(catalog.ListOptions{Cursor: cursor}))
	})
}

// contract 5: a cursor that was altered, in any byte, or was not made by the
// library is refused.
func TestAlteredCursors(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.create("ab")
		w.create("b")
		page, err := w.c().List(ctx, acme, catalog.ListOptions{Limit: 1})
		require.NoError(t, err)
		good := page.NextCursor
		refused := func(cursor string) {
			t.Helper()
			_, err := w.c().List(ctx, acme, catalog.ListOptions{Cursor: cursor})
			requireFaults(t, err, map[string]catalog.Code{"cursor": catalog.CodeValidationFailed})
		}
		for i := range good {
			for b := range 256 {
				if byte(b) != good[i] {
					refused(good[:i] + string([]byte{byte(b)}) + good[i+1:])
				}
			}
			refused(good[:i] + good[i+1:])
			refused(good[:i] + "\n" + good[i:])
		}
		raw, err := base64.RawURLEncoding.DecodeString(good)
		require.NoError(t, err)
		for i := range raw {
			for bit := range 8 {
				altered := slices.Clone(raw)
				altered[i] ^= 1 << bit
				refused(base64.RawURLEncoding.EncodeToString(altered))
			}
		}
		for _, cursor := range []string{
			"ab", "AA", " ", good + good, good + "A", good + "=", good + "\n", base64.RawURLEncoding.EncodeToString([]byte("ab")),
			base64.StdEncoding.EncodeToString(raw) + "==", strings.Repeat("A", 10_000),
		} {
			refused(cursor)
		}
	})
	t.Run("of another store", func(t *testing.T) {
		var cursors []string
		for range 2 {
			w := behindGlass(t, catalog.Options{})
			w.create("a")
			w.create("b")
			page, err := w.c().List(t.Context(), acme, catalog.ListOptions{Limit: 1})
			require.NoError(t, err)
			for _, foreign := range cursors {
				_, err := w.c().List(t.Context(), acme, catalog.ListOptions{Cursor: foreign})
				requireFaults(t, err, map[string]catalog.Code{"cursor": catalog.CodeValidationFailed})
			}
			cursors = append(cursors, page.NextCursor)
		}
	})
}

// contract 5: every product that lives and stays listed through the whole
// paging is seen exactly once, whatever is written meanwhile.
func TestPagingBesideWriters(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		rng := seededRand(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stay := []string{}
		for i := range 60 {
			id := fmt.Sprintf("%03d-stays", i)
			stay = append(stay, id)
			w.createFor(id, 1+rng.IntN(3))
		}
		var writers sync.WaitGroup
		for n := range 3 {
			c, seed := w.c(), rng.Uint64()
			writers.Go(func() {
				for i := seed; ctx.Err() == nil; i = i*6364136223846793005 + 1442695040888963407 {
					id := fmt.Sprintf("%03d-%d", i>>40%60, n)
					kept := stay[i>>33%60]
					var err error
					switch i >> 60 {
					case 0, 1, 2, 3:
						_, err = c.UpsertInline(ctx, acme, id, withImage(catalog.Patch{}))
					case 4, 5, 6:
						_, err = c.Upsert(ctx, acme, id, withImage(catalog.Patch{}))
					case 7, 8, 9, 10:
						if err = c.Delete(ctx, acme, id); err != nil {
							err = ignoring(err, catalog.ErrNotFound)
						}
					case 11, 12:
						_, err = c.Use(ctx, acme, kept)
					case 13:
						_, err = c.UpsertInline(ctx, acme, kept, catalog.Patch{Title: catalog.Set(fmt.Sprint(i))})
					case 14:
						_, err = c.CreateOneShot(ctx, acme, withImage(catalog.Patch{}))
					case 15:
						_, err = c.Upsert(ctx, acme, kept, catalog.Patch{Images: imagesOf(pngOf(i, 2, 2))})
					}
					if ignoring(err, context.Canceled) != nil {
						t.Errorf("writer: %v", err)
						return
					}
				}
			})
		}
		for round := range 12 {
			o := catalog.ListOptions{Limit: 1 + rng.IntN(7), Unlisted: round%3 == 0}
			pages := slices.Concat(w.listAll(o)...)
			require.True(t, slices.IsSorted(pages))
			require.Len(t, slices.Compact(slices.Clone(pages)), len(pages), "twice")
			seen := slices.DeleteFunc(pages, func(id string) bool { return !strings.HasSuffix(id, "-stays") })
			require.Equal(t, stay, seen)
			w.clock.Advance(100 * time.Millisecond)
		}
		cancel()
		writers.Wait()
	})
}

// ignoring returns err unless it matches one that is expected.
func ignoring(err error, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// Products of a page are made in memory that they share, and are each the
// caller's own nevertheless: one that grows or is overwritten leaves the next
// alone.
func TestProductsOfAPageAreApart(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		var want []string
		for i := range 40 {
			p := w.upsert(fmt.Sprintf("p%02d", i), withImage(catalog.Patch{
				Title:    catalog.Set("title"),
				Metadata: catalog.Set(json.RawMessage(fmt.Sprintf(`{"n":%d,"pad":"%s"}`, i, strings.Repeat("x", i*40)))),
			}))
			want = append(want, string(p.AppendJSON(nil)))
		}
		page, err := w.c().List(t.Context(), acme, catalog.ListOptions{})
		require.NoError(t, err)
		require.Len(t, page.Products, len(want))
		for i, p := range page.Products {
			require.Equal(t, want[i], string(p.AppendJSON(nil)))
			for j := range p.Metadata {
				p.Metadata[j] = '!'
			}
			p.Metadata = append(p.Metadata, "grown into its neighbour"...)
			p.Images = append(p.Images, catalog.Image{SourceURL: "https://evil.example"})
		}
	})
}
