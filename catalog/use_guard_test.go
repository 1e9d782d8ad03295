package catalog_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// readiness decides what Ready of a backend returns.
type readiness struct {
	backend.Backend
	err *atomic.Pointer[error]
}

func (b readiness) Ready() error {
	if err := b.err.Load(); err != nil {
		return *err
	}
	return b.Backend.Ready()
}

// contract 4: a use is not acknowledged from memory while the store says that
// it takes no writes: it is durable, or fails with the store's own error.
func TestUsesWhileTheStoreIsNotReady(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	var notReady atomic.Pointer[error]
	w.decorate(func(b backend.Backend) backend.Backend { return readiness{b, &notReady} })
	w.createFor("p", 30)
	w.clock.Advance(time.Hour)

	stopped := fmt.Errorf("%w: a write failed", backend.ErrUnavailable)
	notReady.Store(&stopped)
	w.probe.failUpdates(stopped, func(backend.UpdateOptions) bool { return true })
	_, err := w.c().Use(t.Context(), acme, "p")
	require.ErrorIs(t, err, stopped)
	require.ErrorIs(t, err, catalog.ErrUnavailable)
	require.Zero(t, w.pending())
	require.Zero(t, w.get("p").LastUsedAt)

	w.probe.failUpdates(nil, nil)
	used := w.use("p")
	require.Zero(t, w.pending())
	require.Equal(t, used.LastUsedAt.UnixMilli(), w.record("p").LastUsedAt, "it gets through, so it is durable")

	notReady.Store(nil)
	w.use("p")
	w.clock.Advance(tick)
	used = w.use("p")
	require.Equal(t, 1, w.pending(), "ready again: collected again")
	require.Equal(t, used, w.get("p"))
}

// contract 4: a store short of disk, which admits nothing but what frees space
// or keeps a promise, admits the folds of acknowledged uses, Close's last one
// included.
func TestLowDiskTakesNoAcknowledgedUse(t *testing.T) {
	for name, fold := range map[string]func(w *glassWorld, refused *atomic.Int64){
		"folder": func(w *glassWorld, refused *atomic.Int64) {
			for w.pending() > 0 && refused.Load() == 0 {
				nudge(w.clock, w.window())
			}
		},
		"close": func(w *glassWorld, _ *atomic.Int64) { w.close() },
	} {
		t.Run(name, func(t *testing.T) {
			w := behindGlass(t, catalog.Options{})
			const products = 100 // several batches
			for i := range products {
				w.createFor(fmt.Sprint(i), 30)
			}
			w.clock.Advance(tick)
			for i := range products {
				w.use(fmt.Sprint(i))
			}
			usedAt := w.now().UnixMilli()
			require.Equal(t, products, w.pending())

			var refused atomic.Int64
			w.probe.failUpdates(backend.ErrUnavailable, func(o backend.UpdateOptions) bool {
				if !o.Reclaim {
					refused.Add(1)
				}
				return !o.Reclaim
			})
			fold(w, &refused)
			require.Zero(t, refused.Load())
			for i := range products {
				require.Equal(t, usedAt, w.record(fmt.Sprint(i)).LastUsedAt)
			}
			w.probe.failUpdates(nil, nil)
			if name == "close" {
				w.start()
			}
		})
	}
}

// writingUpdates collects the options of the Updates that committed writes to
// accounts.
type writingUpdates struct {
	backend.Backend
	options *[]backend.UpdateOptions
}

func (b writingUpdates) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	var spaces []byte // of the last run
	err := b.Backend.Update(ctx, scopes, o, func(ctx context.Context, txn backend.Txn) error {
		spaces = spaces[:0]
		return fn(ctx, recordingTxn{txn, &spaces})
	})
	if err == nil && len(spaces) > 0 && spaces[0] != encoding.SpaceMeta {
		*b.options = append(*b.options, o)
	}
	return err
}

