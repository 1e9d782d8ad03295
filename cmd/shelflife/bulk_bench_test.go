package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
)

// BenchmarkBulk compares new products by POST /bulk over loopback with the same ones
// by Catalog.UpsertMany, in batches of the same size, on stores of their own.
func BenchmarkBulk(b *testing.B) {
	const n = 20_000
	var lines bytes.Buffer
	items := make([]catalog.UpsertItem, n)
	for i := range items {
		id, title, text := fmt.Sprintf("sku-%07d", i), fmt.Sprint("Product number ", i), strings.Repeat("x", 400)
		image, metadata := fmt.Sprintf("https://cdn.example/%d.jpg", i), fmt.Sprintf(`{"brand":"b","price":%d}`, i)
		items[i] = catalog.UpsertItem{ExternalID: id, Patch: catalog.Patch{
			Title: catalog.Set(title), Description: catalog.Set(text), Metadata: catalog.Set(json.RawMessage(metadata)),
			Images: catalog.Set([]catalog.NewImage{{URL: image}}),
		}}
		fmt.Fprintf(&lines, `{"externalId":%q,"title":%q,"description":%q,"metadata":%s,"images":[{"source":{"url":%q}}]}`+"\n", id, title, text, metadata, image)
	}
	open := func(b *testing.B) *catalog.Catalog {
		store, err := pebble.Open(context.Background(), b.TempDir(), nil)
		require.NoError(b, err)
		c, err := catalog.Open(context.Background(), store, nil)
		require.NoError(b, err)
		b.Cleanup(func() { _ = c.Close() })
		return c
	}
	b.Run("UpsertMany", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			c := open(b)
			b.StartTimer()
			for at := 0; at < n; at += 256 {
				for _, r := range c.UpsertMany(b.Context(), "acme", items[at:min(at+256, n)]) {
					require.NoError(b, r.Err)
				}
			}
		}
		b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "products/s")
	})
	b.Run("HTTP", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			h, err := httpadapter.New(open(b), &httpadapter.Options{Authenticate: func(*http.Request) (string, error) { return "acme", nil }})
			require.NoError(b, err)
			server := httptest.NewServer(h)
			b.StartTimer()
			res, err := http.Post(server.URL+"/bulk", "application/x-ndjson", bytes.NewReader(lines.Bytes()))
			require.NoError(b, err)
			last := ""
			for in := bufio.NewReader(res.Body); ; {
				line, err := in.ReadString('\n')
				if err == io.EOF {
					break
				}
				require.NoError(b, err)
				last = line
			}
			require.Equal(b, fmt.Sprintf(`{"summary":{"lines":%d,"created":%d,"edited":0,"unchanged":0,"refused":0}}`+"\n", n, n), last)
			b.StopTimer()
			server.Close()
			b.StartTimer()
		}
		b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "products/s")
	})
}
