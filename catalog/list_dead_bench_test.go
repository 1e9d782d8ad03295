package catalog_test

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

var benchDead = flag.Int("bench.dead", 20_000, "expired products in front of those that BenchmarkPageBehindExpired lists")

// BenchmarkPageBehindExpired lists a page that lies behind products which have
// expired and wait to be removed: "first" as the store meets them, "met" as they
// have been met.
func BenchmarkPageBehindExpired(b *testing.B) {
	ctx := context.Background()
	dir := b.TempDir()
	clock := ttl.NewManualClock(epoch)
	open := func() *catalog.Catalog {
		store, err := pebble.Open(ctx, dir, nil)
		require.NoError(b, err)
		c, err := catalog.Open(ctx, store, &catalog.Options{Clock: clock})
		require.NoError(b, err)
		return c
	}
	c := open()
	items := make([]catalog.UpsertItem, 0, 1000)
	flush := func() {
		for _, res := range c.UpsertMany(ctx, acme, items) {
			require.NoError(b, res.Err)
		}
		items = items[:0]
	}
	for i := range *benchDead {
		if items = append(items, catalog.UpsertItem{ExternalID: benchID(i), Patch: benchPatch(i)}); len(items) == cap(items) {
			flush()
		}
	}
	for i := range 200 {
		patch := benchPatch(i)
		patch.ValidForDays = catalog.Null[int]()
		items = append(items, catalog.UpsertItem{ExternalID: "x" + benchID(i), Patch: patch})
	}
	flush()
	require.NoError(b, c.Close())
	clock.Set(epoch.Add(31 * 24 * time.Hour)) // the process was down: removals are paused

	page := func(b *testing.B) {
		b.Helper()
		p, err := c.List(ctx, acme, catalog.ListOptions{})
		require.NoError(b, err)
		require.Len(b, p.Products, 50)
	}
	b.Run("first", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			c = open()
			b.StartTimer()
			page(b)
			b.StopTimer()
			require.NoError(b, c.Close())
			b.StartTimer()
		}
	})
	b.Run("met", func(b *testing.B) {
		c = open()
		page(b)
		for b.Loop() {
			page(b)
		}
		require.NoError(b, c.Close())
	})
}
