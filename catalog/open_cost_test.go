package catalog_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// Opening does not read the store: what it reads is the same however much is
// stored, with all that the background does at first.
func TestOpeningDoesNotReadTheStore(t *testing.T) {
	open := func(products int) int64 {
		store := memory.New(nil)
		fill(t, store, products)
		p := new(probe)
		clock := ttl.NewManualClock(epoch)
		c, err := catalog.Open(t.Context(), &probed{store, p}, &catalog.Options{Clock: clock})
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		_, err = c.Sweep(t.Context())
		require.NoError(t, err)
		read := p.gets.Load() + p.entries.Load()
		found, err := c.Get(t.Context(), acme, fmt.Sprint(products-1))
		require.NoError(t, err)
		require.False(t, found.ExpiresAt.IsZero())
		return read
	}
	few := open(100)
	require.Equal(t, few, open(100_000))
	require.LessOrEqual(t, few, int64(10))
}

// fill writes so many products with lifetimes of a day and more into a store.
func fill(t *testing.T, store *memory.Store, products int) {
	scopes := []backend.Scope{{Group: encoding.AccountScope(acme)}}
	err := store.Update(t.Context(), scopes, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
		var key, value []byte
		for i := range products {
			r := encoding.Record{
				Listed: true, Incarnation: uint64(i), Edit: 1, Revision: 1,
				CreatedAt: epoch.UnixMilli(), UpdatedAt: epoch.UnixMilli(), LastUsedAt: encoding.None, Anchor: epoch.UnixMilli(),
				ValidForDays: 1 + i%365, Account: acme, ID: fmt.Sprint(i),
				Images: []encoding.Image{{URL: "https://cdn.example/front.jpg"}},
			}
			r.IndexedAt = r.ExpiresAt()
			key = encoding.AppendProductKey(key[:0], acme, r.ID)
			value = encoding.AppendRecord(value[:0], &r)
			if err := txn.Put(key, value); err != nil {
				return err
			}
			if err := txn.Put(encoding.AppendListedKey(key[:0], acme, r.ID), encoding.AppendListedValue(nil)); err != nil {
				return err
			}
			e := encoding.Expiry{Deadline: r.IndexedAt, Kind: encoding.ExpiryProduct, Account: acme, ID: r.ID}
			entry := encoding.AppendExpiryValue(nil, encoding.ExpiryValue{})
			if err := txn.Put(encoding.AppendExpiryKey(key[:0], e), entry); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
}
