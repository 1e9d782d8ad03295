package catalog_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// filesOf returns what a store's directory holds.
func filesOf(t *testing.T, fs vfs.FS, dir string) map[string]string {
	t.Helper()
	names, err := fs.List(dir)
	require.NoError(t, err)
	files := map[string]string{}
	for _, name := range names {
		f, err := fs.Open(fs.PathJoin(dir, name))
		require.NoError(t, err)
		data, err := io.ReadAll(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		files[name] = string(data)
	}
	return files
}

// leftByCrash returns a store that a crash has left: a use of "used" stands in the
// journal alone, "unused" expires when it would have without, "kept" is forever.
func leftByCrash(t *testing.T, dir string) *vfs.MemFS {
	t.Helper()
	mem := vfs.NewCrashableMem()
	clock := ttl.NewManualClock(epoch)
	b, err := pebble.Open(t.Context(), dir, &pebble.Options{FS: mem, MemTableSize: 1 << 20, CacheSize: 8 << 20})
	require.NoError(t, err)
	p := new(probe)
	c, err := catalog.Open(t.Context(), &probed{b, p}, &catalog.Options{Clock: clock, UseWindow: time.Hour})
	require.NoError(t, err)
	upsert := func(id string, days int) {
		p := catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://c.example/1.jpg"}})}
		if days > 0 {
			p.ValidForDays = catalog.Set(days)
		}
		_, err := c.Upsert(t.Context(), acme, id, p)
		require.NoError(t, err)
	}
	upsert("used", 2)
	upsert("unused", 2)
	clock.Advance(day)
	_, err = c.Use(t.Context(), acme, "used")
	require.NoError(t, err)
	journaled := func() bool {
		start, end := encoding.UseJournalRange()
		for _, err := range b.Scan(t.Context(), backend.Range{Start: start, End: end}, backend.ScanOptions{KeysOnly: true}) {
			require.NoError(t, err)
			return true
		}
		return false
	}
	p.journalOnly.Store(true)
	for !journaled() {
		nudge(clock, 15*time.Second)
	}
	upsert("kept", 0) // durable, and so is all before it
	after := mem.CrashClone(vfs.CrashCloneCfg{})
	p.journalOnly.Store(false)
	require.NoError(t, c.Close())
	return after
}

// TestReadOnlyStore: a catalog on a store that is open for reading shows what was
// acknowledged, uses that stand in the journal alone too, does nothing in the
// background, whatever is due, refuses every write, and leaves the store as it is.
func TestReadOnlyStore(t *testing.T) {
	for name, window := range map[string]time.Duration{"uses may wait": time.Second, "uses may not wait": catalog.NoUseWindow} {
		t.Run(name, func(t *testing.T) {
			const dir = "store"
			mem := leftByCrash(t, dir)
			before := filesOf(t, mem, dir)
			clock := ttl.NewManualClock(epoch.Add(2*day + 12*time.Hour))
			b, err := pebble.Open(t.Context(), dir, &pebble.Options{FS: mem, ReadOnly: true})
			require.NoError(t, err)
			c, err := catalog.Open(t.Context(), b, &catalog.Options{Clock: clock, UseWindow: window})
			require.NoError(t, err)
			for range 3 { // the sweeper would have its turns
				used, err := c.Get(t.Context(), acme, "used")
				require.NoError(t, err, "its use was acknowledged")
				require.NotNil(t, used.LastUsedAt)
				_, err = c.Get(t.Context(), acme, "unused")
				require.ErrorIs(t, err, catalog.ErrNotFound)
				page, err := c.List(t.Context(), acme, catalog.ListOptions{})
				require.NoError(t, err)
				require.Len(t, page.Products, 2)
				clock.Advance(time.Hour)
			}
			_, err = c.Check(t.Context())
			require.NoError(t, err)
			refused := map[string]error{"ready": c.Ready(), "delete": c.Delete(t.Context(), acme, "kept")}
			_, refused["upsert"] = c.Upsert(t.Context(), acme, "kept", catalog.Patch{Title: catalog.Set("x")})
			_, refused["use"] = c.Use(t.Context(), acme, "kept")
			_, refused["stage"] = c.StageImage(t.Context(), acme, bytes.NewReader(pngOf(1, 3, 4)))
			for what, err := range refused {
				require.ErrorIs(t, err, catalog.ErrUnavailable, what)
				require.ErrorIs(t, err, backend.ErrReadOnly, what)
			}
			require.NoError(t, c.Close())
			require.Equal(t, before, filesOf(t, mem, dir))
		})
	}
}

// TestReadOnlyNeedsNoWriter: a store whose writers must be newer is read, and not
// written; one whose readers must be newer is not even read.
func TestReadOnlyNeedsNoWriter(t *testing.T) {
	for name, c := range map[string]struct {
		reader, writer  int
		reads, isOpened bool
	}{
		"of today":      {encoding.Schema, encoding.Schema, true, true},
		"newer writers": {encoding.Schema, encoding.Schema + 1, true, false},
		"newer readers": {encoding.Schema + 1, encoding.Schema + 1, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			b, err := pebble.Open(t.Context(), "store", &pebble.Options{FS: mem})
			require.NoError(t, err)
			require.NoError(t, b.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
				meta := encoding.StoreMeta{
					Schema: encoding.Schema, MinReader: c.reader, MinWriter: c.writer, Shards: 1, Epoch: 1, Secret: encoding.Secret{1},
				}
				return x.Put(encoding.AppendMetaKey(nil, encoding.StoreMetaName), encoding.AppendStoreMeta(nil, &meta))
			}))
			require.NoError(t, b.Close())
			for readOnly, want := range map[bool]bool{true: c.reads, false: c.isOpened} {
				b, err := pebble.Open(t.Context(), "store", &pebble.Options{FS: mem, ReadOnly: readOnly})
				require.NoError(t, err)
				opened, err := catalog.Open(t.Context(), b, nil)
				if !want {
					require.ErrorIs(t, err, catalog.ErrNewerSchema)
					require.NoError(t, b.Close())
					continue
				}
				require.NoError(t, err)
				require.NoError(t, opened.Close())
			}
		})
	}
}
