package catalog_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// A one-shot product is made once for a key, and a repetition returns it as it is.
func TestCreateOneShotOnce(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		once := func(account, key string, p catalog.Patch, conds ...catalog.Condition) catalog.Result {
			t.Helper()
			res, err := w.c().CreateOneShotOnce(ctx, account, key, p, conds...)
			require.NoError(t, err)
			return res
		}
		title := withImage(catalog.Patch{Title: catalog.Set("first")})
		first := once(acme, "k", title)
		require.Equal(t, catalog.Created, first.Outcome)
		require.Regexp(t, "^_anon_[A-Z2-7]{26}$", first.Product.ExternalID)
		require.False(t, first.Product.Listed)
		require.Equal(t, 7, first.Product.ValidForDays)

		w.clock.Advance(time.Hour)
		again := once(acme, "k", withImage(catalog.Patch{Title: catalog.Set("other")}), catalog.IfExists())
		require.Equal(t, catalog.Result{Product: first.Product, Outcome: catalog.Unchanged}, again, "neither edited nor used")
		require.Equal(t, first.Product, w.get(first.Product.ExternalID))

		ids := map[string]bool{first.Product.ExternalID: true}
		for _, other := range []struct{ account, key string }{
			{acme, "k2"}, {"other", "k"}, {acme, strings.Repeat("k", 255)}, {"a", "bc"}, {"ab", "c"},
		} {
			res := once(other.account, other.key, title)
			require.Equal(t, catalog.Created, res.Outcome)
			ids[res.Product.ExternalID] = true
		}
		require.Len(t, ids, 6)

		// It is a product like others, and the key makes another when it is gone.
		require.Equal(t, w.now(), w.use(first.Product.ExternalID).LastUsedAt)
		used := once(acme, "k", title)
		require.Equal(t, w.now(), used.Product.LastUsedAt)
		require.NoError(t, w.c().Delete(ctx, acme, first.Product.ExternalID))
		require.Equal(t, catalog.Created, once(acme, "k", title).Outcome)
		w.clock.Advance(7 * day)
		expired := once(acme, "k", title)
		require.Equal(t, catalog.Created, expired.Outcome)
		require.Equal(t, first.Product.ExternalID, expired.Product.ExternalID)
		require.Equal(t, w.now(), expired.Product.CreatedAt)

		// Faults are found though nothing would be done.
		_, err := w.c().CreateOneShotOnce(ctx, acme, "k", catalog.Patch{Title: catalog.Set(strings.Repeat("x", 1001))})
		require.ErrorAs(t, err, new(*catalog.ValidationError))
		_, err = w.c().CreateOneShotOnce(ctx, acme, "new", title, catalog.IfExists())
		require.ErrorIs(t, err, catalog.ErrPreconditionFailed)
		for _, key := range []string{"", strings.Repeat("k", 256), "\xff"} {
			_, err := w.c().CreateOneShotOnce(ctx, acme, key, title)
			var invalid *catalog.ValidationError
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, "key", invalid.Fields[0].Path)
		}
	})
}

// The same key makes the same ID when the store is opened again, and in other
// processes; another store makes another.
func TestKeysOfOneShotsBelongToTheStore(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		res, err := w.c().CreateOneShotOnce(t.Context(), acme, "k", withImage(catalog.Patch{}))
		require.NoError(t, err)
		w.close()
		w.start()
		again, err := w.c().CreateOneShotOnce(t.Context(), acme, "k", withImage(catalog.Patch{}))
		require.NoError(t, err)
		require.Equal(t, res.Product, again.Product)
		other := behindGlass(t, catalog.Options{})
		elsewhere, err := other.c().CreateOneShotOnce(t.Context(), acme, "k", withImage(catalog.Patch{}))
		require.NoError(t, err)
		require.NotEqual(t, res.Product.ExternalID, elsewhere.Product.ExternalID)
	})
}

// However many callers repeat a key at once, one of them creates.
func TestCreateOneShotOnceByMany(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		results := make([]catalog.Result, 8)
		errs := make([]error, len(results))
		var callers sync.WaitGroup
		for i := range results {
			c := w.c()
			callers.Go(func() {
				results[i], errs[i] = c.CreateOneShotOnce(t.Context(), acme, "k", withImage(catalog.Patch{}))
			})
		}
		callers.Wait()
		created := 0
		for i, res := range results {
			require.NoError(t, errs[i])
			if res.Outcome == catalog.Created {
				created++
			}
			require.Equal(t, results[0].Product, res.Product)
		}
		require.Equal(t, 1, created)
	})
}
