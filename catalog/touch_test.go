package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
)

func (w *world) touch(id string) time.Time {
	w.t.Helper()
	expires, err := w.c().Touch(w.t.Context(), acme, id)
	require.NoError(w.t, err)
	return expires
}

// contract 4: a touch is a use. What it returns is what a reader sees.
func TestTouch(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.createFor("p", 30)
		w.create("forever")
		w.createFor("short", 1)
		for range 3 {
			w.clock.Advance(23 * time.Hour)
			require.Equal(t, w.now().Add(30*day), w.touch("p"))
			require.Zero(t, w.touch("forever"))
			require.Equal(t, w.now().Add(day), w.touch("short"))
			for _, id := range []string{"p", "forever", "short"} {
				require.Equal(t, w.now(), w.get(id).LastUsedAt, id)
			}
			require.Equal(t, w.now().Add(30*day), w.get("p").ExpiresAt)
		}
		before := w.get("p")
		w.clock.Advance(time.Second)
		w.touch("p")
		after := w.get("p")
		require.Equal(t, before.Version(), after.Version())
		require.Equal(t, before.UpdatedAt, after.UpdatedAt)

		w.clock.Advance(day)
		expires, err := w.c().Touch(ctx, acme, "short")
		require.ErrorIs(t, err, catalog.ErrNotFound)
		require.Zero(t, expires)
		_, err = w.c().Touch(ctx, acme, "nothing")
		require.ErrorIs(t, err, catalog.ErrNotFound)
		w.reopen()
		require.Equal(t, after, w.get("p"))
	})
}

// A product that was used, and not written since, is touched without a read.
func TestTouchReadsNothing(t *testing.T) {
	for name, first := range map[string]func(w *glassWorld){
		"touched": func(w *glassWorld) { w.touch("p") },
		"used":    func(w *glassWorld) { w.use("p") },
		"upserted inline": func(w *glassWorld) {
			_, err := w.c().UpsertInline(w.t.Context(), acme, "p", catalog.Patch{})
			require.NoError(w.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := behindGlass(t, catalog.Options{CacheBytes: -1})
			w.createFor("p", 30)
			w.clock.Advance(tick)
			first(w)
			w.clock.Advance(tick)
			w.probe.reset()
			for range 3 {
				require.Equal(t, w.now().Add(30*day), w.touch("p"))
			}
			require.Zero(t, w.probe.gets.Load())
			require.Zero(t, w.probe.updates.Load())
			require.Equal(t, w.now(), w.get("p").LastUsedAt)
			require.Equal(t, 1, w.pending())
		})
	}
}

// Where others write to the store, every touch reads it, and is durable at once.
func TestTouchOnAStoreOfOthers(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		if w.handles < 2 {
			t.Skip("nobody else writes to it")
		}
		one, other := w.catalogs[0], w.catalogs[1]
		w.createFor("p", 30)
		for days := range 3 {
			_, err := one.Touch(t.Context(), acme, "p")
			require.NoError(t, err)
			_, err = other.Upsert(t.Context(), acme, "p", catalog.Patch{ValidForDays: catalog.Set(5 + days)})
			require.NoError(t, err)
			expires, err := one.Touch(t.Context(), acme, "p")
			require.NoError(t, err)
			require.Equal(t, w.now().Add(time.Duration(5+days)*day), expires)
			p, err := other.Get(t.Context(), acme, "p")
			require.NoError(t, err)
			require.Equal(t, expires, p.ExpiresAt)
		}
	})
}

// A touch never rests on what a writer has replaced.
func TestTouchAfterWrites(t *testing.T) {
	for name, write := range map[string]func(w *glassWorld){
		"another lifetime": func(w *glassWorld) { w.upsert("p", catalog.Patch{ValidForDays: catalog.Set(3)}) },
		"forever":          func(w *glassWorld) { w.upsert("p", catalog.Patch{ValidForDays: catalog.Null[int]()}) },
		"an edit":          func(w *glassWorld) { w.upsert("p", catalog.Patch{Title: catalog.Set("x")}) },
		"deleted":          func(w *glassWorld) { require.NoError(w.t, w.c().Delete(w.t.Context(), acme, "p")) },
		"account deleted": func(w *glassWorld) {
			_, err := w.c().DeleteAccount(w.t.Context(), acme)
			require.NoError(w.t, err)
		},
		"created again": func(w *glassWorld) {
			require.NoError(w.t, w.c().Delete(w.t.Context(), acme, "p"))
			w.createFor("p", 7)
		},
		"extended": func(w *glassWorld) {
			_, err := w.c().ExtendLifetimes(w.t.Context(), time.Minute)
			require.NoError(w.t, err)
		},
		"folded":  func(w *glassWorld) { w.folds() },
		"crashed": func(w *glassWorld) { *w = *w.crash(catalog.Options{CacheBytes: w.opts.CacheBytes}) },
	} {
		for _, cache := range []int64{0, -1} {
			t.Run(fmt.Sprint(name, " cache ", cache), func(t *testing.T) {
				w := behindGlass(t, catalog.Options{CacheBytes: cache})
				w.createFor("p", 30)
				for range 2 {
					w.clock.Advance(tick)
					w.touch("p")
				}
				write(w)
				for range 2 {
					w.clock.Advance(tick)
					expires, err := w.c().Touch(t.Context(), acme, "p")
					p, getErr := w.c().Get(t.Context(), acme, "p")
					require.Equal(t, getErr == nil, err == nil)
					if err != nil {
						require.ErrorIs(t, err, catalog.ErrNotFound)
						continue
					}
					require.Equal(t, p.ExpiresAt, expires)
					require.Equal(t, w.now(), p.LastUsedAt)
				}
			})
		}
	}
}

