package catalog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// backupStore is a catalog on Pebble on a file system in memory.
func backupStore(t *testing.T, clock ttl.Clock, fs vfs.FS, dir string) *catalog.Catalog {
	t.Helper()
	b, err := pebble.Open(t.Context(), dir, &pebble.Options{FS: fs, CacheSize: 8 << 20, MemTableSize: 1 << 20})
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), b, &catalog.Options{Clock: clock, UseWindow: time.Hour, Durability: catalog.Buffered})
	require.NoError(t, err)
	return c
}

// everything returns all products of an account.
func everything(t *testing.T, c *catalog.Catalog) map[string]*catalog.Product {
	t.Helper()
	all := map[string]*catalog.Product{}
	for p, err := range c.All(t.Context(), acme, catalog.AllOptions{Unlisted: true}) {
		require.NoError(t, err)
		all[p.ExternalID] = p
	}
	return all
}

// contract 8: everything that was acknowledged before a backup began is in it: edits
// that are not durable yet and uses that wait in memory included. Versions stay.
func TestBackupHasWhatWasAcknowledged(t *testing.T) {
	clock := ttl.NewManualClock(epoch)
	fs := vfs.NewMem()
	c := backupStore(t, clock, fs, "from")
	ctx := t.Context()
	for i := range 20 {
		p := withImage(catalog.Patch{Title: catalog.Set(fmt.Sprint(i)), ValidForDays: catalog.Set(30)})
		if i%5 == 0 {
			p = uploads(chunkImage)
		}
		_, err := c.Upsert(ctx, acme, fmt.Sprintf("p%02d", i), p)
		require.NoError(t, err)
	}
	clock.Advance(time.Hour)
	for i := range 10 {
		_, err := c.Use(ctx, acme, fmt.Sprintf("p%02d", i))
		require.NoError(t, err)
	}
	want := everything(t, c)
	var b bytes.Buffer
	info, err := c.Backup(ctx, &b)
	require.NoError(t, err)
	require.Equal(t, 20, info.Products)
	require.Equal(t, clock.Now(), info.Taken)
	require.EqualValues(t, b.Len(), info.Bytes)
	_, err = c.Upsert(ctx, acme, "later", withImage(catalog.Patch{}))
	require.NoError(t, err)
	require.NoError(t, c.Close())

	_, err = pebble.Restore(ctx, "to", bytes.NewReader(b.Bytes()), &pebble.Options{FS: fs})
	require.NoError(t, err)
	r := backupStore(t, clock, fs, "to")
	require.Equal(t, want, everything(t, r))
	report, err := r.Check(ctx)
	require.NoError(t, err)
	require.True(t, report.Sound(), "%v", report.Problems)
	image, err := r.OpenImage(ctx, acme, "p05", 0)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, image)
	require.NoError(t, err)
	require.NoError(t, image.Close())
	require.NoError(t, r.Close())
}

// TestBackupUnderLoad: backups of a catalog that is written to are sound, and have
// of each product a state that it had.
func TestBackupUnderLoad(t *testing.T) {
	fs := vfs.NewMem()
	c := backupStore(t, ttl.SystemClock(), fs, "from")
	ctx := t.Context()
	var stop atomic.Bool
	var writers sync.WaitGroup
	var acknowledged [4]atomic.Int64
	for w := range acknowledged {
		writers.Go(func() {
			for i := int64(1); !stop.Load(); i++ {
				p := withImage(catalog.Patch{Title: catalog.Set(fmt.Sprint(i)), Metadata: catalog.Set(json.RawMessage(`{"n":"` + strings.Repeat("x", int(i%3000)) + `"}`))})
				if _, err := c.Upsert(ctx, acme, fmt.Sprint(w), p); err != nil {
					t.Error(err)
					return
				}
				acknowledged[w].Store(i)
			}
		})
	}
	for round := range 4 {
		var least [len(acknowledged)]int64
		for w := range least {
			least[w] = acknowledged[w].Load()
		}
		var b bytes.Buffer
		_, err := c.Backup(ctx, &b)
		require.NoError(t, err)
		dir := fmt.Sprint("to", round)
		_, err = pebble.Restore(ctx, dir, &b, &pebble.Options{FS: fs})
		require.NoError(t, err)
		r := backupStore(t, ttl.SystemClock(), fs, dir)
		for w := range least {
			if least[w] == 0 {
				continue
			}
			p, err := r.Get(ctx, acme, fmt.Sprint(w))
			require.NoError(t, err)
			var n int64
			_, err = fmt.Sscan(p.Title, &n)
			require.NoError(t, err)
			require.GreaterOrEqual(t, n, least[w])
		}
		report, err := r.Check(ctx)
		require.NoError(t, err)
		require.True(t, report.Sound(), "%v", report.Problems)
		require.NoError(t, r.Close())
	}
	stop.Store(true)
	writers.Wait()
	require.NoError(t, c.Close())
}

// goneWriter fails after so many bytes.
type goneWriter struct{ left int }

func (w *goneWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return 0, syscall.EPIPE
	}
	w.left -= len(p)
	return len(p), nil
}

