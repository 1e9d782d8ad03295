package dump_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/dump"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// spoil changes a byte of the value of a key.
func spoil(t *testing.T, b backend.Backend, key []byte) {
	t.Helper()
	group, item, ok := encoding.ScopeOf(key)
	require.True(t, ok)
	scopes := []backend.Scope{{Group: group, Item: item}}
	require.NoError(t, b.Update(t.Context(), scopes, backend.UpdateOptions{}, func(ctx context.Context, txn backend.Txn) error {
		var value []byte
		if _, err := txn.Get(ctx, key, func(v []byte) error { value = bytes.Clone(v); return nil }); err != nil {
			return err
		}
		value[len(value)/2] ^= 1
		return txn.Put(key, value)
	}))
}

// chunksOf returns the keys of the first chunks of all images of an account.
func chunksOf(t *testing.T, b backend.Backend, account string) (keys [][]byte) {
	t.Helper()
	start, end := encoding.BlobRange(account)
	for e, err := range b.Scan(t.Context(), backend.Range{Start: start, End: end}, backend.ScanOptions{KeysOnly: true}) {
		require.NoError(t, err)
		if _, _, n, err := encoding.DecodeBlobKey(e.Key); err == nil && n == 1 {
			keys = append(keys, bytes.Clone(e.Key))
		}
	}
	return keys
}

// TestDamage: a dump of a damaged store fails and says where, or leaves out what can't
// be read, but never an image that another product has too.
func TestDamage(t *testing.T) {
	clock := ttl.NewManualClock(epoch)
	store := memory.New(nil)
	source, err := catalog.Open(t.Context(), store.Handle(), &catalog.Options{Clock: clock})
	require.NoError(t, err)
	defer source.Close()
	shared := pngOf(1, 310)
	for _, account := range []string{"first", "second", "third"} {
		_, err := source.Upsert(t.Context(), account, "a", product(uploaded(shared)))
		require.NoError(t, err)
	}
	_, err = source.Upsert(t.Context(), "first", "b", product(url(1)))
	require.NoError(t, err)
	_, err = source.Upsert(t.Context(), "first", "c", product(url(1)))
	require.NoError(t, err)

	spoil(t, store, chunksOf(t, store, "first")[0])
	_, err = dump.Write(t.Context(), io.Discard, source, nil)
	requireDamage(t, err, "first", "a")
	spoil(t, store, encoding.AppendProductKey(nil, "first", "b"))
	_, err = dump.Write(t.Context(), io.Discard, source, nil)
	requireDamage(t, err, "first", "b") // met first, since records are counted before

	var b bytes.Buffer
	var named []string
	o := &dump.Options{PastDamage: true, Report: func(account, id string, err error) {
		requireDamage(t, err, account, id)
		named = append(named, account+" "+id)
	}}
	info, err := dump.Write(t.Context(), &b, source, o)
	require.NoError(t, err)
	require.Equal(t, []string{"first a", "first b"}, named)
	require.Equal(t, 2, info.LeftOut)
	require.Equal(t, 1, info.Images)
	target := inMemory(t, clock)
	got := load(t, target, b.Bytes(), nil)
	require.Equal(t, 2, got.LeftOut)
	require.Equal(t, 3, got.Created)
	for _, account := range []string{"second", "third"} {
		require.NotEmpty(t, sumOf(t, target, account, "a", 0))
	}
	require.ErrorIs(t, source.Damage(), catalog.ErrDamaged)
}

func requireDamage(t *testing.T, err error, account, id string) {
	t.Helper()
	var damage *catalog.DamageError
	require.ErrorIs(t, err, catalog.ErrDamaged)
	require.True(t, asError(err, &damage))
	require.Equal(t, fmt.Sprint(account, id), damage.Account+damage.ExternalID)
}

// TestImageOfOtherBytes: chunks that are sound each, and not those of the image.
func TestImageOfOtherBytes(t *testing.T) {
	clock := ttl.NewManualClock(epoch)
	store := memory.New(nil)
	source, err := catalog.Open(t.Context(), store.Handle(), &catalog.Options{Clock: clock})
	require.NoError(t, err)
	defer source.Close()
	image := pngOf(1, 60)
	_, err = source.Upsert(t.Context(), "shop", "a", product(uploaded(image)))
	require.NoError(t, err)
	key := chunksOf(t, store, "shop")[0]
	_, id, n, err := encoding.DecodeBlobKey(key)
	require.NoError(t, err)
	group, item, _ := encoding.ScopeOf(key)
	other := encoding.AppendChunkTrailer(pngOf(2, 60), id, n)
	require.NoError(t, store.Update(t.Context(), []backend.Scope{{Group: group, Item: item}}, backend.UpdateOptions{},
		func(_ context.Context, txn backend.Txn) error { return txn.Put(key, other) }))
	_, err = dump.Write(t.Context(), io.Discard, source, nil)
	requireDamage(t, err, "shop", "a")
}
