package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// contract 4: a use is held back, except near the deadline in the record, where
// it is durable before it is acknowledged; kept forever is never near.
func TestUsesNearTheDeadlineAreDurable(t *testing.T) {
	const margin = 10 * time.Second
	for _, test := range []struct {
		name     string
		window   time.Duration
		left     time.Duration // before the deadline
		buffered bool
	}{
		{"far", 0, time.Hour, true},
		{"just outside the margin", 0, margin + tick, true},
		{"at the margin", 0, margin, false},
		{"within", 0, time.Second, false},
		{"the last millisecond", 0, tick, false},
		{"margin of five windows, outside", time.Minute, 5*time.Minute + tick, true},
		{"margin of five windows, within", time.Minute, 5 * time.Minute, false},
		{"no window", catalog.NoUseWindow, time.Hour, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := behindGlass(t, catalog.Options{UseWindow: test.window})
			w.createFor("p", 1)
			w.clock.Advance(day - test.left)
			used := w.use("p")
			require.Equal(t, w.now(), used.LastUsedAt)
			require.Equal(t, w.now().Add(day), used.ExpiresAt)
			require.Equal(t, used, w.get("p"))
			if test.buffered {
				require.Equal(t, 1, w.pending())
				require.Equal(t, encoding.None, w.record("p").LastUsedAt)
			} else {
				require.Zero(t, w.pending())
				require.Equal(t, w.now().UnixMilli(), w.record("p").LastUsedAt)
			}
		})
	}
	t.Run("forever", func(t *testing.T) {
		w := behindGlass(t, catalog.Options{})
		w.create("p")
		w.use("p")
		require.Equal(t, 1, w.pending())
	})
	// The deadline that counts is the one in the record, not the one that a
	// pending use has given the product.
	t.Run("a pending use does not count", func(t *testing.T) {
		w := behindGlass(t, catalog.Options{})
		w.createFor("p", 1)
		w.blockFolds()
		w.clock.Advance(day - margin - tick)
		w.use("p")
		require.Equal(t, encoding.None, w.record("p").LastUsedAt)
		w.clock.Advance(tick)
		w.use("p")
		require.Equal(t, w.now().UnixMilli(), w.record("p").LastUsedAt)
	})
}

// blockFolds has the journal hang until stop is called or its context ends. While it
// does nothing is folded either, but by a folder that gets its turn so late that
// the clock has moved by windows: it folds first.
func (w *glassWorld) blockFolds() (stop func()) {
	return w.block(func(scopes []backend.Scope, _ backend.UpdateOptions) bool { return isJournal(scopes[0]) })
}

