package catalog_test

import (
	"fmt"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// crashWorld is a world on a disk that forgets what was not synced.
func crashWorld(t *testing.T, d catalog.Durability) (*world, *vfs.MemFS) {
	fs := vfs.NewCrashableMem()
	w := &world{t: t, clock: ttl.NewManualClock(epoch), handles: 1}
	w.opts.Clock = w.clock
	w.opts.Durability = d
	w.open = pebbleOn(t, fs)
	w.start()
	t.Cleanup(w.close)
	return w, fs
}

func pebbleOn(t *testing.T, fs vfs.FS) func() backend.Backend {
	return func() backend.Backend {
		b, err := pebble.Open(t.Context(), "db", &pebble.Options{FS: fs, CacheSize: 8 << 20, MemTableSize: 1 << 20})
		require.NoError(t, err)
		return b
	}
}

// afterCrash opens what a crash would leave now.
func (w *world) afterCrash(t *testing.T, fs *vfs.MemFS) *world {
	clone := fs.CrashClone(vfs.CrashCloneCfg{})
	c := &world{t: t, clock: w.clock, opts: w.opts, handles: 1, open: pebbleOn(t, clone)}
	c.start()
	t.Cleanup(func() {
		c.requireSound()
		c.close()
	})
	return c
}

// contract 3: what one upsert says is durable before success is answered,
// image bytes included, and so is what any other answer rests on.
func TestUpsertsSurviveACrash(t *testing.T) {
	w, fs := crashWorld(t, catalog.Synced)
	p := uploads(smallImage, chunkImage)
	p.Title = catalog.Set("first")
	first := w.upsert("a", p)
	c := w.afterCrash(t, fs)
	require.Equal(t, first, c.get("a"))
	c.requireBytes(chunkImage, "a", 1)

	second := w.upsert("a", catalog.Patch{Title: catalog.Set("second")})
	require.Equal(t, second, w.afterCrash(t, fs).get("a"))

	img := w.stage(smallImage)
	require.Equal(t, "upload://"+string(img.Ref), w.afterCrash(t, fs).upsert("b", staged(img.Ref)).Images[0].SourceURL)

	many := w.c().UpsertMany(t.Context(), acme, []catalog.UpsertItem{
		{ExternalID: "c", Patch: uploads(chunkImage)}, {ExternalID: "d", Patch: withImage(catalog.Patch{})},
	})
	c = w.afterCrash(t, fs)
	require.Equal(t, many[0].Product, c.get("c"))
	require.Equal(t, many[1].Product, c.get("d"))

	res, err := w.c().CreateOneShot(t.Context(), acme, withImage(catalog.Patch{}))
	require.NoError(t, err)
	require.Equal(t, res.Product, w.afterCrash(t, fs).get(res.Product.ExternalID))

	require.NoError(t, w.c().Delete(t.Context(), acme, "a"))
	w.afterCrash(t, fs).requireGone("a")
}

// contract 3: under Buffered a crash may take the last acknowledged writes,
// whole and in order.
func TestBufferedUpsertsSurviveACrashInOrder(t *testing.T) {
	w, fs := crashWorld(t, catalog.Buffered)
	const writes = 40
	for i := range writes {
		p := uploads(pngOf(uint64(i), 60, 60))
		p.Title = catalog.Set(fmt.Sprint(i))
		w.upsert(fmt.Sprintf("%02d", i%8), p)
		if i%10 != 9 {
			continue
		}
		c := w.afterCrash(t, fs) // Check runs at the end
		latest := -1
		titles := map[string]int{}
		for p, err := range c.c().All(t.Context(), acme, catalog.AllOptions{}) {
			require.NoError(t, err)
			var n int
			_, err := fmt.Sscan(p.Title, &n)
			require.NoError(t, err)
			titles[p.ExternalID] = n
			latest = max(latest, n)
			r, err := c.c().OpenImage(t.Context(), acme, p.ExternalID, 0)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, r)
			require.NoError(t, err)
		}
		// Everything up to the latest that survived is there.
		for n := max(0, latest-7); n <= latest; n++ {
			require.Equal(t, n, titles[fmt.Sprintf("%02d", n%8)])
		}
		require.LessOrEqual(t, latest, i)
	}
}
