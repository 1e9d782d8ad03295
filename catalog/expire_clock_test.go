package catalog_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// contract 4: a wall clock that leaps forward does not make the sweeper destroy
// everything: removals pause, reads do not.
func TestLeapPausesRemovals(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		before := w.createFor("p", 30)
		w.clock.Leap(400 * day)
		w.requireGone("p")
		require.Empty(t, w.listAll(catalog.ListOptions{})[0])
		for range 10 {
			w.clock.Advance(time.Minute)
			for _, c := range w.catalogs {
				res, err := c.Sweep(ctx)
				require.NoError(t, err)
				require.True(t, res.Paused)
				require.Zero(t, res.Expired)
				stats, err := c.StoreStats(ctx)
				require.NoError(t, err)
				require.True(t, stats.Sweeper.Paused)
				require.Equal(t, uint64(1), stats.Sweeper.Leaps)
			}
		}
		require.Equal(t, 1, w.soundReport().Products, "still in the store")

		// Put right: within this catalog time does not run backward, the next
		// has the product again.
		w.clock.Set(epoch.Add(time.Hour))
		w.requireGone("p")
		w.clock.Advance(20 * time.Minute)
		w.sweepAll()
		w.reopen()
		require.Equal(t, before, w.get("p"))

		// A leap that stays is accepted after the pause.
		w.clock.Leap(400 * day)
		_, err := w.c().Sweep(ctx)
		require.NoError(t, err)
		for range 2 {
			w.clock.Advance(20 * time.Minute)
			w.sweepAll()
		}
		require.Empty(t, w.rawKeys())
	})
}

// contract 4: the clock may have leapt before the catalog was opened, as that of
// a machine that has not been told the time yet.
func TestLeapBeforeOpening(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		before := w.createFor("p", 30)
		w.reopen()
		w.close()
		w.clock.Leap(3650 * day)
		w.start()
		w.requireGone("p")
		for range 14 {
			w.clock.Advance(time.Minute)
			for _, c := range w.catalogs {
				res, err := c.Sweep(t.Context())
				require.NoError(t, err)
				require.True(t, res.Paused)
			}
		}
		w.close()
		w.clock.Leap(-3650 * day)
		w.start()
		require.Equal(t, before, w.get("p"))

		// A store that was closed for long finds the same pause, and no more than that.
		w.close()
		w.clock.Advance(31 * day)
		w.start()
		w.requireGone("p")
		w.clock.Advance(15 * time.Minute)
		for range 2 {
			w.sweepAll()
			w.clock.Advance(20 * time.Minute)
		}
		require.Empty(t, w.rawKeys())
		w.reopen()
		stats, err := w.c().StoreStats(t.Context())
		require.NoError(t, err)
		require.False(t, stats.Sweeper.Paused)
	})
}

// contract 4: time does not run backward within one open catalog: what has
// expired stays gone.
func TestExpiredStaysGoneWhenTheClockGoesBack(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.createFor("p", 1)
		w.clock.Advance(day)
		for range w.catalogs {
			w.requireGone("p")
		}
		w.clock.Leap(-time.Hour)
		for range w.catalogs {
			w.requireGone("p")
		}
		// What is written now is not older than what was seen.
		fresh := w.create("p")
		require.Equal(t, epoch.Add(day), fresh.CreatedAt)
	})
}

// The clock was set back between two openings: what had expired and was not swept
// lives again until its deadline comes once more, what was swept stays gone, and
// no deadline and no stored time moves.
func TestClockSetBackBetweenOpenings(t *testing.T) {
	w := memoryWorld(t)
	w.opts.Sweeper.Grace = 2 * time.Hour // it wakes by itself, and must not be first
	w.reopen()
	w.createFor("swept", 1)
	w.clock.Advance(day + w.opts.Sweeper.Grace)
	w.sweepAll()
	require.Empty(t, w.rawKeys())
	expired := w.createFor("expired", 1)
	used := w.use("expired")
	w.clock.Advance(day + time.Hour)
	w.requireGone("expired")
	w.clock.Leap(-2 * time.Hour)
	w.requireGone("expired") // as long as the catalog is open
	w.reopen()
	w.requireGone("swept")
	require.Equal(t, used, w.get("expired"), "an hour before its deadline")
	require.Equal(t, expired.UpdatedAt, used.UpdatedAt)
	w.clock.Advance(time.Hour - time.Millisecond)
	require.Equal(t, used, w.get("expired"))
	w.clock.Advance(time.Millisecond)
	w.requireGone("expired")
}

// skewed opens two catalogs on one shared store, the clock of the second ahead
// of the first's.
func skewed(t *testing.T, ahead time.Duration) (c [2]*catalog.Catalog, clocks [2]*ttl.ManualClock) {
	return skewedBy(t, ahead, 0)
}

// skewedBy is skewed with a grace of the sweepers, 0 for the default.
func skewedBy(t *testing.T, ahead, grace time.Duration) (c [2]*catalog.Catalog, clocks [2]*ttl.ManualClock) {
	store := memory.New(&memory.Options{Shared: true, Shards: 2})
	for i := range c {
		clocks[i] = ttl.NewManualClock(epoch.Add(time.Duration(i) * ahead))
		checked := backendtest.Checked(store.Handle(), scopeOf, func(err error) { t.Errorf("undeclared access: %v", err) })
		var err error
		c[i], err = catalog.Open(t.Context(), checked, &catalog.Options{Clock: clocks[i], Sweeper: ttl.SweeperOptions{Grace: grace}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c[i].Close()) })
	}
	t.Cleanup(func() {
		report, err := c[0].Check(t.Context())
		if err == nil {
			require.Empty(t, report.Problems)
		}
	})
	return c, clocks
}