// contract 4: an inline upsert that changes nothing is a use, and where uses
// don't wait in memory it is durable when it answers, whatever the durability
// of other upserts.
func TestInlineUsesAreDurableUnderBuffered(t *testing.T) {
	for _, test := range []struct {
		name   string
		shared bool
		window time.Duration
	}{
		{"no window", false, catalog.NoUseWindow},
		{"shared store", true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := memory.New(&memory.Options{Shared: test.shared})
			var written []backend.UpdateOptions
			w := &world{t: t, clock: ttl.NewManualClock(epoch), handles: 1}
			w.opts = catalog.Options{Clock: w.clock, Durability: catalog.Buffered, UseWindow: test.window}
			w.open = func() backend.Backend { return writingUpdates{store.Handle(), &written} }
			w.start()
			t.Cleanup(func() {
				w.requireSound()
				w.close()
			})
			patch := withImage(catalog.Patch{Title: catalog.Set("t"), ValidForDays: catalog.Set(30)})
			w.upsert("p", patch)
			require.Equal(t, []backend.UpdateOptions{{Buffered: true}}, written)
			w.clock.Advance(time.Hour)
			written = nil
			res, err := w.c().UpsertInline(t.Context(), acme, "p", catalog.Patch{Title: catalog.Set("t")})
			require.NoError(t, err)
			require.Equal(t, catalog.Unchanged, res.Outcome)
			require.Equal(t, []backend.UpdateOptions{{}}, written)
			require.Equal(t, w.now().UnixMilli(), storedRecord(t, store.Handle(), "p").LastUsedAt)
			require.Equal(t, res.Product, w.get("p"))
		})
	}
}

// contract 4: the same where the power goes behind the answer.
func TestInlineUsesSurviveACrashUnderBuffered(t *testing.T) {
	w, fs := crashWorld(t, catalog.Buffered)
	w.opts.UseWindow = catalog.NoUseWindow
	w.reopen()
	w.createFor("p", 30)
	w.clock.Advance(time.Hour)
	res, err := w.c().UpsertInline(t.Context(), acme, "p", catalog.Patch{})
	require.NoError(t, err)
	require.Equal(t, w.now(), res.Product.LastUsedAt)
	require.Equal(t, res.Product, w.afterCrash(t, fs).get("p"))
}

// contract 3 and 4: an inline upsert that was found to change nothing, while
// another one changes the product before the use, applies its patch to what is
// there then: it never answers with a state that its patch disagrees with.
func TestInlineUpsertOfAProductThatChangesMeanwhile(t *testing.T) {
	theirs := withImage(catalog.Patch{Title: catalog.Set("theirs"), ValidForDays: catalog.Set(30)})
	ours := withImage(catalog.Patch{Title: catalog.Set("ours")})
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		o := w.obstruct()
		ctx := t.Context()
		other := w.catalogs[0]
		for name, change := range map[string]func(id string) error{
			"edited": func(id string) error {
				_, err := other.Upsert(ctx, acme, id, theirs)
				return err
			},
			"created again": func(id string) error {
				if err := other.Delete(ctx, acme, id); err != nil {
					return err
				}
				_, err := other.Upsert(ctx, acme, id, theirs)
				return err
			},
		} {
			for _, from := range []string{"the store", "memory"} {
				id := name + " " + from
				first := ours
				first.ValidForDays = catalog.Set(1)
				before := w.upsert(id, first)
				if from == "the store" {
					w.clock.Advance(day - time.Second) // near the deadline uses don't wait
				} else {
					w.clock.Advance(time.Second)
				}
				happened := false
				between := func() {
					o.refused.Store(nil)
					happened = true
					require.NoError(t, change(id))
				}
				o.refused.Store(&between)
				res, err := w.c().UpsertInline(ctx, acme, id, ours)
				o.refused.Store(nil)
				require.NoError(t, err)
				require.True(t, happened, id)
				require.Equal(t, catalog.Edited, res.Outcome, id)
				require.Equal(t, "ours", res.Product.Title)
				require.Equal(t, 30, res.Product.ValidForDays, "theirs is not lost")
				require.Equal(t, w.now(), res.Product.LastUsedAt)
				require.NotEqual(t, before.Version(), res.Product.Version())
				require.Equal(t, res.Product, w.get(id))
			}
		}
	})
}

// The same where the change comes in the last moment: when the use was judged
// once already, and is about to be written.
func TestInlineUpsertOfAProductThatChangesBeforeADurableUse(t *testing.T) {
	w := memoryWorld(t)
	o := w.obstruct()
	ctx := t.Context()
	w.upsert("p", withImage(catalog.Patch{Title: catalog.Set("ours"), ValidForDays: catalog.Set(1)}))
	w.clock.Advance(day - time.Second)
	updates := 0
	before := func() {
		if updates++; updates != 2 {
			return
		}
		o.before.Store(nil)
		_, err := w.c().Upsert(ctx, acme, "p", catalog.Patch{Title: catalog.Set("theirs")})
		require.NoError(t, err)
	}
	o.before.Store(&before)
	res, err := w.c().UpsertInline(ctx, acme, "p", catalog.Patch{Title: catalog.Set("ours")})
	require.NoError(t, err)
	require.Nil(t, o.before.Load(), "the change happened")
	require.Equal(t, catalog.Edited, res.Outcome)
	require.Equal(t, "ours", res.Product.Title)
	require.Equal(t, res.Product, w.get("p"))
}
