package catalog_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// hangingLog holds up syncs of the engine's log until it is released.
type hangingLog struct {
	release atomic.Pointer[chan struct{}] // nil: it does not hang
}

func (d *hangingLog) String() string { return "hanging log" }

func (d *hangingLog) MaybeError(op errorfs.Op) error {
	kinds := []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}
	if release := d.release.Load(); release != nil && strings.HasSuffix(op.Path, ".log") && slices.Contains(kinds, op.Kind) {
		<-*release
	}
	return nil
}

func (d *hangingLog) hang() {
	c := make(chan struct{})
	d.release.Store(&c)
}

func (d *hangingLog) answer() { close(*d.release.Swap(nil)) }

func openOnHanging(t *testing.T, fs vfs.FS, o *catalog.Options) *catalog.Catalog {
	t.Helper()
	b, err := pebble.Open(t.Context(), "db", &pebble.Options{FS: fs, CacheSize: 1 << 20, MemTableSize: 256 << 10})
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), b, o)
	require.NoError(t, err)
	return c
}

// Close waits for a disk that does not answer, and what was acknowledged before
// is there.
func TestCloseWhileTheDiskHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, disk := vfs.NewMem(), new(hangingLog)
		c := openOnHanging(t, errorfs.Wrap(mem, disk), nil)
		for _, id := range []string{"p", "q"} {
			_, err := c.Upsert(t.Context(), acme, id, withImage(catalog.Patch{ValidForDays: catalog.Set(30)}))
			require.NoError(t, err)
		}
		disk.hang()
		_, err := c.Use(t.Context(), acme, "p")
		require.NoError(t, err)
		time.Sleep(620 * time.Millisecond) // the journal is being written
		_, err = c.Use(t.Context(), acme, "q")
		require.NoError(t, err)
		time.Sleep(15 * time.Second)
		require.ErrorIs(t, c.Ready(), catalog.ErrUnavailable)
		closed := make(chan error, 1)
		go func() { closed <- c.Close() }()
		time.Sleep(time.Minute)
		require.Empty(t, closed)
		disk.answer()
		require.NoError(t, <-closed)

		c = openOnHanging(t, mem, nil)
		for _, id := range []string{"p", "q"} {
			p, err := c.Get(t.Context(), acme, id)
			require.NoError(t, err)
			require.False(t, p.LastUsedAt.IsZero(), "the use of %s", id)
		}
		require.NoError(t, c.Close())
	})
}

// Expiries whose commits met a disk that did not answer are reported when it
// does, once.
func TestOnExpireAfterAHang(t *testing.T) {
	for name, expire := range map[string]func(ctx context.Context, c *catalog.Catalog) error{
		"sweep": func(ctx context.Context, c *catalog.Catalog) error { _, err := c.Sweep(ctx); return err },
		"upsert": func(ctx context.Context, c *catalog.Catalog) error {
			_, err := c.Upsert(ctx, acme, "3", withImage(catalog.Patch{}))
			return err
		},
		"many": func(ctx context.Context, c *catalog.Catalog) error {
			return c.UpsertMany(ctx, acme, []catalog.UpsertItem{{ExternalID: "3", Patch: withImage(catalog.Patch{})}})[0].Err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := new(hangingLog)
				var reported []string
				// The days pass here alone: in the bubble's own time the engine would look
				// at its disk in each second of them.
				clock := ttl.NewManualClock(time.Now())
				pass := func(d time.Duration) {
					clock.Advance(d)
					time.Sleep(time.Second)
					synctest.Wait()
				}
				o := &catalog.Options{
					Clock: clock,
					OnExpire: func(_ context.Context, _ *catalog.Catalog, e catalog.Expired) {
						reported = append(reported, e.Product.ExternalID)
					},
					Sweeper: ttl.SweeperOptions{Grace: time.Hour, LeapPause: -1, RetryMin: time.Hour, RetryMax: time.Hour},
				}
				if name == "sweep" {
					o.Sweeper.Grace = -1 // elsewhere it must not come first
				}
				c := openOnHanging(t, errorfs.Wrap(vfs.NewMem(), disk), o)
				for _, id := range []string{"1", "2", "3"} {
					_, err := c.Upsert(t.Context(), acme, id, withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
					require.NoError(t, err)
				}
				pass(day - time.Second)
				disk.hang()
				pass(time.Second)
				require.Error(t, expire(t.Context(), c))
				pass(20 * time.Second)
				time.Sleep(20 * time.Second)
				require.Empty(t, reported, "a crash may take it")
				disk.answer()
				pass(2 * time.Hour)
				_, err := c.Sweep(t.Context())
				require.NoError(t, err)
				require.NoError(t, c.Close())
				slices.Sort(reported)
				require.Equal(t, []string{"1", "2", "3"}, reported)
			})
		})
	}
}

// busy is a backend that admits no Updates for a while.
type busy struct {
	backend.Backend
	err atomic.Pointer[error]
}

func (b *busy) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if err := b.err.Load(); err != nil {
		return *err
	}
	return b.Backend.Update(ctx, scopes, o, fn)
}

// contract 4: no caller is told that a product is gone while an edit that may renew
// it is on its way, though the engine does not take the Update that would tell;
// only one that was stopped for good renews nothing any more.
func TestExpiredWhileAnEditIsHeldUp(t *testing.T) {
	for name, c := range map[string]struct{ refusal, want error }{
		"for a while": {backend.ErrUnavailable, catalog.ErrUnavailable},
		"for good":    {backend.ErrStopped, catalog.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			clock := ttl.NewManualClock(epoch)
			b := &busy{Backend: steppedBackend{memory.New(nil)}}
			cat, err := catalog.Open(t.Context(), b, &catalog.Options{Clock: clock})
			require.NoError(t, err)
			_, err = cat.Upsert(t.Context(), acme, "p", withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
			require.NoError(t, err)
			clock.Advance(day - time.Second)
			reached, goOn := make(chan struct{}), make(chan struct{})
			renewed := make(chan error, 1)
			go func() {
				ctx := withUpdateSteps(t.Context(), updateSteps{func() {}, func() { close(reached); <-goOn }})
				_, err := cat.Upsert(ctx, acme, "p", catalog.Patch{ValidForDays: catalog.Set(1)})
				renewed <- err
			}()
			<-reached
			clock.Advance(2 * time.Second)
			b.err.Store(&c.refusal)
			_, err = cat.Get(t.Context(), acme, "p")
			require.ErrorIs(t, err, c.want)
			b.err.Store(nil)
			close(goOn)
			require.NoError(t, <-renewed)
			require.NoError(t, cat.Close())
		})
	}
}
