package catalog_test

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// healingWorld is a catalog on a store that loses, when it is told to, what is not
// durable.
type healingWorld struct {
	t     *testing.T
	store *memory.Store
	clock *ttl.ManualClock
	c     *catalog.Catalog
	// durable is called in each Durable of the catalog, before the store's.
	durable atomic.Pointer[func()]
}

// heldDurable lets a test in between a commit and the wait for it.
type heldDurable struct {
	backend.Backend
	w *healingWorld
}

func (d heldDurable) Unwrap() backend.Backend { return d.Backend }

func (d heldDurable) Durable(ctx context.Context, scopes []backend.Scope) error {
	if fn := d.w.durable.Swap(nil); fn != nil {
		(*fn)()
	}
	return d.Backend.Durable(ctx, scopes)
}

func openHealingWorld(t *testing.T, o catalog.Options) *healingWorld {
	w := &healingWorld{t: t, store: memory.New(&memory.Options{Heals: true}), clock: ttl.NewManualClock(epoch)}
	o.Clock = w.clock
	var err error
	w.c, err = catalog.Open(t.Context(), heldDurable{w.store, w}, &o)
	require.NoError(t, err)
	t.Cleanup(w.close)
	return w
}

// close checks the store and closes the catalog, once.
func (w *healingWorld) close() {
	if w.c.Ready() != nil {
		return
	}
	report, err := w.c.Check(context.Background())
	require.NoError(w.t, err)
	require.Empty(w.t, report.Problems)
	require.NoError(w.t, w.c.Close())
}

func (w *healingWorld) upsert(id, title string) {
	w.t.Helper()
	_, err := w.c.Upsert(w.t.Context(), acme, id, withImage(catalog.Patch{Title: catalog.Set(title)}))
	require.NoError(w.t, err)
}

func (w *healingWorld) settle() { require.NoError(w.t, w.store.Durable(w.t.Context(), nil)) }

// beforeDurable has fn called in the next Durable of the catalog.
func (w *healingWorld) beforeDurable(fn func()) { w.durable.Store(&fn) }

// keys counts those in a range.
func (w *healingWorld) keys(start, end []byte) (n int) {
	for _, err := range w.store.Scan(w.t.Context(), backend.Range{Start: start, End: end}, backend.ScanOptions{KeysOnly: true}) {
		require.NoError(w.t, err)
		n++
	}
	return n
}

var bufferedCatalog = catalog.Options{Durability: catalog.Buffered, UseWindow: catalog.NoUseWindow}

// TestHealedCache: records that were taken back are not found in memory.
func TestHealedCache(t *testing.T) {
	w := openHealingWorld(t, bufferedCatalog)
	w.upsert("p", "kept")
	w.settle()
	w.upsert("p", "lost")
	w.upsert("q", "lost")
	title := func(id string) string {
		p, err := w.c.Get(t.Context(), acme, id)
		require.NoError(t, err)
		return p.Title
	}
	for range 3 { // from the cache, at last
		require.Equal(t, "lost", title("p"))
		require.Equal(t, "lost", title("q"))
	}
	w.store.Heal()
	require.Equal(t, "kept", title("p"))
	_, err := w.c.Get(t.Context(), acme, "q")
	require.ErrorIs(t, err, catalog.ErrNotFound)
	// An edit begins with what the store holds.
	_, err = w.c.Upsert(t.Context(), acme, "p", catalog.Patch{Description: catalog.Set("d")})
	require.NoError(t, err)
	require.Equal(t, "kept", title("p"))
}

// TestHealedSweep: what was removed, and is there again, is removed again, though
// the sweeper has passed it.
func TestHealedSweep(t *testing.T) { synctest.Test(t, testHealedSweep) }

