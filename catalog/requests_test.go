package catalog_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// countingBackend counts the reads inside Updates of products, each a request where
// the store is a server.
type countingBackend struct {
	backend.Backend
	gets, many atomic.Int64
}

func (b *countingBackend) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if meta, _ := encoding.MetaScope(""); scopes[0].Group == meta {
		return b.Backend.Update(ctx, scopes, o, fn) // of the sweeper, in the background
	}
	return b.Backend.Update(ctx, scopes, o, func(ctx context.Context, txn backend.Txn) error {
		b.gets.Store(0) // of the run that counts
		b.many.Store(0)
		return fn(ctx, countingTxn{txn, b})
	})
}

type countingTxn struct {
	backend.Txn
	b *countingBackend
}

func (t countingTxn) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	t.b.gets.Add(1)
	return t.Txn.Get(ctx, key, fn)
}

func (t countingTxn) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	t.b.many.Add(1)
	return t.Txn.GetMany(ctx, keys, fn)
}

// TestRequestsOfRemovals: what is removed together is read together, where the
// engine is not of this process.
func TestRequestsOfRemovals(t *testing.T) {
	for name, remove := range map[string]func(*catalog.Catalog, *ttl.ManualClock) error{
		"sweep": func(c *catalog.Catalog, clock *ttl.ManualClock) error {
			clock.Advance(3 * day)
			_, err := c.Sweep(context.Background())
			return err
		},
		"account": func(c *catalog.Catalog, _ *ttl.ManualClock) error {
			_, err := c.DeleteAccount(context.Background(), "acme")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			clock := ttl.NewManualClock(epoch)
			b := &countingBackend{Backend: memory.New(&memory.Options{Shared: true})}
			c, err := catalog.Open(t.Context(), b, &catalog.Options{Clock: clock})
			require.NoError(t, err)
			defer c.Close()
			const products = 20 // one batch
			for i := range products {
				_, err := c.Upsert(t.Context(), "acme", fmt.Sprint(i), catalog.Patch{
					Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1.jpg"}}), ValidForDays: catalog.Set(1),
				})
				require.NoError(t, err)
			}
			var most, together atomic.Int64
			require.NoError(t, remove(c, clock))
			most.Store(b.gets.Load())
			together.Store(b.many.Load())
			require.Zero(t, most.Load(), "reads one by one in the last Update")
			for range c.All(t.Context(), "acme", catalog.AllOptions{Unlisted: true}) {
				require.Fail(t, "not removed")
			}
		})
	}
}
