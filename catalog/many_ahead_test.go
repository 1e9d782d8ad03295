package catalog_test

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// hesitantBackend holds the Updates of a group up for a moment, and longer those that begin
// with a scope. It notes the most that were there together.
type hesitantBackend struct {
	backend.Backend
	slow        backend.Scope
	there, most *atomic.Int32
}

func (b hesitantBackend) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if scopes[0].Group != b.slow.Group {
		return b.Backend.Update(ctx, scopes, o, fn)
	}
	b.most.Store(max(b.there.Add(1), b.most.Load()))
	defer b.there.Add(-1)
	if scopes[0] == b.slow {
		time.Sleep(60 * time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	return b.Backend.Update(ctx, scopes, o, fn)
}

// TestUpsertManyAhead: Updates go together where processes share the store, unless they
// are about the same product, which then comes to be what its last item says.
func TestUpsertManyAhead(t *testing.T) {
	for name, again := range map[string]bool{"different products": false, "the same product again": true} {
		t.Run(name, func(t *testing.T) {
			var slow backend.Scope
			slow.Group, slow.Item = encoding.ProductScope("account", "product-000")
			b := hesitantBackend{memory.New(&memory.Options{Shared: true}), slow, new(atomic.Int32), new(atomic.Int32)}
			c, err := catalog.Open(t.Context(), b, nil)
			require.NoError(t, err)
			defer func() { require.NoError(t, c.Close()) }()
			items := make([]catalog.UpsertItem, 300)
			for i := range items {
				items[i] = catalog.UpsertItem{ExternalID: fmt.Sprintf("product-%03d", i), Patch: catalog.Patch{
					Title: catalog.Set(fmt.Sprint(i)), Images: catalog.Set([]catalog.NewImage{{URL: "https://example.com/1.jpg"}}),
				}}
			}
			if again {
				items[len(items)-1].ExternalID = items[0].ExternalID
			}
			for _, r := range c.UpsertMany(t.Context(), "account", items) {
				require.NoError(t, r.Err)
			}
			if !again {
				require.EqualValues(t, 2, b.most.Load(), "Updates on their way together")
				return
			}
			p, err := c.Get(t.Context(), "account", items[0].ExternalID)
			require.NoError(t, err)
			require.Equal(t, "299", p.Title)
		})
	}
}

// stepsBackend counts what the loops over its products take.
type stepsBackend struct {
	backend.Backend
	steps *atomic.Int64
}

func (b stepsBackend) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	entries := b.Backend.Scan(ctx, r, o)
	if r.Start == nil || r.Start[0] != encoding.SpaceProduct {
		return entries
	}
	return func(yield func(backend.Entry, error) bool) {
		for e, err := range entries {
			b.steps.Add(1)
			if !yield(e, err) {
				return
			}
		}
	}
}

// UpsertMany finds out whether its items are new by the first product that is among
// them, however many there are.
func TestUpsertManyLooksAtOneProduct(t *testing.T) {
	b := stepsBackend{memory.New(&memory.Options{Shared: true}), new(atomic.Int64)}
	c, err := catalog.Open(t.Context(), b, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	items := make([]catalog.UpsertItem, 100)
	for i := range items {
		items[i] = catalog.UpsertItem{ExternalID: fmt.Sprintf("p%03d", i), Patch: withImage(catalog.Patch{})}
	}
	for range 2 {
		b.steps.Store(0)
		for _, r := range c.UpsertMany(t.Context(), acme, items) {
			require.NoError(t, r.Err)
		}
		require.LessOrEqual(t, b.steps.Load(), int64(1))
	}
	require.Equal(t, int64(1), b.steps.Load(), "it did not look")
}
