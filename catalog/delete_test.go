package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// contract 5: Delete removes a product and all it owns, and nothing else.
func TestDelete(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.upsert("p", catalog.Patch{ValidForDays: catalog.Set(9), Images: imagesOf(pngOf(1, 9, 9), pngOf(2, 600, 600))})
		w.create("p/")
		w.create("q")
		w.use("p")
		require.NoError(t, w.c().Delete(ctx, acme, "p"))
		w.requireGone("p")
		_, err := w.c().Use(ctx, acme, "p")
		require.ErrorIs(t, err, catalog.ErrNotFound)
		_, err = w.c().OpenImage(ctx, acme, "p", 0)
		require.ErrorIs(t, err, catalog.ErrNotFound)
		require.ErrorIs(t, w.c().Delete(ctx, acme, "p"), catalog.ErrNotFound)
		require.ErrorIs(t, w.c().Delete(ctx, acme, "never"), catalog.ErrNotFound)
		require.ErrorIs(t, w.c().Delete(ctx, "other", "q"), catalog.ErrNotFound)
		require.Equal(t, [][]string{{"p/", "q"}}, w.listAll(catalog.ListOptions{Unlisted: true}))
		w.clock.Advance(day)
		w.sweepAll()
		require.Len(t, w.rawKeys(), 4, "record and list entry of two products")

		// Unlisted and generated ones as well.
		w.createInline("i")
		res, err := w.c().CreateOneShot(ctx, acme, withImage(catalog.Patch{}))
		require.NoError(t, err)
		require.NoError(t, w.c().Delete(ctx, acme, "i"))
		require.NoError(t, w.c().Delete(ctx, acme, res.Product.ExternalID))
		require.Len(t, w.rawKeys(), 4)
	})
}

// contract 6 and 7: conditions of Delete; uses do not make them fail.
func TestDeleteConditions(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		old := w.create("p")
		edited := w.upsert("p", catalog.Patch{Title: catalog.Set("t")})
		w.use("p")
		for _, cond := range []catalog.Condition{catalog.IfVersion(old.Version()), catalog.IfVersion(), catalog.IfVersion(catalog.Version{}), catalog.CreateOnly()} {
			require.ErrorIs(t, w.c().Delete(ctx, acme, "p", cond), catalog.ErrPreconditionFailed)
			w.get("p")
		}
		require.ErrorIs(t, w.c().Delete(ctx, acme, "p", catalog.IfExists(), catalog.IfVersion(old.Version())), catalog.ErrPreconditionFailed)
		require.NoError(t, w.c().Delete(ctx, acme, "p", catalog.IfExists(), catalog.IfVersion(old.Version(), edited.Version())))
		for _, cond := range []catalog.Condition{catalog.IfExists(), catalog.IfVersion(edited.Version())} {
			require.ErrorIs(t, w.c().Delete(ctx, acme, "p", cond), catalog.ErrPreconditionFailed, "absent")
		}
		err := w.c().Delete(ctx, acme, "p", catalog.CreateOnly())
		require.ErrorIs(t, err, catalog.ErrNotFound, "absent, as the condition wants it")
		require.NotErrorIs(t, err, catalog.ErrPreconditionFailed)
		w.create("p")
		require.ErrorIs(t, w.c().Delete(ctx, acme, "p", catalog.IfVersion(edited.Version())), catalog.ErrPreconditionFailed, "another product")
	})
}

// contract 5: DeleteAccount removes every product with all it owns, in bounded
// steps, and touches no other account; it may be repeated.
func TestDeleteAccount(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		probe := w.watch()
		const products = 300
		bytes := pngOf(1, 2, 2)
		create := func(account string, products int) {
			var items []catalog.UpsertItem
			for i := range products {
				patch := catalog.Patch{Images: imagesOf(bytes), ValidForDays: catalog.Set(1 + i%3)}
				items = append(items, catalog.UpsertItem{ExternalID: fmt.Sprint(i), Patch: patch})
			}
			for _, res := range w.c().UpsertMany(ctx, account, items) {
				require.NoError(t, res.Err)
			}
		}
		create(acme, products)
		for _, account := range []string{acme + "0", "acm", acme + "\x01", "z"} {
			create(account, 3)
		}
		w.createInline("inline")
		_, err := w.c().CreateOneShot(ctx, acme, withImage(catalog.Patch{}))
		require.NoError(t, err)
		w.use("5")
		w.clock.Advance(day) // a third of them, but not what was used or is inline
		live, err := w.c().Stats(ctx, acme)
		require.NoError(t, err)

		probe.reset()
		removed, err := w.c().DeleteAccount(ctx, acme)
		require.NoError(t, err)
		require.Equal(t, live.Products, removed)
		most := int64(64)
		if w.handles > 1 {
			most = 128 // where processes share the store
		}
		require.LessOrEqual(t, probe.written.Load(), most*8, "keys of one Update")
		require.Equal(t, [][]string{{}}, w.listAll(catalog.ListOptions{Unlisted: true}))
		removed, err = w.c().DeleteAccount(ctx, acme)
		require.NoError(t, err)
		require.Zero(t, removed)
		removed, err = w.c().DeleteAccount(ctx, "nobody")
		require.NoError(t, err)
		require.Zero(t, removed)
		for _, account := range []string{acme + "0", "acm", acme + "\x01", "z"} {
			s, err := w.c().Stats(ctx, account)
			require.NoError(t, err)
			require.Equal(t, 2, s.Products, "%q: its own have expired, no other", account)
		}
		w.clock.Advance(20 * day)
		w.sweepAll()
		w.clock.Advance(day)
		w.sweepAll()
		require.Empty(t, w.rawKeys())
		_, err = w.c().DeleteAccount(ctx, "")
		requireFaults(t, err, map[string]catalog.Code{"account": catalog.CodeValidationFailed})
	})
}

