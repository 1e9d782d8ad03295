package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
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

// brokenKeys is a backend on which the keys of the product space that are between two
// accounts can't be read.
type brokenKeys struct {
	backend.Backend
	after, before string
}

func (b brokenKeys) Unwrap() backend.Backend { return b.Backend }

func (b brokenKeys) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		said := false
		for e, err := range b.Backend.Scan(ctx, r, o) {
			account, _, failed := encoding.DecodeProductKey(e.Key)
			if err != nil || failed != nil || account <= b.after || account >= b.before {
				if !yield(e, err) {
					return
				}
				continue
			}
			if said {
				continue
			}
			said = true
			broken := &backend.DamageError{Range: backend.Range{Start: slices.Clone(e.Key), End: append(slices.Clone(e.Key), 0)}, Cause: errors.New("broken")}
			if !yield(backend.Entry{}, broken) || !o.PastDamage {
				return
			}
		}
	}
}

// Accounts that can't be read are not passed by in silence.
func TestAccountsPastDamage(t *testing.T) {
	for _, c := range []struct {
		after, before, text string
		read                []string // behind the damage
	}{
		{"b", "e", `accounts after "b" and before "e" can't be read`, []string{"e", "f"}},
		{"", "c", `accounts before "c" can't be read`, []string{"c", "d", "e", "f"}},
		{"e", "z", `accounts after "e" can't be read`, nil},
		{"", "z", `accounts can't be read`, nil},
	} {
		w := memoryWorld(t)
		all := []string{"a", "b", "c", "d", "e", "f"}
		for _, account := range all {
			_, err := w.c().Upsert(t.Context(), account, "p", withImage(catalog.Patch{}))
			require.NoError(t, err)
		}
		w.decorate(func(b backend.Backend) backend.Backend { return brokenKeys{b, c.after, c.before} })
		for _, past := range []bool{false, true} {
			var got []string
			var met []error
			for account, err := range w.c().Accounts(t.Context(), catalog.AccountsOptions{PastDamage: past}) {
				if err != nil {
					met = append(met, err)
					continue
				}
				got = append(got, account)
			}
			want := slices.DeleteFunc(slices.Clone(all), func(a string) bool { return a > c.after })
			if past {
				want = append(want, c.read...)
			}
			require.Equal(t, want, append([]string{}, got...))
			require.Len(t, met, 1)
			require.ErrorIs(t, met[0], catalog.ErrDamaged)
			var damage *catalog.AccountsDamageError
			require.ErrorAs(t, met[0], &damage)
			require.Equal(t, c.text, damage.Error())
			require.ErrorIs(t, w.c().Damage(), catalog.ErrDamaged)
		}
		w.decorate(func(b backend.Backend) backend.Backend { return b.(brokenKeys).Backend })
	}
}
