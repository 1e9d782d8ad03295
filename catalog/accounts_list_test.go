package catalog_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
)

func accountsOf(t *testing.T, c *catalog.Catalog, after string) (accounts []string) {
	t.Helper()
	for account, err := range c.Accounts(t.Context(), catalog.AccountsOptions{After: after}) {
		require.NoError(t, err)
		accounts = append(accounts, account)
	}
	return accounts
}

// TestAccounts: every account that has a product, whatever its name, in byte order,
// and behind any other.
func TestAccounts(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		require.Empty(t, accountsOf(t, w.c(), ""))
		rng := seededRand(t)
		want := []string{"a", "a/", "a\x00", "a\x00\x01", "a\x01", "a\x00ÿ", "z"}
		for range 20 {
			want = append(want, randomName(rng, true))
		}
		for _, account := range want {
			_, err := w.c().Upsert(t.Context(), account, "p", withImage(catalog.Patch{}))
			require.NoError(t, err)
		}
		_, err := w.c().StageImage(t.Context(), "staged only", bytes.NewReader(pngOf(1, 4, 4)))
		require.NoError(t, err)
		slices.Sort(want)
		want = slices.Compact(want)
		require.Equal(t, want, accountsOf(t, w.c(), ""))
		for range 10 {
			after := randomName(rng, true)
			from, found := slices.BinarySearch(want, after)
			if found {
				from++
			}
			require.Equal(t, want[from:], append([]string{}, accountsOf(t, w.c(), after)...), "after %q", after)
		}
		_, err = w.c().DeleteAccount(t.Context(), want[0])
		require.NoError(t, err)
		require.Equal(t, want[1:], accountsOf(t, w.c(), ""))
		for range w.c().Accounts(t.Context(), catalog.AccountsOptions{}) {
			break // a loop may end early
		}
	})
}

// TestAccountsDoNotWalkProducts: what an account costs does not depend on what it
// has.
func TestAccountsDoNotWalkProducts(t *testing.T) {
	w := memoryWorld(t)
	for account := range 3 {
		for id := range 500 {
			_, err := w.c().Upsert(t.Context(), fmt.Sprint(account), fmt.Sprint(id), withImage(catalog.Patch{}))
			require.NoError(t, err)
		}
	}
	p := w.watch()
	p.reset()
	require.Len(t, accountsOf(t, w.c(), ""), 3)
	require.LessOrEqual(t, p.entries.Load(), int64(4))
}

func TestAccountsOfAClosedCatalog(t *testing.T) {
	c, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	steps := 0
	for account, err := range c.Accounts(t.Context(), catalog.AccountsOptions{}) {
		require.ErrorIs(t, err, catalog.ErrClosed)
		require.Empty(t, account)
		steps++
	}
	require.Equal(t, 1, steps)
}
