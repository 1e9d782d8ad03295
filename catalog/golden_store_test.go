package catalog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// goldenStore is a store as the release of schema 1 leaves it, a log that was
// not written out included. It is never made anew: a later schema gets a
// folder of its own beside it.
const goldenStore = "testdata/store-schema1"

// goldenAccounts and what their lists show are in goldenStore + ".golden".
var goldenAccounts = []string{acme, "acme/other", "ünï"}

// openGolden opens a copy of the golden store.
func openGolden(t *testing.T) *catalog.Catalog {
	dir := filepath.Join(t.TempDir(), "store")
	require.NoError(t, os.CopyFS(dir, os.DirFS(goldenStore)))
	return openFolder(t, dir)
}

func openFolder(t *testing.T, dir string) *catalog.Catalog {
	b, err := pebble.Open(t.Context(), dir, &pebble.Options{MemTableSize: 256 << 10, CacheSize: 1 << 20})
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), b, &catalog.Options{Clock: ttl.NewManualClock(epoch.Add(time.Hour))})
	require.NoError(t, err)
	return c
}

// shownBy returns all products with their versions, a line each.
func shownBy(t *testing.T, c *catalog.Catalog) string {
	var out strings.Builder
	for _, account := range goldenAccounts {
		for p, err := range c.All(t.Context(), account, catalog.AllOptions{Unlisted: true}) {
			require.NoError(t, err)
			fmt.Fprintf(&out, "%s %s %s\n", account, p.Version(), p.AppendJSON(nil))
		}
	}
	return out.String()
}

// TestGoldenStore: a store of schema 1 opens forever, shows what it showed, and
// takes writes.
func TestGoldenStore(t *testing.T) {
	c := openGolden(t)
	want, err := os.ReadFile(goldenStore + ".golden")
	require.NoError(t, err)
	require.Equal(t, string(want), shownBy(t, c))
	for i, width := range []int{90, 8} {
		data, err := readImage(t, c, "images", i)
		require.NoError(t, err)
		require.True(t, bytes.Equal(faultImage(width), data), "image %d", i)
	}
	report, err := c.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Problems)

	res, err := c.Upsert(t.Context(), acme, "images", catalog.Patch{Title: catalog.Set("edited")})
	require.NoError(t, err)
	require.Equal(t, catalog.Edited, res.Outcome)
	_, err = c.Use(t.Context(), acme, "used")
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

// TestMakeGoldenStore makes the store of a new schema, where its folder does
// not exist.
func TestMakeGoldenStore(t *testing.T) {
	if _, err := os.Stat(goldenStore); err == nil || !*update {
		t.Skip("only with -update, and only where the folder is missing")
	}
	dir := filepath.Join(t.TempDir(), "store")
	b, err := pebble.Open(t.Context(), dir, &pebble.Options{MemTableSize: 256 << 10, CacheSize: 1 << 20})
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), b, &catalog.Options{Clock: ttl.NewManualClock(epoch)})
	require.NoError(t, err)
	upsert := func(account, id string, p catalog.Patch) {
		_, err := c.Upsert(t.Context(), account, id, p)
		require.NoError(t, err)
	}
	upsert(acme, "images", catalog.Patch{Title: catalog.Set("With images"), Images: catalog.Set([]catalog.NewImage{
		{Upload: upload(faultImage(90)), Classifications: json.RawMessage(`{"view":"front"}`)},
		{Upload: upload(faultImage(8))},
		{URL: "https://cdn.example/back.jpg"},
	})})
	upsert(acme, "used", withImage(catalog.Patch{
		Description: catalog.Set("Line\nbreak \U0001f9e6"), Metadata: catalog.Set(json.RawMessage(`{"price":19.90,"e":1e3}`)), ValidForDays: catalog.Set(365),
	}))
	_, err = c.Use(t.Context(), acme, "used")
	require.NoError(t, err)
	_, err = c.UpsertInline(t.Context(), acme, "inline", withImage(catalog.Patch{}))
	require.NoError(t, err)
	_, err = c.CreateOneShot(t.Context(), "acme/other", withImage(catalog.Patch{}))
	require.NoError(t, err)
	require.NoError(t, c.Close())

	c = openFolder(t, dir)
	upsert(acme, "used", catalog.Patch{Title: catalog.Set("Edited later")})
	upsert("ünï", "a/../b", withImage(catalog.Patch{Title: catalog.Set("in the log")}))
	require.NoError(t, os.CopyFS(goldenStore, os.DirFS(dir)))
	require.NoError(t, os.Remove(filepath.Join(goldenStore, "LOCK")))
	require.NoError(t, c.Close())

	c = openGolden(t)
	require.NoError(t, os.WriteFile(goldenStore+".golden", []byte(shownBy(t, c)), 0o644))
	require.NoError(t, c.Close())
}

// A store that a newer release made unreadable for this one is left alone.
func TestNewerStore(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.create("p")
		w.close()
		meta := func(change func(*encoding.StoreMeta)) {
			b := w.open()
			require.NoError(t, b.Update(t.Context(), nil, backend.UpdateOptions{}, func(ctx context.Context, txn backend.Txn) error {
				key := encoding.AppendMetaKey(nil, encoding.StoreMetaName)
				var m encoding.StoreMeta
				if _, err := txn.Get(ctx, key, func(v []byte) error { return encoding.DecodeStoreMeta(v, &m) }); err != nil {
					return err
				}
				change(&m)
				return txn.Put(key, encoding.AppendStoreMeta(nil, &m))
			}))
			require.NoError(t, b.Close())
		}
		var before encoding.StoreMeta
		meta(func(m *encoding.StoreMeta) { before = *m; m.Schema++; m.MinReader = m.Schema; m.MinWriter = m.Schema })
		b := w.open()
		_, err := catalog.Open(t.Context(), b, &w.opts)
		require.ErrorIs(t, err, catalog.ErrNewerSchema)
		require.ErrorContains(t, err, "newer")
		require.NoError(t, b.Close())
		meta(func(m *encoding.StoreMeta) { *m = before })
		w.start()
		w.get("p")
	})
}