// An edit that comes between the read of a use and its entry is not forgotten.
func TestTouchReadBeforeAnEdit(t *testing.T) {
	w := behindGlass(t, catalog.Options{CacheBytes: -1})
	w.createFor("p", 30)
	edit := func([]byte) {
		w.probe.afterGet.Store(nil)
		w.upsert("p", catalog.Patch{ValidForDays: catalog.Set(3)})
	}
	w.probe.afterGet.Store(&edit)
	w.touch("p")
	require.Nil(t, w.probe.afterGet.Load())
	require.Equal(t, w.now().Add(3*day), w.touch("p"))
}

// A touch behind an Update at work on the product waits for it, as a use does: it
// may be about to give the product another lifetime.
func TestTouchBehindAnUpdate(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	w.createFor("p", 30)
	w.touch("p")
	updates := make(chan struct{}, 10)
	noted := func(context.Context, []backend.Scope, backend.UpdateOptions) error {
		updates <- struct{}{}
		return nil
	}
	w.probe.beforeUpdate.Store(&noted)
	expires := make(chan time.Time, 1)
	_, err := w.c().Edit(t.Context(), acme, "p", func(catalog.ProductView) (catalog.Patch, error) {
		<-updates // that of the edit
		go func() {
			at, err := w.c().Touch(t.Context(), acme, "p")
			if err != nil {
				t.Error(err)
			}
			expires <- at
		}()
		select {
		case <-updates: // that of the touch
		case at := <-expires:
			t.Error("it has answered from memory")
			expires <- at
		}
		return catalog.Patch{ValidForDays: catalog.Set(3)}, nil
	})
	require.NoError(t, err)
	require.Equal(t, w.now().Add(3*day), <-expires)
}

// contract 4: near the deadline in the record a touch is durable before it is
// acknowledged, whatever the overlay knows.
func TestTouchNearTheDeadline(t *testing.T) {
	const margin = 10 * time.Second
	w := behindGlass(t, catalog.Options{})
	w.createFor("p", 1)
	w.blockFolds()
	w.clock.Advance(day - margin - tick)
	w.touch("p")
	require.Equal(t, 1, w.pending())
	used := w.now()
	w.clock.Advance(tick)
	require.Equal(t, w.now().Add(day), w.touch("p"))
	require.Equal(t, w.now().UnixMilli(), w.record("p").LastUsedAt, "a pending use, of %v, does not count", used)
}

// contract 4: while the store takes no writes, or uses do not get into it, a touch
// is durable before it is acknowledged, or fails.
func TestTouchWhileTheStoreIsNotReady(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	var notReady atomic.Pointer[error]
	w.decorate(func(b backend.Backend) backend.Backend { return readiness{b, &notReady} })
	w.createFor("p", 30)
	w.touch("p")
	w.clock.Advance(time.Minute)
	stopped := fmt.Errorf("%w: a write failed", backend.ErrUnavailable)
	notReady.Store(&stopped)
	w.probe.failUpdates(stopped, func(backend.UpdateOptions) bool { return true })
	_, err := w.c().Touch(t.Context(), acme, "p")
	require.ErrorIs(t, err, catalog.ErrUnavailable)
	w.probe.failUpdates(nil, nil)
	w.touch("p")
	require.Equal(t, w.now().UnixMilli(), w.record("p").LastUsedAt)
}

func TestTouchWhileFoldsAreStuck(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	w.createFor("p", 30)
	var late atomic.Bool
	failing := func(_ context.Context, scopes []backend.Scope, o backend.UpdateOptions) error {
		if !isFold(o) {
			return nil
		}
		late.Store(late.Load() || isJournal(scopes[0]))
		return errors.New("disk on fire")
	}
	w.probe.beforeUpdate.Store(&failing)
	w.touch("p")
	for !late.Load() {
		nudge(w.clock, time.Second)
	}
	w.clock.Advance(time.Second)
	w.touch("p")
	require.Equal(t, w.now().UnixMilli(), w.record("p").LastUsedAt)
	w.probe.beforeUpdate.Store(nil)
}

// A store that heals may take back what a lifetime was read from.
func TestTouchAfterHealing(t *testing.T) {
	o := catalog.Options{Durability: catalog.Buffered}
	w := openHealingWorld(t, o)
	_, err := w.c.Upsert(t.Context(), acme, "p", withImage(catalog.Patch{ValidForDays: catalog.Set(3)}))
	require.NoError(t, err)
	w.settle()
	_, err = w.c.Upsert(t.Context(), acme, "p", catalog.Patch{ValidForDays: catalog.Set(30)})
	require.NoError(t, err)
	for _, days := range []time.Duration{30, 3} {
		expires, err := w.c.Touch(t.Context(), acme, "p")
		require.NoError(t, err)
		require.Equal(t, w.clock.Now().Add(days*day).UTC(), expires)
		w.store.Heal()
	}
}