func testHealedSweep(t *testing.T) {
	o := bufferedCatalog
	o.Sweeper.FullPassEvery = -1
	w := openHealingWorld(t, o)
	_, err := w.c.Upsert(t.Context(), acme, "mortal", withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
	require.NoError(t, err)
	w.settle()
	start, end := encoding.ProductRange(acme)
	w.clock.Advance(25 * time.Hour)
	_, err = w.c.Sweep(t.Context())
	require.NoError(t, err)
	require.Zero(t, w.keys(start, end))
	w.store.Heal()
	_, err = w.c.Sweep(t.Context())
	require.NoError(t, err)
	require.Zero(t, w.keys(start, end), "it is there again")
}

// TestHealedBatch: what UpsertMany committed, and was taken back before it was
// durable, is not called durable.
func TestHealedBatch(t *testing.T) {
	w := openHealingWorld(t, catalog.Options{UseWindow: catalog.NoUseWindow})
	w.beforeDurable(w.store.Heal)
	items := []catalog.UpsertItem{{ExternalID: "many", Patch: withImage(catalog.Patch{})}}
	results := w.c.UpsertMany(t.Context(), acme, items)
	require.ErrorIs(t, results[0].Err, catalog.ErrUnknownOutcome)
	_, err := w.c.Get(t.Context(), acme, "many")
	require.ErrorIs(t, err, catalog.ErrNotFound)
	results = w.c.UpsertMany(t.Context(), acme, items)
	require.NoError(t, results[0].Err)
	w.store.Heal()
	_, err = w.c.Get(t.Context(), acme, "many")
	require.NoError(t, err)
}

// TestHealedRemovals: nor is what a sweep removed.
func TestHealedRemovals(t *testing.T) { synctest.Test(t, testHealedRemovals) }

func testHealedRemovals(t *testing.T) {
	w := openHealingWorld(t, catalog.Options{UseWindow: catalog.NoUseWindow})
	_, err := w.c.Upsert(t.Context(), acme, "mortal", withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
	require.NoError(t, err)
	w.clock.Advance(25 * time.Hour)
	synctest.Wait() // for the background, which removes it
	start, end := encoding.ProductRange(acme)
	w.beforeDurable(w.store.Heal)
	_, err = w.c.Sweep(t.Context())
	require.ErrorIs(t, err, catalog.ErrUnavailable)
	_, err = w.c.Sweep(t.Context())
	require.NoError(t, err)
	w.store.Heal()
	require.Zero(t, w.keys(start, end))
}

// TestHealedHooks: an expiry that was taken back is not reported, and that which
// takes its place is, once.
func TestHealedHooks(t *testing.T) { synctest.Test(t, testHealedHooks) }

func testHealedHooks(t *testing.T) {
	reported := make(chan string, 8)
	o := catalog.Options{UseWindow: catalog.NoUseWindow}
	o.Sweeper.Grace = 1000 * time.Hour // the background leaves it to an upsert
	o.OnExpire = func(_ context.Context, _ *catalog.Catalog, e catalog.Expired) { reported <- e.Product.Title }
	o.Durability = catalog.Buffered
	w := openHealingWorld(t, o)
	_, err := w.c.Upsert(t.Context(), acme, "mortal", withImage(catalog.Patch{Title: catalog.Set("first"), ValidForDays: catalog.Set(1)}))
	require.NoError(t, err)
	w.settle()
	w.clock.Advance(25 * time.Hour)
	healed := make(chan struct{})
	w.beforeDurable(func() {
		w.store.Heal()
		close(healed)
	})
	w.upsert("mortal", "lost")
	<-healed
	_, err = w.c.Get(t.Context(), acme, "mortal")
	require.ErrorIs(t, err, catalog.ErrNotFound)
	w.upsert("mortal", "second")
	require.Equal(t, "first", <-reported)
	w.close()
	require.Empty(t, reported)
}

// TestHealedJournal: a use whose part of the journal was taken back is written
// again, and parts that are there again are removed.
func TestHealedJournal(t *testing.T) { synctest.Test(t, testHealedJournal) }

func testHealedJournal(t *testing.T) {
	w := openHealingWorld(t, catalog.Options{UseWindow: time.Second})
	w.upsert("p", "")
	start, end := encoding.UseJournalRange()
	parts := func() int { return w.keys(start, end) }
	advanceUntil := func(done func() bool) {
		for !done() {
			w.clock.Advance(500 * time.Millisecond)
			synctest.Wait()
		}
	}
	_, err := w.c.Use(t.Context(), acme, "p")
	require.NoError(t, err)
	used, err := w.c.Get(t.Context(), acme, "p")
	require.NoError(t, err)
	healed := make(chan struct{})
	w.beforeDurable(func() {
		w.store.Heal()
		close(healed)
	})
	advanceUntil(func() bool {
		select {
		case <-healed:
			return true
		default:
			return false
		}
	})
	// Durably in the journal, though the first part of it was lost: within the window,
	// not when it is folded at last.
	written := func() *catalog.Product {
		c, err := catalog.Open(t.Context(), copyOf(t, w.store), &catalog.Options{Clock: ttl.NewManualClock(w.clock.Now()), UseWindow: time.Hour})
		require.NoError(t, err)
		p, err := c.Get(t.Context(), acme, "p")
		require.NoError(t, err)
		require.NoError(t, c.Close())
		return p
	}
	advanceUntil(func() bool { return written().LastUsedAt.Equal(used.LastUsedAt) })
	require.NotZero(t, parts())
	// It is folded, and the part removed; the removal is lost.
	advanceUntil(func() bool { return parts() == 0 })
	w.store.Heal()
	advanceUntil(func() bool { return parts() == 0 })
	w.settle()
	w.store.Heal()
	require.Zero(t, parts())
	got, err := w.c.Get(t.Context(), acme, "p")
	require.NoError(t, err)
	require.Equal(t, used.LastUsedAt, got.LastUsedAt)
}

// TestHealedUpload: an image of which a part was taken back is never called whole.
func TestHealedUpload(t *testing.T) {
	w := openHealingWorld(t, catalog.Options{UseWindow: catalog.NoUseWindow})
	data := pngOf(1, 600, 600)
	require.Greater(t, len(data), 3*256<<10)
	// loses returns the bytes, of which the second chunk is lost on the way, and
	// the first is not.
	loses := func() io.Reader {
		read := 0
		return readerFunc(func(p []byte) (int, error) {
			before := read
			n, err := bytes.NewReader(data[read:]).Read(p[:min(len(p), 64<<10)])
			read += n
			switch {
			case before <= 300<<10 && read > 300<<10:
				w.settle()
			case before <= 600<<10 && read > 600<<10:
				w.store.Heal()
			}
			return n, err
		})
	}
	_, err := w.c.StageImage(t.Context(), acme, loses())
	require.ErrorIs(t, err, catalog.ErrUnavailable)
	patch := func(r io.Reader) catalog.Patch {
		return catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(r)}})}
	}
	_, err = w.c.Upsert(t.Context(), acme, "p", patch(loses()))
	require.ErrorIs(t, err, catalog.ErrUnavailable)
	_, err = w.c.Get(t.Context(), acme, "p")
	require.ErrorIs(t, err, catalog.ErrNotFound)
	// Lost behind the last byte, before the commit that claims them.
	_, err = w.c.Upsert(t.Context(), acme, "p", patch(io.MultiReader(bytes.NewReader(data), readerFunc(func([]byte) (int, error) {
		w.store.Heal()
		return 0, io.EOF
	}))))
	require.ErrorIs(t, err, catalog.ErrUnavailable)

	// Or when the next image is read.
	next := io.MultiReader(readerFunc(func([]byte) (int, error) {
		w.store.Heal()
		return 0, io.EOF
	}), bytes.NewReader(pngOf(2, 10, 10)))
	_, err = w.c.Upsert(t.Context(), acme, "p", catalog.Patch{Images: catalog.Set([]catalog.NewImage{
		{Upload: catalog.NewUpload(bytes.NewReader(data))}, {Upload: catalog.NewUpload(next)},
	})})
	require.ErrorIs(t, err, catalog.ErrUnavailable)

	_, err = w.c.Upsert(t.Context(), acme, "p", patch(bytes.NewReader(data)))
	require.NoError(t, err)
	w.store.Heal()
	r, err := w.c.OpenImage(t.Context(), acme, "p", 0)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
	require.NoError(t, r.Close())
}

// copyOf returns a store that holds what another does.
func copyOf(t *testing.T, from backend.Reader) backend.Backend {
	to := memory.New(nil)
	require.NoError(t, to.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
		for e, err := range from.Scan(t.Context(), backend.Range{}, backend.ScanOptions{}) {
			if err != nil {
				return err
			}
			if err := txn.Put(bytes.Clone(e.Key), bytes.Clone(e.Value)); err != nil {
				return err
			}
		}
		return nil
	}))
	return to
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