// block has the Updates that choose matches hang until stop is called or their
// context ends.
func (w *glassWorld) block(choose func(scopes []backend.Scope, o backend.UpdateOptions) bool) (stop func()) {
	released := make(chan struct{})
	fn := func(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions) error {
		if !choose(scopes, o) {
			return nil
		}
		select {
		case <-released:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.probe.beforeUpdate.Store(&fn)
	stop = sync.OnceFunc(func() {
		w.probe.beforeUpdate.Store(nil)
		close(released)
	})
	w.t.Cleanup(stop) // Close would wait
	return stop
}

// contract 4: what a full overlay can't take is durable one by one.
func TestFullOverlay(t *testing.T) {
	w := behindGlass(t, catalog.Options{UseCapacity: 3})
	w.probe.journalOnly.Store(true) // it would be folded before it is full
	for i := range 6 {
		w.createFor(fmt.Sprint(i), 30)
	}
	w.clock.Advance(time.Hour)
	for i := range 6 {
		w.use(fmt.Sprint(i))
	}
	require.Equal(t, 3, w.pending())
	for i := range 6 {
		want := encoding.None
		if i >= 3 {
			want = w.now().UnixMilli()
		}
		require.Equal(t, want, w.record(fmt.Sprint(i)).LastUsedAt)
		require.Equal(t, w.now(), w.get(fmt.Sprint(i)).LastUsedAt)
	}
	// One that is in there already finds its place.
	w.use("0")
	require.Equal(t, encoding.None, w.record("0").LastUsedAt)
	w.probe.journalOnly.Store(false)
	w.folds()
	require.Equal(t, w.get("0").LastUsedAt.UnixMilli(), w.record("0").LastUsedAt)
	w.use("5")
	require.Equal(t, 1, w.pending(), "there is room again")
}

// contract 4: while a fold does not get through, uses are
// durable one by one; afterwards they are collected again.
func TestStuckFolds(t *testing.T) {
	for _, how := range []string{"hanging", "failing"} {
		t.Run(how, func(t *testing.T) {
			w := behindGlass(t, catalog.Options{})
			for _, id := range []string{"a", "b", "c", "d"} {
				w.createFor(id, 30)
			}
			fold := func(_ []backend.Scope, o backend.UpdateOptions) bool { return isFold(o) }
			heal := w.block(fold)
			if how == "failing" {
				heal()
				heal = func() { w.probe.failUpdates(nil, nil) }
				w.probe.failUpdates(errors.New("disk on fire"), isFold)
			}
			// From its first write of the journal on the folder is late, and stays so
			// whatever it tries next; a fold that fails before that is not counted.
			var late atomic.Bool
			hold := *w.probe.beforeUpdate.Load()
			watched := func(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions) error {
				if isFold(o) && (how == "hanging" || isJournal(scopes[0])) {
					late.Store(true)
				}
				return hold(ctx, scopes, o)
			}
			w.probe.beforeUpdate.Store(&watched)
			w.use("a")
			for !late.Load() {
				nudge(w.clock, time.Second)
			}
			w.clock.Advance(time.Second)
			w.use("b")
			require.Equal(t, w.now().UnixMilli(), w.record("b").LastUsedAt)
			require.Equal(t, encoding.None, w.record("a").LastUsedAt)
			used := w.use("c")
			require.Equal(t, w.now().UnixMilli(), w.record("c").LastUsedAt)
			require.Equal(t, used, w.get("c"))
			used = w.use("a")
			require.Equal(t, w.now().UnixMilli(), w.record("a").LastUsedAt)
			require.Equal(t, used, w.get("a"))
			heal()
			w.folds()
			w.use("d")
			require.Equal(t, 1, w.pending(), "healed: collected again")
		})
	}
}

// contract 4: folds change neither edit, updatedAt nor revision, nor the
// version that conditions are about, and use the latest time.
func TestFoldsChangeOnlyTheUse(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	for i := range 200 { // several batches
		w.createFor(fmt.Sprint(i), 30)
	}
	before := w.record("7")
	version := w.get("7").Version()
	w.clock.Advance(tick)
	for i := range 200 {
		w.use(fmt.Sprint(i))
	}
	w.clock.Advance(tick)
	used := w.use("7")
	w.folds()
	after := w.record("7")
	require.Equal(t, used.LastUsedAt.UnixMilli(), after.LastUsedAt)
	require.Equal(t, used.LastUsedAt.UnixMilli(), after.Anchor)
	after.LastUsedAt, after.Anchor = before.LastUsedAt, before.Anchor
	require.Equal(t, before, after, "the expiry entry has not moved either")
	require.Equal(t, used, w.get("7"))
	w.upsert("7", catalog.Patch{Title: catalog.Set("x")}, catalog.IfVersion(version))
	for i := range 200 {
		require.NotEqual(t, encoding.None, w.record(fmt.Sprint(i)).LastUsedAt)
	}
}

// contract 4: "visible to every later read": for a scan that runs while uses
// are folded and leave the overlay too.
func TestPinnedScansSeeUses(t *testing.T) {
	// Within the deadline that the scanned records show, and beyond it.
	for _, pause := range []time.Duration{0, 51 * day} {
		t.Run(pause.String(), func(t *testing.T) { pinnedScan(t, pause) })
	}
}

func pinnedScan(t *testing.T, pause time.Duration) {
	w := behindGlass(t, catalog.Options{})
	for i := range 10 {
		w.createFor(fmt.Sprint(i), 100)
	}
	w.clock.Advance(50 * day)
	usedAt := w.now()
	for i := range 10 {
		w.use(fmt.Sprint(i))
	}
	seen := 0
	for p, err := range w.c().All(t.Context(), acme, catalog.AllOptions{}) {
		require.NoError(t, err)
		require.Equal(t, usedAt, p.LastUsedAt, "product %s", p.ExternalID)
		if seen == 0 {
			w.clock.Advance(pause)
			w.foldRounds(4)
		}
		seen++
	}
	require.Equal(t, 10, seen)
	w.folds()
	require.Zero(t, w.pending())
}

// contract 4: a scan sees the use of a product that is removed behind it.
func TestPinnedScansSeeUsesOfRemovedProducts(t *testing.T) {
	for name, remove := range map[string]func(w *glassWorld){
		"delete":  func(w *glassWorld) { require.NoError(w.t, w.c().Delete(w.t.Context(), acme, "b")) },
		"account": func(w *glassWorld) { _, err := w.c().DeleteAccount(w.t.Context(), acme); require.NoError(w.t, err) },
	} {
		t.Run(name, func(t *testing.T) {
			w := behindGlass(t, catalog.Options{})
			w.createFor("a", 30)
			w.createFor("b", 30)
			w.clock.Advance(time.Hour)
			used := w.use("b")
			var last *catalog.Product
			for p, err := range w.c().All(t.Context(), acme, catalog.AllOptions{}) {
				require.NoError(t, err)
				if last == nil {
					remove(w)
				}
				last = p
			}
			require.Equal(t, used, last)
			w.requireGone("b")
			// The ID is free for another, whose uses are its own.
			fresh := w.createFor("b", 30)
			require.Zero(t, fresh.LastUsedAt)
			require.Equal(t, w.now(), w.use("b").LastUsedAt)
			require.Equal(t, w.now(), w.get("b").LastUsedAt)
			w.folds()
			require.Zero(t, w.pending())
		})
	}
}

// contract 4: from the instant it expires a product is gone; a use that was
// begun before and took long does not bring it back.
func TestSlowUseDoesNotBringBack(t *testing.T) {
	for name, use := range map[string]func(w *glassWorld) error{
		"use":   func(w *glassWorld) error { _, err := w.c().Use(w.t.Context(), acme, "p"); return err },
		"touch": func(w *glassWorld) error { _, err := w.c().Touch(w.t.Context(), acme, "p"); return err },
		"inline": func(w *glassWorld) error {
			_, err := w.c().UpsertInline(w.t.Context(), acme, "p", catalog.Patch{})
			var bad *catalog.ValidationError
			if errors.As(err, &bad) {
				return catalog.ErrNotFound // it would have to create
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := behindGlass(t, catalog.Options{CacheBytes: -1})
			w.createFor("p", 1)
			w.clock.Advance(day - time.Minute)
			slow := func([]byte) {
				w.probe.afterGet.Store(nil)
				w.clock.Advance(time.Minute) // a pause of the process
				w.requireGone("p")
			}
			w.probe.afterGet.Store(&slow)
			require.ErrorIs(t, use(w), catalog.ErrNotFound)
			w.requireGone("p")
			require.Empty(t, w.listAll(catalog.ListOptions{})[0])
		})
	}
}

// contract 4: uses, edits, folds and reads at once lose no use and no edit.
func TestUsesEditsAndFoldsAtOnce(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		const products, rounds = 4, 60
		for i := range products {
			w.createFor(fmt.Sprint(i), 30)
		}
		users := make([]*catalog.Catalog, 4)
		for i := range users {
			users[i] = w.c()
		}
		stop := make(chan struct{})
		var beside, wg sync.WaitGroup
		beside.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					w.clock.Advance(100 * time.Millisecond)
				}
			}
		})
		for u, c := range users {
			wg.Go(func() {
				var last [products]time.Time
				for n := range rounds {
					i := (n + u) % products
					id := fmt.Sprint(i)
					p, err := c.Use(ctx, acme, id)
					if err == nil && u == 0 {
						_, err = c.Upsert(ctx, acme, id, catalog.Patch{Title: catalog.Set(fmt.Sprint(n))})
					}
					if err != nil {
						t.Errorf("product %s: %v", id, err)
						return
					}
					seen, err := c.Get(ctx, acme, id)
					if err != nil || seen.LastUsedAt.Before(p.LastUsedAt) || seen.LastUsedAt.Before(last[i]) {
						t.Errorf("used at %v and %v, then read %+v, %v", last[i], p.LastUsedAt, seen, err)
						return
					}
					last[i] = seen.LastUsedAt
				}
			})
		}
		wg.Wait()
		close(stop)
		beside.Wait()
		want := map[string]*catalog.Product{}
		for i := range products {
			want[fmt.Sprint(i)] = w.get(fmt.Sprint(i))
			require.NotEmpty(t, want[fmt.Sprint(i)].Title)
		}
		w.reopen() // everything is folded
		for id, p := range want {
			require.Equal(t, p, w.get(id))
		}
	})
}

// A long window does not keep uses in memory for longer than half a minute.
func TestLongWindowsFold(t *testing.T) {
	w := behindGlass(t, catalog.Options{UseWindow: time.Hour})
	w.create("p")
	used := w.use("p")
	for waited := time.Duration(0); w.record("p").LastUsedAt == encoding.None; waited += time.Second {
		require.Less(t, waited, 50*time.Minute)
		nudge(w.clock, time.Second)
	}
	require.Equal(t, used.LastUsedAt.UnixMilli(), w.record("p").LastUsedAt)
}
