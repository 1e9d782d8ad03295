package catalog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

const benchProducts = 20_000

// benchCatalog returns a catalog on Pebble on the disk, with benchProducts of
// about 1.1 KB each.
func benchCatalog(b *testing.B, o catalog.Options) *catalog.Catalog {
	b.Helper()
	ctx := context.Background()
	store, err := pebble.Open(ctx, b.TempDir(), nil)
	require.NoError(b, err)
	c, err := catalog.Open(ctx, store, &o)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, c.Close()) })
	items := make([]catalog.UpsertItem, benchProducts)
	for i := range items {
		items[i] = catalog.UpsertItem{ExternalID: benchID(i), Patch: benchPatch(i)}
	}
	for _, res := range c.UpsertMany(ctx, acme, items) {
		require.NoError(b, res.Err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	return c
}

func benchID(i int) string { return fmt.Sprintf("sku-%08d", i) }

func benchPatch(i int) catalog.Patch {
	images := make([]catalog.NewImage, 4)
	for n := range images {
		images[n] = catalog.NewImage{
			URL:             fmt.Sprintf("https://cdn.example/products/%08d/%d.webp", i, n),
			Classifications: json.RawMessage(fmt.Sprintf(`{"view":"front","position":%d}`, n)),
		}
	}
	return catalog.Patch{
		Title:        catalog.Set(fmt.Sprintf("Linen shirt %d", i)),
		Description:  catalog.Set("A light shirt of washed linen with a soft collar, made to be worn loose on warm days and layered on cool ones."),
		Images:       catalog.Set(images),
		Metadata:     catalog.Set(benchMetadata(i)),
		ValidForDays: catalog.Set(30),
	}
}

func benchMetadata(revision int) json.RawMessage {
	return fmt.Appendf(nil, `{"category":"shirts","price":%d.90,"stock":%d,"tags":["linen","summer","loose"],"brand":"Nord",`+
		`"dimensions":{"width":15.14,"height":13.08,"depth":22.99},"shipping":"Ships in 3-5 business days",`+
		`"reviews":[{"rating":5,"comment":"Soft and light","reviewer":"Lucas"},{"rating":4,"comment":"Runs large","reviewer":"Mia"}]}`,
		revision%200, revision%50)
}

func BenchmarkGet(b *testing.B) {
	for name, cache := range map[string]int64{"cached": 64 << 20, "uncached": -1} {
		b.Run(name, func(b *testing.B) {
			c := benchCatalog(b, catalog.Options{CacheBytes: cache})
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := c.Get(context.Background(), acme, benchID(rand.IntN(benchProducts))); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func BenchmarkEdit(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		for name, durability := range map[string]catalog.Durability{"synced": catalog.Synced, "buffered": catalog.Buffered} {
			b.Run(fmt.Sprintf("%s/writers=%d", name, writers), func(b *testing.B) {
				c := benchCatalog(b, catalog.Options{Durability: durability})
				var n atomic.Int64
				b.SetParallelism(writers)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						patch := catalog.Patch{Metadata: catalog.Set(benchMetadata(int(n.Add(1))))}
						if _, err := c.Upsert(context.Background(), acme, benchID(rand.IntN(benchProducts)), patch); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}

func BenchmarkUse(b *testing.B) {
	c := benchCatalog(b, catalog.Options{Durability: catalog.Buffered})
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Use(context.Background(), acme, benchID(rand.IntN(benchProducts))); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkTouch(b *testing.B) {
	c := benchCatalog(b, catalog.Options{Durability: catalog.Buffered})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Touch(context.Background(), acme, benchID(rand.IntN(benchProducts))); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkListPage(b *testing.B) {
	c := benchCatalog(b, catalog.Options{})
	cursor := ""
	for b.Loop() {
		page, err := c.List(context.Background(), acme, catalog.ListOptions{Cursor: cursor})
		if err != nil {
			b.Fatal(err)
		}
		cursor = page.NextCursor
	}
}

// BenchmarkReadImage reads an uploaded image of 200 KB to its end.
func BenchmarkReadImage(b *testing.B) {
	c := benchCatalog(b, catalog.Options{})
	image := benchImage()
	_, err := c.Upsert(context.Background(), acme, "image", uploads(image))
	require.NoError(b, err)
	p := make([]byte, len(image)+1)
	b.SetBytes(int64(len(image)))
	for b.Loop() {
		r, err := c.OpenImage(context.Background(), acme, "image", 0)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.ReadFull(r, p); n != len(image) || err != io.ErrUnexpectedEOF {
			b.Fatal(n, err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUploadImage replaces an image of 200 KB, which travels in its commit.
func BenchmarkUploadImage(b *testing.B) {
	c := benchCatalog(b, catalog.Options{Durability: catalog.Buffered})
	image := benchImage()
	b.SetBytes(int64(len(image)))
	for n := 0; b.Loop(); n++ {
		image[len(image)-1-n%1000]++ // other bytes
		if _, err := c.Upsert(context.Background(), acme, "image", uploads(image)); err != nil {
			b.Fatal(err)
		}
	}
}

func benchImage() []byte {
	image := make([]byte, 200<<10)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range image {
		image[i] = byte(r.Uint32())
	}
	copy(image, pngOf(1, 4, 4))
	return image
}

// BenchmarkSweep removes what has expired, 2,000 products each time.
func BenchmarkSweep(b *testing.B) {
	ctx := context.Background()
	clock := ttl.NewManualClock(epoch)
	store, err := pebble.Open(ctx, b.TempDir(), nil)
	require.NoError(b, err)
	c, err := catalog.Open(ctx, store, &catalog.Options{Clock: clock, Durability: catalog.Buffered})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, c.Close()) })
	items := make([]catalog.UpsertItem, 2000)
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		for i := range items {
			patch := benchPatch(i)
			patch.ValidForDays = catalog.Set(1)
			items[i] = catalog.UpsertItem{ExternalID: fmt.Sprintf("%d-%d", n, i), Patch: patch}
		}
		for _, res := range c.UpsertMany(ctx, acme, items) {
			require.NoError(b, res.Err)
		}
		clock.Advance(24*time.Hour + time.Minute)
		b.StartTimer()
		if _, err := c.Sweep(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(items)), "ns/product")
}

func BenchmarkUpsertMany(b *testing.B) {
	c := benchCatalog(b, catalog.Options{Durability: catalog.Buffered})
	items := make([]catalog.UpsertItem, 256)
	for n := 0; b.Loop(); n++ {
		for i := range items {
			items[i] = catalog.UpsertItem{ExternalID: fmt.Sprintf("new-%d-%d", n, i), Patch: benchPatch(i)}
		}
		for _, res := range c.UpsertMany(context.Background(), acme, items) {
			require.NoError(b, res.Err)
		}
	}
	b.ReportMetric(float64(b.N*len(items))/b.Elapsed().Seconds(), "products/s")
}