// contract 4: several processes with skewed clocks: stored times never go back,
// whichever catalog writes, and each use counts from the latest time known.
func TestSkewedClocksNeverMoveTimesBack(t *testing.T) {
	ctx := t.Context()
	c, clocks := skewed(t, time.Hour)
	res, err := c[1].Upsert(ctx, acme, "p", withImage(catalog.Patch{ValidForDays: catalog.Set(30)}))
	require.NoError(t, err)
	p, err := c[1].Use(ctx, acme, "p")
	require.NoError(t, err)
	ahead := epoch.Add(time.Hour)
	require.Equal(t, ahead, p.LastUsedAt)

	latest := p
	for i := range 40 {
		slow := c[i%2]
		var p *catalog.Product
		switch i % 5 {
		case 0, 1:
			p, err = slow.Use(ctx, acme, "p")
		case 2:
			res, err = slow.Upsert(ctx, acme, "p", catalog.Patch{Title: catalog.Set(time.Duration(i).String())})
			p = res.Product
		case 3:
			res, err = slow.Upsert(ctx, acme, "p", catalog.Patch{ValidForDays: catalog.Set(30)})
			p = res.Product
		case 4:
			res, err = slow.UpsertInline(ctx, acme, "p", catalog.Patch{Title: catalog.Set("x")})
			p = res.Product
		}
		require.NoError(t, err)
		require.Equal(t, latest.CreatedAt, p.CreatedAt)
		require.False(t, p.LastUsedAt.Before(latest.LastUsedAt))
		require.False(t, p.ExpiresAt.Before(latest.ExpiresAt))
		require.False(t, p.UpdatedAt.Before(latest.UpdatedAt))
		for _, reader := range c {
			seen, err := reader.Get(ctx, acme, "p")
			require.NoError(t, err)
			require.Equal(t, p, seen, "seen by every process at once")
		}
		latest = p
		clocks[i%2].Advance(time.Second)
	}
}

// A sweeper whose clock is ahead by less than the grace removes nothing that
// another process still has.
func TestSkewWithinTheGrace(t *testing.T) {
	ctx := t.Context()
	c, clocks := skewed(t, 6*time.Second) // grace: 7 s
	_, err := c[0].Upsert(ctx, acme, "p", withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
	require.NoError(t, err)
	for _, clock := range clocks {
		clock.Advance(day - 500*time.Millisecond)
	}
	_, err = c[1].Get(ctx, acme, "p")
	require.ErrorIs(t, err, catalog.ErrNotFound, "expired by the clock ahead")
	_, err = c[1].Sweep(ctx)
	require.NoError(t, err)
	p, err := c[0].Use(ctx, acme, "p")
	require.NoError(t, err, "lives by the clock behind, and is not removed")
	for _, reader := range c {
		seen, err := reader.Get(ctx, acme, "p")
		require.NoError(t, err)
		require.Equal(t, p, seen)
	}
	// Both sweep, each may come first, and nothing is left in the end.
	for range 3 {
		for i := range c {
			clocks[i].Advance(day)
			_, err = c[i].Sweep(ctx)
			require.NoError(t, err)
		}
	}
	report, err := c[0].Check(ctx)
	require.NoError(t, err)
	require.Equal(t, catalog.CheckReport{Complete: true}, report)
}

// contract 3 and 4: a product that has expired for one process only is replaced
// whole, and conditions hold for every reader of it.
func TestSkewedReplacement(t *testing.T) {
	ctx := t.Context()
	c, clocks := skewedBy(t, time.Hour, 2*time.Hour) // the sweeper must not be first
	old, err := c[0].Upsert(ctx, acme, "p", withImage(catalog.Patch{ValidForDays: catalog.Set(1), Title: catalog.Set("old")}))
	require.NoError(t, err)
	for _, clock := range clocks {
		clock.Advance(day - time.Minute)
	}
	_, err = c[0].Get(ctx, acme, "p")
	require.NoError(t, err)
	fresh, err := c[1].Upsert(ctx, acme, "p", withImage(catalog.Patch{}), catalog.CreateOnly())
	require.NoError(t, err)
	require.Equal(t, catalog.Created, fresh.Outcome)
	seen, err := c[0].Get(ctx, acme, "p")
	require.NoError(t, err)
	require.Equal(t, fresh.Product, seen)
	_, err = c[0].Upsert(ctx, acme, "p", catalog.Patch{Title: catalog.Set("x")}, catalog.IfVersion(old.Product.Version()))
	require.ErrorIs(t, err, catalog.ErrPreconditionFailed)
	// The slower clock edits what carries a later time.
	edited, err := c[0].Upsert(ctx, acme, "p", catalog.Patch{Title: catalog.Set("x")})
	require.NoError(t, err)
	require.Equal(t, fresh.Product.UpdatedAt, edited.Product.UpdatedAt)
	require.NotEqual(t, fresh.Product.Version(), edited.Product.Version())
}
