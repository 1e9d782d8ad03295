package catalog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
)

// contract 7, UpsertMany: in order, each atomic, one result or error each.
func TestUpsertMany(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		before := w.create("there")
		title := func(s string) catalog.Patch { return catalog.Patch{Title: catalog.Set(s)} }
		results := w.c().UpsertMany(ctx, acme, []catalog.UpsertItem{
			{ExternalID: "new", Patch: withImage(title("new"))},
			{ExternalID: "there", Patch: title("edited")},
			{ExternalID: "there", Patch: title("edited")},
			{ExternalID: "imageless", Patch: title("x")},
			{ExternalID: "", Patch: catalog.Patch{ValidForDays: catalog.Set(0)}},
			{ExternalID: "there", Patch: title("again"), Conditions: []catalog.Condition{catalog.IfVersion(before.Version())}},
			{ExternalID: "with bytes", Patch: uploads(smallImage, chunkImage)},
			{ExternalID: "bad bytes", Patch: uploads(smallImage, []byte("x"))},
			{ExternalID: "new", Patch: withImage(title("second")), Conditions: []catalog.Condition{catalog.IfExists()}},
			{ExternalID: "new", Patch: title("third"), Conditions: []catalog.Condition{catalog.CreateOnly()}},
			{ExternalID: "with bytes", Patch: uploads(chunkImage)},
			{ExternalID: "last", Patch: withImage(title("last"))},
		})
		require.Len(t, results, 12)
		outcomes := []any{}
		for i, r := range results {
			if r.Err != nil {
				require.True(t, strings.HasPrefix(r.Err.Error(), "shelflife: "), "%v", r.Err)
				require.Nil(t, r.Product, i)
				outcomes = append(outcomes, "error")
				continue
			}
			outcomes = append(outcomes, r.Outcome)
		}
		require.Equal(t, []any{
			catalog.Created, catalog.Edited, catalog.Unchanged, "error", "error", "error",
			catalog.Created, "error", catalog.Edited, "error", catalog.Edited, catalog.Created,
		}, outcomes)
		requireFaults(t, results[3].Err, map[string]catalog.Code{"images": catalog.CodeImagesRequired})
		requireFaults(t, results[4].Err, map[string]catalog.Code{
			"externalId": catalog.CodeExternalIDRequired, "validForDays": catalog.CodeValidationFailed,
		})
		require.ErrorIs(t, results[5].Err, catalog.ErrPreconditionFailed)
		requireFaults(t, results[7].Err, map[string]catalog.Code{"images.1.source.fileKey": catalog.CodeInvalidImage})
		require.ErrorIs(t, results[9].Err, catalog.ErrPreconditionFailed)
		require.Equal(t, "new", results[0].Product.Title, "the result of its own step")
		require.Equal(t, "second", w.get("new").Title)
		require.Equal(t, results[8].Product, w.get("new"))
		require.Equal(t, "edited", w.get("there").Title)
		require.Equal(t, results[2].Product, w.get("there"))
		require.True(t, results[0].Product.Listed)
		w.requireGone("imageless")
		w.requireGone("bad bytes")
		w.requireBytes(chunkImage, "with bytes", 0)
		w.reopen()
		require.Equal(t, results[11].Product, w.get("last"))
		w.requireStored(4, 1)
	})
}

// contract 7: many more items than fit into one commit.
func TestUpsertManyOverManyCommits(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		const n = 300
		items := make([]catalog.UpsertItem, 0, 2*n)
		for i := range n {
			items = append(items, catalog.UpsertItem{
				ExternalID: fmt.Sprintf("%03d", i), Patch: withImage(catalog.Patch{Title: catalog.Set("first")}),
			})
		}
		items = append(items, items...)
		for i := range items[n:] {
			items[n+i].Patch = catalog.Patch{Title: catalog.Set("second")}
		}
		results := w.c().UpsertMany(t.Context(), acme, items)
		for i, r := range results {
			require.NoError(t, r.Err)
			require.Equal(t, items[i].ExternalID, r.Product.ExternalID)
			require.Equal(t, map[bool]catalog.Outcome{true: catalog.Created, false: catalog.Edited}[i < n], r.Outcome)
		}
		w.reopen()
		for i := range n {
			require.Equal(t, "second", w.get(fmt.Sprintf("%03d", i)).Title)
		}
	})
}

// contract 7: commits are shared.
func TestUpsertManySharesCommits(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		var updates atomic.Int64
		count := func() { updates.Add(1) }
		o := w.obstruct()
		o.before.Store(&count)
		items := make([]catalog.UpsertItem, 64)
		for i := range items {
			items[i] = catalog.UpsertItem{ExternalID: fmt.Sprint(i), Patch: withImage(catalog.Patch{})}
		}
		for _, r := range w.catalogs[0].UpsertMany(t.Context(), acme, items) {
			require.NoError(t, r.Err)
		}
		require.LessOrEqual(t, updates.Load(), int64(4))
	})
}

