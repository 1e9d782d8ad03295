package pebble_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// BenchmarkErase writes what a day's erasure writes in a store of 100,000 products,
// one of five with an image of 32 KiB, by how many of them were deleted, scattered
// all over it: the bytes written and what share of the store that is. It is run
// with -benchtime 1x, and takes a minute or two; only Linux counts the bytes.
func BenchmarkErase(b *testing.B) {
	const products, images = 100_000, 5
	ctx := context.Background()
	dir, clock := b.TempDir(), ttl.NewManualClock(time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC))
	engine, err := pebble.Open(ctx, dir, &pebble.Options{DiskReserve: -1, EraseWithin: -1})
	require.NoError(b, err)
	c, err := catalog.Open(ctx, engine, &catalog.Options{Clock: clock, Durability: catalog.Buffered})
	require.NoError(b, err)
	defer func() { require.NoError(b, c.Close()) }()
	description := strings.Repeat("soft cotton, ", 60)
	for i := range products {
		p := roomPatch(b, i, 32<<10)
		if i%images != 0 {
			p.Images = catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/" + roomMark("url", i)}})
		}
		p.Description = catalog.Set(description + roomMark("description", i))
		_, err := c.Upsert(ctx, shop, fmt.Sprint(i), p)
		require.NoError(b, err)
	}
	require.NoError(b, c.Reclaim(ctx))
	rng := rand.New(rand.NewPCG(1, 1))
	// One after the other in the same store, so that all see the same.
	for _, n := range []int{1, 3, 10, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				for range n {
					// What was deleted before does not count.
					for c.Delete(ctx, shop, fmt.Sprint(rng.IntN(products))) != nil {
					}
				}
				clock.Advance(16 * time.Minute)
				_, err := c.Sweep(ctx)
				require.NoError(b, err)
				size, _ := storedIn(b, dir, 0, 0)
				before := bytesWritten(b)
				require.NoError(b, c.Reclaim(ctx))
				written := bytesWritten(b) - before
				b.ReportMetric(float64(written)/(1<<20), "MiB-written/op")
				b.ReportMetric(float64(written)/float64(size), "stores-written/op")
				b.ReportMetric(float64(size)/(1<<20), "MiB-store")
			}
		})
	}
}

// bytesWritten returns what this process has written so far.
func bytesWritten(b *testing.B) int64 {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip(err)
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "wchar: "); ok {
			written, err := strconv.ParseInt(strings.TrimSpace(n), 10, 64)
			require.NoError(b, err)
			return written
		}
	}
	b.Skip("not counted")
	return 0
}