func TestBackupFails(t *testing.T) {
	ctx := t.Context()
	other, err := catalog.Open(ctx, memory.New(nil), nil)
	require.NoError(t, err)
	_, err = other.Backup(ctx, io.Discard)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.NoError(t, other.Close())
	_, err = other.Backup(ctx, io.Discard)
	require.ErrorIs(t, err, catalog.ErrClosed)

	fs := vfs.NewMem()
	c := backupStore(t, ttl.SystemClock(), fs, "from")
	_, err = c.Upsert(ctx, acme, "p", uploads(chunkImage))
	require.NoError(t, err)
	for _, left := range []int{0, 5, 1000, 100_000} {
		_, err = c.Backup(ctx, &goneWriter{left})
		require.ErrorIs(t, err, syscall.EPIPE)
		require.NotErrorIs(t, err, catalog.ErrUnavailable)
		require.NoError(t, c.Ready())
	}
	_, err = c.Upsert(ctx, acme, "p", catalog.Patch{Title: catalog.Set("goes on")})
	require.NoError(t, err)
	names, err := fs.List("from")
	require.NoError(t, err)
	require.NotContains(t, names, "checkpoint")
	require.NoError(t, c.Close())
}

// TestBackupOfADamagedStore: no copy is called good that is not.
func TestBackupOfADamagedStore(t *testing.T) {
	fs := vfs.NewMem()
	b, err := pebble.Open(t.Context(), "from", &pebble.Options{FS: fs, CacheSize: 8 << 20, MemTableSize: 1 << 20})
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), b, nil)
	require.NoError(t, err)
	_, err = c.Upsert(t.Context(), acme, "p", withImage(catalog.Patch{}))
	require.NoError(t, err)
	key := encoding.AppendListedKey(nil, acme, "nobody")
	require.NoError(t, b.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
		return txn.Put(key, nil)
	}))
	var out bytes.Buffer
	_, err = c.Backup(t.Context(), &out)
	require.ErrorIs(t, err, catalog.ErrDamaged)
	require.Zero(t, out.Len())
	require.NoError(t, c.Close())
}

// TestExtendLifetimes: after a restore lifetimes go on where they stood, those of what
// has expired since too; versions and last uses stay, and no lifetime begins later
// than now.
func TestExtendLifetimes(t *testing.T) {
	onEveryStore(t, func(o *catalog.Options) { o.Sweeper.Grace = 1000 * day }, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.createFor("expired", 5)
		w.createFor("lives", 30)
		w.create("forever")
		w.clock.Advance(4 * day)
		used, err := w.c().Use(ctx, acme, "lives")
		require.NoError(t, err)
		forever := w.get("forever")
		w.clock.Advance(40 * day) // since a backup
		w.createFor("new", 30)
		fresh := w.get("new")
		_, err = w.c().Get(ctx, acme, "expired")
		require.ErrorIs(t, err, catalog.ErrNotFound)
		report, err := w.c().Check(ctx)
		require.NoError(t, err)
		require.Equal(t, 2, report.Expired)

		n, err := w.c().ExtendLifetimes(ctx, 40*day)
		require.NoError(t, err)
		require.Equal(t, 3, n)
		require.Equal(t, w.now().Add(day), w.get("expired").ExpiresAt)
		lives := w.get("lives")
		require.Equal(t, used.ExpiresAt.Add(40*day), lives.ExpiresAt)
		require.Equal(t, used.Version(), lives.Version())
		require.Equal(t, used.LastUsedAt, lives.LastUsedAt)
		require.NotEqual(t, used.ETag(), lives.ETag())
		require.Equal(t, fresh, w.get("new"))
		require.Equal(t, forever, w.get("forever"))
		report, err = w.c().Check(ctx)
		require.NoError(t, err)
		require.Zero(t, report.Expired)
	})
}

// TestRestoredStoresBeginAnEpoch: once, and not where they are only read.
func TestRestoredStoresBeginAnEpoch(t *testing.T) {
	fs := vfs.NewMem()
	c := backupStore(t, ttl.SystemClock(), fs, "from")
	var b bytes.Buffer
	_, err := c.Backup(t.Context(), &b)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	_, err = pebble.Restore(t.Context(), "to", &b, &pebble.Options{FS: fs})
	require.NoError(t, err)
	meta := func(dir string) (m encoding.StoreMeta) {
		b, err := pebble.Open(t.Context(), dir, &pebble.Options{FS: fs, ReadOnly: true})
		require.NoError(t, err)
		_, err = b.Get(t.Context(), encoding.AppendMetaKey(nil, encoding.StoreMetaName), func(v []byte) error {
			return encoding.DecodeStoreMeta(v, &m)
		})
		require.NoError(t, err)
		c, err := catalog.Open(t.Context(), b, nil) // for reading
		require.NoError(t, err)
		require.NoError(t, c.Close())
		return m
	}
	was := meta("from")
	require.Equal(t, was, meta("to"), "nothing has opened it")
	require.NoError(t, backupStore(t, ttl.SystemClock(), fs, "to").Close())
	is := meta("to")
	require.NotEqual(t, was.Epoch, is.Epoch)
	require.NotZero(t, is.Epoch)
	require.NoError(t, backupStore(t, ttl.SystemClock(), fs, "to").Close())
	require.Equal(t, is, meta("to"))
	is.Epoch = was.Epoch
	require.Equal(t, was, is, "the rest stays, the secret too")
	require.Equal(t, was, meta("from"))
}