// An upsert of many replaces what has expired, like any other.
func TestUpsertManyRecreates(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		p := uploads(chunkImage)
		p.ValidForDays = catalog.Set(1)
		old := w.upsert("a", p)
		w.clock.Advance(day)
		results := w.c().UpsertMany(t.Context(), acme, []catalog.UpsertItem{
			{ExternalID: "a", Patch: catalog.Patch{Title: catalog.Set("x")}},
			{ExternalID: "a", Patch: withImage(catalog.Patch{}), Conditions: []catalog.Condition{catalog.IfVersion(old.Version())}},
			{ExternalID: "a", Patch: withImage(catalog.Patch{}), Conditions: []catalog.Condition{catalog.CreateOnly()}},
		})
		requireFaults(t, results[0].Err, map[string]catalog.Code{"images": catalog.CodeImagesRequired})
		require.ErrorIs(t, results[1].Err, catalog.ErrPreconditionFailed)
		require.NoError(t, results[2].Err)
		require.Equal(t, catalog.Created, results[2].Outcome)
		require.Zero(t, results[2].Product.ValidForDays)
		w.requireStored(1, 0)
	})
}

func TestUpsertManyOfNothing(t *testing.T) {
	w := memoryWorld(t)
	require.Empty(t, w.c().UpsertMany(t.Context(), acme, nil))
	require.Empty(t, w.c().UpsertMany(t.Context(), "", nil))
}

// Every item of a call that can't be served says so.
func TestUpsertManyFailsForEveryItem(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		items := []catalog.UpsertItem{
			{ExternalID: "a", Patch: withImage(catalog.Patch{})}, {ExternalID: "b", Patch: withImage(catalog.Patch{})},
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		for _, r := range w.c().UpsertMany(cancelled, acme, items) {
			require.ErrorIs(t, r.Err, context.Canceled)
		}
		for _, r := range w.c().UpsertMany(t.Context(), "", items) {
			requireFaults(t, r.Err, map[string]catalog.Code{"account": catalog.CodeValidationFailed})
		}
		w.requireGone("a")
		w.clock.Advance(time.Second)
		c := w.c()
		w.close()
		for _, r := range c.UpsertMany(t.Context(), acme, items) {
			require.ErrorIs(t, r.Err, catalog.ErrClosed)
		}
		w.start()
		w.requireGone("b")
	})
}

// Limits may be set so high that a product fits into them and not into what the
// backend takes: it alone is refused.
func TestUpsertManyTooLargeForTheBackend(t *testing.T) {
	ctx := t.Context()
	c, err := catalog.Open(ctx, memory.New(&memory.Options{MaxValueSize: 2 << 20}), &catalog.Options{
		Limits: catalog.Limits{MetadataBytes: 8 << 20},
	})
	require.NoError(t, err)
	defer c.Close()
	of := func(size int) catalog.Patch {
		return withImage(catalog.Patch{Metadata: catalog.Set(json.RawMessage(`"` + strings.Repeat("x", size) + `"`))})
	}
	results := c.UpsertMany(ctx, acme, []catalog.UpsertItem{
		{ExternalID: "a", Patch: of(1)}, {ExternalID: "b", Patch: of(2 << 20)}, {ExternalID: "c", Patch: of(2<<20 - 1000)},
	})
	require.NoError(t, results[0].Err)
	requireFaults(t, results[1].Err, map[string]catalog.Code{"": catalog.CodeValidationFailed})
	require.NoError(t, results[2].Err)
	_, err = c.Upsert(ctx, acme, "a", of(3<<20))
	requireFaults(t, err, map[string]catalog.Code{"": catalog.CodeValidationFailed})
	p, err := c.Get(ctx, acme, "a")
	require.NoError(t, err)
	require.Equal(t, `"x"`, string(p.Metadata))
	_, err = c.Get(ctx, acme, "b")
	require.ErrorIs(t, err, catalog.ErrNotFound)
}

// A batch whose products release many images at once.
func TestUpsertManyReplacesManyImages(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		const products, images = 20, 8
		for round := range 2 {
			items := make([]catalog.UpsertItem, products)
			for i := range items {
				data := make([][]byte, images)
				for n := range data {
					data[n] = pngOf(uint64(round*1000+i*images+n), 4, 4)
				}
				items[i] = catalog.UpsertItem{ExternalID: fmt.Sprint(i), Patch: uploads(data...)}
			}
			for _, r := range w.c().UpsertMany(t.Context(), acme, items) {
				require.NoError(t, r.Err)
			}
		}
		w.clock.Advance(20 * time.Minute)
		w.requireStored(products, products*images)
	})
}
