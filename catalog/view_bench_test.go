package catalog_test

import (
	"context"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

func BenchmarkView(b *testing.B) {
	for _, cache := range []struct {
		name  string
		bytes int64
	}{{"cached", 64 << 20}, {"uncached", -1}} {
		for _, as := range []struct {
			name string
			fn   func(v catalog.ProductView, buf []byte) []byte
		}{
			{"untouched", func(_ catalog.ProductView, buf []byte) []byte { return buf }},
			{"fields", func(v catalog.ProductView, buf []byte) []byte { looked(v); return buf }},
			{"JSON", func(v catalog.ProductView, buf []byte) []byte { return v.AppendJSON(buf[:0]) }},
		} {
			b.Run(cache.name+"/"+as.name, func(b *testing.B) {
				c := benchCatalog(b, catalog.Options{CacheBytes: cache.bytes})
				var buf []byte
				fn := func(v catalog.ProductView) error {
					buf = as.fn(v, buf)
					return nil
				}
				ids := make([]string, benchProducts)
				for i := range ids {
					ids[i] = benchID(i)
					for range 3 {
						require.NoError(b, c.View(context.Background(), acme, ids[i], fn))
					}
				}
				b.ResetTimer()
				for b.Loop() {
					if err := c.View(context.Background(), acme, ids[rand.IntN(benchProducts)], fn); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// looked reads every field.
func looked(v catalog.ProductView) (n int) {
	n = len(v.ExternalID()) + len(v.Title()) + len(v.Description()) + len(v.Metadata()) + v.ValidForDays()
	n += int(v.ExpiresAt().UnixMilli() + v.LastUsedAt().UnixMilli() + v.CreatedAt().UnixMilli() + v.UpdatedAt().UnixMilli())
	for i := range v.Images() {
		n += len(i.SourceURL()) + len(i.Classifications())
	}
	return n
}

func BenchmarkListViews(b *testing.B) {
	c := benchCatalog(b, catalog.Options{})
	cursor, n := "", 0
	for b.Loop() {
		info, err := c.ListViews(context.Background(), acme, catalog.ListOptions{Cursor: cursor}, func(v catalog.ProductView) error {
			n += looked(v)
			return nil
		})
		require.NoError(b, err)
		cursor = info.NextCursor
	}
}

func BenchmarkGetMany(b *testing.B) {
	c := benchCatalog(b, catalog.Options{CacheBytes: -1})
	ids := make([]string, 50)
	for b.Loop() {
		for i := range ids {
			ids[i] = benchID(rand.IntN(benchProducts))
		}
		_, err := c.GetMany(context.Background(), acme, ids)
		require.NoError(b, err)
	}
}

func BenchmarkImage(b *testing.B) {
	c := benchCatalog(b, catalog.Options{})
	data := append(pngOf(1, 4, 4), make([]byte, 200<<10)...)
	_, err := c.Upsert(context.Background(), acme, "p", catalog.Patch{Images: imagesOf(data)})
	require.NoError(b, err)
	into := make([]byte, len(data))
	for _, way := range []struct {
		name string
		fn   func(r *catalog.ImageReader) error
	}{
		{"Read", func(r *catalog.ImageReader) error { _, err := io.ReadFull(r, into); return err }},
		{"WriteTo", func(r *catalog.ImageReader) error { _, err := r.WriteTo(io.Discard); return err }},
		{"Copy32K", func(r *catalog.ImageReader) error {
			_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, into[:32<<10])
			return err
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := c.OpenImage(context.Background(), acme, "p", 0)
				require.NoError(b, err)
				require.NoError(b, way.fn(r))
				require.NoError(b, r.Close())
			}
		})
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	c := benchCatalog(b, catalog.Options{})
	p, err := c.Get(context.Background(), acme, benchID(7))
	require.NoError(b, err)
	var buf []byte
	for b.Loop() {
		buf = p.AppendJSON(buf[:0])
	}
}
