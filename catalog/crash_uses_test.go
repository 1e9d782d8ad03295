package catalog_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// contract 4: a crash may take the uses of the last window; such a product
// keeps its former deadline.
func TestCrashTakesPendingUsesOnly(t *testing.T) {
	store := memory.New(nil)
	open := func(clock ttl.Clock, o catalog.Options) *catalog.Catalog {
		o.Clock = clock
		c, err := catalog.Open(t.Context(), store.Handle(), &o)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		return c
	}
	ctx := t.Context()
	clock := ttl.NewManualClock(epoch)
	closed := open(clock, catalog.Options{})
	patch := withImage(catalog.Patch{ValidForDays: catalog.Set(1)})
	for _, id := range []string{"folded", "pending", "near"} {
		_, err := closed.Upsert(ctx, acme, id, patch)
		require.NoError(t, err)
	}
	near := epoch.Add(day - 5*time.Second)

	clock.Advance(time.Hour)
	folded, err := closed.Use(ctx, acme, "folded")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	crashed := open(clock, catalog.Options{})
	_, err = crashed.Use(ctx, acme, "pending")
	require.NoError(t, err)

	// From here on that catalog is as good as dead: its clock stands. The
	// next goes on with what is in the store.
	after := ttl.NewManualClock(clock.Now())
	c := open(after, catalog.Options{})
	p, err := c.Get(ctx, acme, "folded")
	require.NoError(t, err)
	require.Equal(t, folded, p)
	p, err = c.Get(ctx, acme, "pending")
	require.NoError(t, err)
	require.Zero(t, p.LastUsedAt)
	require.Equal(t, epoch.Add(day), p.ExpiresAt, "the former deadline")

	after.Set(near)
	used, err := c.Use(ctx, acme, "near")
	require.NoError(t, err)
	third := open(ttl.NewManualClock(near.Add(time.Minute)), catalog.Options{})
	p, err = third.Get(ctx, acme, "near")
	require.NoError(t, err)
	require.Equal(t, used, p, "the use near the deadline was durable")
	_, err = third.Get(ctx, acme, "pending")
	require.ErrorIs(t, err, catalog.ErrNotFound)
}

// contract 3 and 4: when the power goes under load, everything that was
// acknowledged is there: edits, uses near the deadline and, with no window,
// every use. Other uses are there or keep the former deadline, none is newer
// than it was.
func TestPowerCut(t *testing.T) {
	for _, window := range []time.Duration{0, catalog.NoUseWindow} {
		t.Run(fmt.Sprint(window), func(t *testing.T) { cutPower(t, window) })
	}
}

func cutPower(t *testing.T, window time.Duration) {
	rng := seededRand(t)
	ctx := t.Context()
	disk := vfs.NewCrashableMem()
	clock := ttl.NewManualClock(epoch)
	start := func(fs vfs.FS, clock ttl.Clock) *catalog.Catalog {
		b, err := pebble.Open(ctx, "db", &pebble.Options{FS: fs, CacheSize: 16 << 20, MemTableSize: 1 << 20})
		require.NoError(t, err)
		checked := backendtest.Checked(b, scopeOf, func(err error) { t.Errorf("undeclared access: %v", err) })
		c, err := catalog.Open(ctx, checked, &catalog.Options{Clock: clock, UseWindow: window})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		return c
	}
	c := start(disk, clock)

	const products = 8
	acked := make([]*catalog.Product, products) // as of the last durable answer
	used := make([]time.Time, products)         // by a use that may be lost
	for i := range products {
		days := 1 + 30*(i%2)
		res, err := c.Upsert(ctx, acme, fmt.Sprint(i), withImage(catalog.Patch{ValidForDays: catalog.Set(days)}))
		require.NoError(t, err)
		acked[i] = res.Product
	}
	clock.Advance(day - 30*time.Second)
	for range 60 {
		i := rng.IntN(products)
		id := fmt.Sprint(i)
		switch rng.IntN(4) {
		case 0:
			res, err := c.Upsert(ctx, acme, id, catalog.Patch{
				Title: catalog.Set(fmt.Sprint(rng.Uint64())), Images: imagesOf(pngOf(rng.Uint64(), 4, 4)),
			})
			require.NoError(t, err)
			acked[i] = res.Product // a pending use is in it
		case 1:
			clock.Advance(time.Duration(rng.IntN(500)) * time.Millisecond)
		default:
			p, err := c.Use(ctx, acme, id)
			require.NoError(t, err)
			used[i] = p.LastUsedAt
			near := acked[i].ExpiresAt.Sub(p.LastUsedAt) <= 10*time.Second
			if near || window == catalog.NoUseWindow {
				acked[i] = p
			}
		}
	}
	for _, survivors := range []int{0, 50, 100} {
		clone := disk.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: survivors, RNG: rand.New(rand.NewPCG(rng.Uint64(), 0)),
		})
		c := start(clone, ttl.NewManualClock(clock.Now()))
		for i, want := range acked {
			p, err := c.Get(ctx, acme, fmt.Sprint(i))
			require.NoError(t, err)
			require.Equal(t, want.Version(), p.Version())
			require.Equal(t, want.Title, p.Title)
			require.Equal(t, want.Images, p.Images)
			require.False(t, p.LastUsedAt.Before(want.LastUsedAt), "an acknowledged use is lost")
			require.False(t, p.LastUsedAt.After(used[i]) && p.LastUsedAt.After(want.LastUsedAt), "used at %v", p.LastUsedAt)
			if window == catalog.NoUseWindow {
				require.Equal(t, want, p)
			}
		}
		report, err := c.Check(ctx)
		require.NoError(t, err)
		require.Empty(t, report.Problems)
	}
}

// contract 4: after the window has passed and folds have run, a power cut takes
// no use.
func TestPowerCutAfterTheWindow(t *testing.T) {
	ctx := t.Context()
	disk := vfs.NewCrashableMem()
	clock := ttl.NewManualClock(epoch)
	b, err := pebble.Open(ctx, "db", &pebble.Options{FS: disk})
	require.NoError(t, err)
	c, err := catalog.Open(ctx, b, &catalog.Options{Clock: clock})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	_, err = c.Upsert(ctx, acme, "p", withImage(catalog.Patch{ValidForDays: catalog.Set(30)}))
	require.NoError(t, err)
	clock.Advance(day)
	used, err := c.Use(ctx, acme, "p")
	require.NoError(t, err)
	for pending := 1; pending > 0; {
		nudge(clock, 100*time.Millisecond)
		s, err := c.StoreStats(ctx)
		require.NoError(t, err)
		pending = s.PendingUses
	}
	after, err := pebble.Open(ctx, "db", &pebble.Options{FS: disk.CrashClone(vfs.CrashCloneCfg{})})
	require.NoError(t, err)
	defer after.Close()
	require.Equal(t, used.LastUsedAt.UnixMilli(), storedRecord(t, after, "p").LastUsedAt)
}