// A damaged record keeps neither its account from being deleted nor its image
// bytes from going; what a newer release has written stays.
func TestDeleteAccountWithUnreadableRecords(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for _, id := range []string{"damaged", "empty", "newer", "sound"} {
			w.upsert(id, catalog.Patch{Images: imagesOf(pngOf(1, 9, 9), pngOf(2, 600, 600)), ValidForDays: catalog.Set(9)})
		}
		w.write(func(txn backend.Txn) error {
			newer := encoding.AppendRecord(nil, storedRecord(t, txn, "newer"))
			newer[3]++ // the schema, behind the length
			return errors.Join(
				txn.Put(encoding.AppendProductKey(nil, acme, "damaged"), []byte("no record at all")),
				txn.Put(encoding.AppendProductKey(nil, acme, "empty"), nil),
				txn.Put(encoding.AppendProductKey(nil, acme, "newer"), newer),
			)
		})
		_, err := w.c().DeleteAccount(t.Context(), acme)
		require.ErrorIs(t, err, encoding.ErrNewerSchema)

		w.write(func(txn backend.Txn) error {
			return txn.Put(encoding.AppendProductKey(nil, acme, "newer"), []byte{0xc1})
		})
		removed, err := w.c().DeleteAccount(t.Context(), acme)
		require.NoError(t, err)
		require.Equal(t, 1, removed)
		for range 2 { // the products, then their bytes
			w.clock.Advance(20 * day)
			w.sweepAll()
		}
		require.Empty(t, w.rawKeys())
	})
}

// contract 5: after a failure some products may be gone, each whole, and the
// call may be repeated.
func TestDeleteAccountIsRepeatable(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	const products = 200
	for i := range products {
		w.create(fmt.Sprintf("%03d", i))
	}
	left := 2
	fn := func(context.Context, []backend.Scope, backend.UpdateOptions) error {
		if left--; left < 0 {
			return backend.ErrUnavailable
		}
		return nil
	}
	w.probe.beforeUpdate.Store(&fn)
	removed, err := w.c().DeleteAccount(t.Context(), acme)
	require.ErrorIs(t, err, catalog.ErrUnavailable)
	w.probe.beforeUpdate.Store(nil)
	require.Equal(t, 128, removed)
	w.soundReport()
	rest := slices.Concat(w.listAll(catalog.ListOptions{})...)
	require.Len(t, rest, products-removed)
	removed, err = w.c().DeleteAccount(t.Context(), acme)
	require.NoError(t, err)
	require.Equal(t, len(rest), removed)
}

// contract 5: every product whose creation was acknowledged before the call is
// removed; those created beside it are whole, whether they stay or go.
func TestDeleteAccountBesideCreates(t *testing.T) {
	pngs := [][]byte{pngOf(1, 3, 3), pngOf(2, 3, 3), pngOf(3, 3, 3)}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		for round := range 2 {
			before := map[catalog.Version]bool{}
			for i := range 100 {
				before[w.upsert(fmt.Sprint(i), catalog.Patch{Images: imagesOf(pngs[0])}).Version()] = true
			}
			var creators sync.WaitGroup
			for n := range 3 {
				c := w.c()
				creators.Go(func() {
					for i := range 30 {
						id := fmt.Sprint((i*7 + n*31 + round) % 150)
						_, err := c.Upsert(ctx, acme, id, catalog.Patch{Title: catalog.Set(fmt.Sprint(n)), Images: imagesOf(pngs[n])})
						if err == nil {
							_, err = c.Use(ctx, acme, id)
						}
						if err != nil && !errors.Is(err, catalog.ErrNotFound) {
							t.Errorf("upsert beside the call: %v", err)
						}
					}
				})
			}
			_, err := w.c().DeleteAccount(ctx, acme)
			require.NoError(t, err)
			creators.Wait()
			for p, err := range w.c().All(ctx, acme, catalog.AllOptions{}) {
				require.NoError(t, err)
				require.NotEmpty(t, p.Title, "created before the call and never edited after it")
				require.False(t, before[p.Version()])
				r, err := w.c().OpenImage(ctx, acme, p.ExternalID, 0)
				require.NoError(t, err)
				got, err := io.ReadAll(r)
				require.NoError(t, err)
				require.True(t, slices.ContainsFunc(pngs, func(png []byte) bool { return bytes.Equal(got, png) }))
			}
			w.soundReport()
			_, err = w.c().DeleteAccount(ctx, acme)
			require.NoError(t, err)
			require.Empty(t, w.listAll(catalog.ListOptions{Unlisted: true})[0])
		}
	})
}
