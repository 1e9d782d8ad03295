package catalog_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// TestDeleteAccountErasesNow: with EraseNow no file of the open store has anything
// of the account when the call returns, images that it had released before, or
// never used, included. Others keep what is theirs.
func TestDeleteAccountErasesNow(t *testing.T) {
	dir, clock := t.TempDir(), ttl.NewManualClock(epoch)
	b, err := pebble.Open(t.Context(), dir, &pebble.Options{MemTableSize: 1 << 20, DiskReserve: -1})
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), b, &catalog.Options{Clock: clock})
	require.NoError(t, err)
	const n = 20
	mark := func(account string, i int) string { return fmt.Sprintf("mark-of-%s-%02d-%x", account, i, i*7919) }
	picture := func(account string, i int) []byte { return append(noise(i, 60_000), mark(account, i)...) }
	upload := func(account string, i int) catalog.Patch {
		return catalog.Patch{
			Title:  catalog.Set(mark(account, i)),
			Images: catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(bytes.NewReader(picture(account, i)))}}),
		}
	}
	for _, account := range []string{acme, "other"} {
		for i := range n {
			_, err := c.Upsert(t.Context(), account, fmt.Sprint(i), upload(account, i))
			require.NoError(t, err)
		}
	}
	open, err := c.OpenImage(t.Context(), acme, "5", 0)
	require.NoError(t, err)
	_, err = c.Upsert(t.Context(), acme, "0", upload(acme, n)) // replaces an image
	require.NoError(t, err)
	require.NoError(t, c.Delete(t.Context(), acme, "1"))
	staged, err := c.StageImage(t.Context(), acme, bytes.NewReader(picture(acme, n+1)))
	require.NoError(t, err)
	others, err := c.StageImage(t.Context(), "other", bytes.NewReader(picture("other", n+1)))
	require.NoError(t, err)

	found := func(account string) (found int) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if !os.IsNotExist(err) {
				require.NoError(t, err)
			}
			for i := range n + 2 {
				found += bytes.Count(data, []byte(mark(account, i)))
			}
		}
		return found
	}
	require.GreaterOrEqual(t, found(acme), n+2)
	_, err = c.DeleteAccount(t.Context(), acme, 77)
	require.ErrorContains(t, err, "77")
	require.GreaterOrEqual(t, found(acme), n+2, "a fault changes nothing")

	removed, err := c.DeleteAccount(t.Context(), acme, catalog.EraseNow)
	require.NoError(t, err)
	require.Equal(t, n-1, removed)
	require.Zero(t, found(acme))
	require.GreaterOrEqual(t, found("other"), n)
	_, err = io.ReadAll(open)
	require.ErrorIs(t, err, catalog.ErrImageGone)
	require.NoError(t, open.Close())

	claim := func(account string, ref catalog.StagedRef) error {
		_, err := c.Upsert(t.Context(), account, "claims", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Staged: ref}})})
		return err
	}
	require.ErrorAs(t, claim(acme, staged.Ref), new(*catalog.ValidationError))
	require.NoError(t, claim("other", others.Ref))
	report, err := c.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	require.NoError(t, c.Close())
}

// TestDeleteAccountRemovesStagedImages: staged images that were not claimed go
// with the account, and only those.
func TestDeleteAccountRemovesStagedImages(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		var refs []catalog.StagedRef
		for i := range 3 {
			img, err := w.c().StageImage(t.Context(), acme, bytes.NewReader(noise(i, 5_000)))
			require.NoError(t, err)
			refs = append(refs, img.Ref)
		}
		claim := func(ref catalog.StagedRef) error {
			_, err := w.c().Upsert(t.Context(), acme, string(ref), catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Staged: ref}})})
			return err
		}
		require.NoError(t, claim(refs[0]))
		removed, err := w.c().DeleteAccount(t.Context(), acme)
		require.NoError(t, err)
		require.Equal(t, 1, removed)
		for _, ref := range refs {
			require.ErrorAs(t, claim(ref), new(*catalog.ValidationError))
		}
		report, err := w.c().Check(t.Context())
		require.NoError(t, err)
		require.Empty(t, report.Problems)
	})
}

// deletions is a backend that notes the keys which the Updates of calls delete.
type deletions struct {
	backend.Backend
	keys *[]string
}

func (b deletions) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if o.Buffered && o.Reclaim { // of the catalog's own goroutines
		return b.Backend.Update(ctx, scopes, o, fn)
	}
	return b.Backend.Update(ctx, scopes, o, func(ctx context.Context, txn backend.Txn) error {
		*b.keys = nil // of the last run
		return fn(ctx, deletingTxn{txn, b.keys})
	})
}

type deletingTxn struct {
	backend.Txn
	keys *[]string
}

func (t deletingTxn) Delete(key []byte, valueSize int) error {
	*t.keys = append(*t.keys, string(key))
	return t.Txn.Delete(key, valueSize)
}

// TestRecreatedProductsAreOwed: what an upsert makes anew was there before, and is
// deleted, so that the engine owes its erasure; what it edits may stay in the
// engine's files.
func TestRecreatedProductsAreOwed(t *testing.T) {
	clock, keys := ttl.NewManualClock(epoch), new([]string)
	o := &catalog.Options{Clock: clock, UseWindow: catalog.NoUseWindow, Sweeper: ttl.SweeperOptions{Grace: 1000 * day}}
	b := memory.New(nil)
	c, err := catalog.Open(t.Context(), b, o)
	require.NoError(t, err)
	_, err = c.Upsert(t.Context(), acme, "p", withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
	require.NoError(t, err)
	require.NoError(t, c.Close())

	c, err = catalog.Open(t.Context(), deletions{b.Handle(), keys}, o)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	record := string(encoding.AppendProductKey(nil, acme, "p"))
	_, err = c.Upsert(t.Context(), acme, "p", catalog.Patch{Title: catalog.Set("edited")})
	require.NoError(t, err)
	require.NotContains(t, *keys, record)
	clock.Advance(2 * day)
	res, err := c.Upsert(t.Context(), acme, "p", withImage(catalog.Patch{}))
	require.NoError(t, err)
	require.Equal(t, catalog.Created, res.Outcome)
	require.Contains(t, *keys, record)
}
