package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
)

// doomedBackend has every callback of an Update of a whole group run before the one
// that counts, over a state that lacks some of the entries.
type doomedBackend struct{ backend.Backend }

var errDoomed = errors.New("the run does not count")

func (b doomedBackend) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if scopes[0].Item == "" {
		err := b.Backend.Update(ctx, scopes, o, func(ctx context.Context, txn backend.Txn) error {
			return errors.Join(errDoomed, fn(ctx, sparseTxn{txn}))
		})
		if !errors.Is(err, errDoomed) {
			return err
		}
	}
	return b.Backend.Update(ctx, scopes, o, fn)
}

// sparseTxn scans two of three entries.
type sparseTxn struct{ backend.Txn }

func (t sparseTxn) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		n := 0
		for e, err := range t.Txn.Scan(ctx, r, o) {
			if n++; err == nil && n%3 == 0 {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// TestDeleteAccountAfterDoomedRuns: the Updates that follow begin where a run said, and
// the one that counts may have come less far.
func TestDeleteAccountAfterDoomedRuns(t *testing.T) {
	for name, o := range map[string]*memory.Options{"exclusive": nil, "shared": {Shared: true}} {
		t.Run(name, func(t *testing.T) {
			b := memory.New(o)
			c, err := catalog.Open(t.Context(), doomedBackend{b}, nil)
			require.NoError(t, err)
			defer func() { require.NoError(t, c.Close()) }()
			const products = 700
			items := make([]catalog.UpsertItem, products)
			for i := range items {
				items[i] = catalog.UpsertItem{ExternalID: fmt.Sprintf("product-%04d", i), Patch: catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://example.com/1.jpg"}})}}
			}
			for _, r := range c.UpsertMany(t.Context(), "account", items) {
				require.NoError(t, r.Err)
			}
			n, err := c.DeleteAccount(t.Context(), "account")
			require.NoError(t, err)
			require.Equal(t, products, n)
			page, err := c.List(t.Context(), "account", catalog.ListOptions{})
			require.NoError(t, err)
			require.Empty(t, page.Products)
		})
	}
}
