// Package catalog_test tests the catalog through its API, on every kind of store.
//
// The harness is in the files world_*_test.go. A world is a store with the
// catalogs that are open on it and the clock that they share: onEveryStore runs a
// test on each kind of store, memoryWorld on one in memory. A glassWorld shows the
// store behind the catalog, for what the API does not tell. A probe counts what
// catalogs ask of the store, and holds it up or fails it; decorate puts anything
// else between the two. What a world leaves behind is checked for broken
// invariants when its test ends.
//
// The tests go by subjects, which begin the names of their files: use_, look_,
// image_, list_, expire_ follow the code; fault_ has what an engine, a disk or
// damaged bytes can do; crash_ what a crash may take; model_ compares random
// histories with a model. Devices with an invariant of their own are tested
// where they are, in internal.
package catalog_test

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

const (
	day  = 24 * time.Hour
	acme = "acme"
)

// epoch is when the clock of every test begins.
var epoch = time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC)

// world is a store with the catalogs that are open on it, and their clock.
type world struct {
	t     *testing.T
	clock *ttl.ManualClock
	opts  catalog.Options
	// open opens a handle on the store; every handle sees the same data.
	open     func() backend.Backend
	catalogs []*catalog.Catalog
	turn     int
	shards   int // of the store, as its engine states them
	// handles is how many catalogs are open at a time. Several go by the store's
	// clock, which is that of the world; their own are off by hours and days.
	handles int
}

// stores are the kinds of store that the tests run on.
var stores = []struct {
	name    string
	handles int
	open    func(t *testing.T) func() backend.Backend
}{
	{"memory", 1, func(*testing.T) func() backend.Backend {
		store := memory.New(nil)
		return func() backend.Backend { return store.Handle() }
	}},
	{"shared", 2, func(*testing.T) func() backend.Backend {
		store := memory.New(&memory.Options{Shared: true, Shards: 4})
		return func() backend.Backend { return store.Handle() }
	}},
	{"postgres", 2, func(t *testing.T) func() backend.Backend {
		open := onPostgres(t)
		return func() backend.Backend {
			store, err := open()
			require.NoError(t, err)
			return store
		}
	}},
	{"pebble", 1, func(t *testing.T) func() backend.Backend {
		fs := vfs.NewMem()
		return func() backend.Backend {
			store, err := pebble.Open(t.Context(), "db", &pebble.Options{FS: fs, CacheSize: 16 << 20, MemTableSize: 1 << 20})
			require.NoError(t, err)
			return store
		}
	}},
}

// onEveryStore runs a test on each kind of store. configure, which may be nil,
// changes the options of the catalogs.
func onEveryStore(t *testing.T, configure func(*catalog.Options), test func(t *testing.T, w *world)) {
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			w := &world{t: t, clock: ttl.NewManualClock(epoch), open: s.open(t), handles: s.handles}
			w.opts.Clock = w.clock
			if configure != nil {
				configure(&w.opts)
			}
			w.start()
			t.Cleanup(func() {
				w.requireSound()
				w.close()
			})
			test(t, w)
		})
	}
}

// c returns a catalog on the store: where several are open, each call another
// one, so that no test can rest on what one of them remembers.
func (w *world) c() *catalog.Catalog {
	w.turn++
	return w.catalogs[w.turn%len(w.catalogs)]
}

func (w *world) start() {
	for i := range w.handles {
		opts := w.opts
		b := w.open()
		if w.handles > 1 {
			b = backendtest.Clocked(b, w.clock.Now)
			opts.Clock = skewedClock{w.clock, skews[i]}
		}
		w.shards = b.Properties().Shards
		checked := backendtest.Checked(b, scopeOf, func(err error) { w.t.Errorf("undeclared access: %v", err) })
		c, err := catalog.Open(w.t.Context(), checked, &opts)
		require.NoError(w.t, err)
		catalog.EagerDeadSpans(c)
		catalog.EagerBulk(c)
		w.catalogs = append(w.catalogs, c)
	}
}

func (w *world) close() {
	for _, c := range w.catalogs {
		require.NoError(w.t, c.Close())
	}
	w.catalogs = nil
}

// reopen closes every catalog and opens them again on the same store.
func (w *world) reopen() {
	w.close()
	w.start()
}

// requireSound checks the invariants of the store.
func (w *world) requireSound() {
	for _, c := range w.catalogs[:min(1, len(w.catalogs))] {
		report, err := c.Check(context.Background())
		require.NoError(w.t, err)
		require.Empty(w.t, report.Problems)
	}
}

// sweep removes everything that is due, past every grace.
func (w *world) sweep() {
	_, err := w.c().Sweep(w.t.Context())
	require.NoError(w.t, err)
}

func (w *world) now() time.Time { return w.clock.Now() }

// create makes a listed product with one image by URL.
func (w *world) create(id string) *catalog.Product {
	w.t.Helper()
	return w.upsert(id, withImage(catalog.Patch{}))
}

func (w *world) upsert(id string, p catalog.Patch, conds ...catalog.Condition) *catalog.Product {
	w.t.Helper()
	res, err := w.c().Upsert(w.t.Context(), acme, id, p, conds...)
	require.NoError(w.t, err)
	return res.Product
}

func (w *world) get(id string) *catalog.Product {
	w.t.Helper()
	p, err := w.c().Get(w.t.Context(), acme, id)
	require.NoError(w.t, err)
	return p
}

func (w *world) requireGone(id string) {
	w.t.Helper()
	_, err := w.c().Get(w.t.Context(), acme, id)
	require.ErrorIs(w.t, err, catalog.ErrNotFound)
}

// withImage adds an image by URL to p.
func withImage(p catalog.Patch) catalog.Patch {
	p.Images = catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/front.jpg"}})
	return p
}

// ids returns those of products.
func ids(products []*catalog.Product) []string {
	out := []string{}
	for _, p := range products {
		out = append(out, p.ExternalID)
	}
	return out
}

// requireFaults checks that err is a ValidationError with exactly these paths
// and codes, in any order.
func requireFaults(t *testing.T, err error, want map[string]catalog.Code) {
	t.Helper()
	var bad *catalog.ValidationError
	require.ErrorAs(t, err, &bad)
	got := map[string]catalog.Code{}
	for _, f := range bad.Fields {
		got[f.Path] = f.Code
		require.NotEmpty(t, f.Message)
	}
	require.Equal(t, want, got)
}

// pngOf returns a PNG image of incompressible noise.
func pngOf(seed uint64, width, height int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for at := 0; at < len(img.Pix); at += 4 {
		copy(img.Pix[at:], []byte{uint8(r.Uint32()), uint8(r.Uint32()), uint8(r.Uint32()), 255})
	}
	var buf bytes.Buffer
	if err := pngEncoder.Encode(&buf, img); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// pngEncoder uses its buffers again: they take more than a megabyte, of which the
// race detector keeps four times as much.
var pngEncoder = png.Encoder{CompressionLevel: png.NoCompression, BufferPool: new(pngBuffers)}

type pngBuffers struct{ pool sync.Pool }

func (b *pngBuffers) Get() *png.EncoderBuffer {
	buffer, _ := b.pool.Get().(*png.EncoderBuffer)
	return buffer
}

func (b *pngBuffers) Put(buffer *png.EncoderBuffer) { b.pool.Put(buffer) }

func scopeOf(key []byte) (backend.Scope, bool) {
	group, item, ok := encoding.ScopeOf(key)
	return backend.Scope{Group: group, Item: item}, ok
}
