package catalog_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

const tick = time.Millisecond

// contract 4: "expired" means now >= expiresAt, to the millisecond, for every
// operation that looks for a product.
func TestExpiryIsExact(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		operations := []struct {
			name string
			find func(id string) (bool, error)
		}{
			{"get", func(id string) (bool, error) {
				_, err := w.c().Get(ctx, acme, id)
				return err == nil, err
			}},
			{"image", func(id string) (bool, error) {
				_, err := w.c().OpenImage(ctx, acme, id, 0)
				return err == nil, err
			}},
			{"delete", func(id string) (bool, error) {
				err := w.c().Delete(ctx, acme, id)
				return err == nil, err
			}},
			{"use", func(id string) (bool, error) {
				_, err := w.c().Use(ctx, acme, id)
				return err == nil, err
			}},
			{"touch", func(id string) (bool, error) {
				_, err := w.c().Touch(ctx, acme, id)
				return err == nil, err
			}},
			{"list", func(id string) (bool, error) {
				page, err := w.c().List(ctx, acme, catalog.ListOptions{Prefix: id})
				require.NoError(t, err)
				return len(page.Products) == 1, catalog.ErrNotFound
			}},
			{"all", func(id string) (bool, error) {
				n := 0
				for _, err := range w.c().All(ctx, acme, catalog.AllOptions{Prefix: id}) {
					require.NoError(t, err)
					n++
				}
				return n == 1, catalog.ErrNotFound
			}},
			{"upsert", func(id string) (bool, error) {
				res, err := w.c().Upsert(ctx, acme, id, withImage(catalog.Patch{}))
				require.NoError(t, err)
				return res.Outcome != catalog.Created, catalog.ErrNotFound
			}},
			{"inline", func(id string) (bool, error) {
				res, err := w.c().UpsertInline(ctx, acme, id, withImage(catalog.Patch{}))
				require.NoError(t, err)
				return res.Outcome != catalog.Created, catalog.ErrNotFound
			}},
			{"create-only", func(id string) (bool, error) {
				_, err := w.c().Upsert(ctx, acme, id, withImage(catalog.Patch{}), catalog.CreateOnly())
				if err != nil {
					require.ErrorIs(t, err, catalog.ErrPreconditionFailed)
				}
				return err != nil, catalog.ErrNotFound
			}},
		}
		deadline := w.now().Add(day)
		for _, op := range operations {
			for _, id := range []string{"a-" + op.name, "b-" + op.name} {
				p := w.upsert(id, catalog.Patch{ValidForDays: catalog.Set(1), Images: imagesOf(pngOf(1, 4, 4))})
				require.Equal(t, deadline, p.ExpiresAt, "anchored at the creation")
			}
		}
		w.clock.Advance(day - tick)
		for _, op := range operations {
			// Its last millisecond, whatever fraction of it has passed.
			found, _ := op.find("a-" + op.name)
			require.True(t, found, "%s one millisecond before the deadline", op.name)
		}
		w.clock.Advance(tick)
		for _, op := range operations {
			found, err := op.find("b-" + op.name)
			require.False(t, found, "%s at the deadline", op.name)
			require.ErrorIs(t, err, catalog.ErrNotFound)
		}
		stats, err := w.c().Stats(ctx, acme)
		require.NoError(t, err)
		// Renewed before: by a use, a touch and an inline upsert. Created at the deadline:
		// three. Of those before, "a-upsert" and others have expired.
		require.Equal(t, 6, stats.Products)
	})
}

// contract 4: "now" is cut to milliseconds.
func TestFractionsOfMilliseconds(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.clock.Advance(999 * time.Microsecond)
		p := w.createFor("p", 1)
		require.Equal(t, epoch, p.CreatedAt)
		require.Equal(t, epoch.Add(day), p.ExpiresAt)
		w.clock.Advance(day - tick)
		w.get("p") // at deadline - 1 µs
		w.clock.Advance(time.Microsecond)
		w.requireGone("p")
	})
}

// contract 4: the anchor is the latest of creation, last use, and the last
// upsert that carried a number. Other edits do not move it.
func TestAnchors(t *testing.T) {
	const lifetime = 10 * day
	tests := []struct {
		name  string
		do    func(w *world) error
		moves bool
	}{
		{"use", func(w *world) error { w.use("p"); return nil }, true},
		{"touch", func(w *world) error { w.touch("p"); return nil }, true},
		{"the same number", func(w *world) error {
			w.upsert("p", catalog.Patch{ValidForDays: catalog.Set(10)})
			return nil
		}, true},
		{"a number and an edit", func(w *world) error {
			w.upsert("p", catalog.Patch{ValidForDays: catalog.Set(10), Title: catalog.Set("t")})
			return nil
		}, true},
		{"inline upsert", func(w *world) error {
			_, err := w.c().UpsertInline(w.t.Context(), acme, "p", catalog.Patch{Title: catalog.Set("t")})
			return err
		}, true},
		{"inline upsert without effect", func(w *world) error {
			_, err := w.c().UpsertInline(w.t.Context(), acme, "p", catalog.Patch{})
			return err
		}, true},
		{"title", func(w *world) error { w.upsert("p", catalog.Patch{Title: catalog.Set("t")}); return nil }, false},
		{"images", func(w *world) error { w.upsert("p", catalog.Patch{Images: imagesOf(pngOf(1, 2, 2))}); return nil }, false},
		{"metadata", func(w *world) error {
			w.upsert("p", catalog.Patch{Metadata: catalog.Set(json.RawMessage(`1`))})
			return nil
		}, false},
		{"nothing", func(w *world) error { w.upsert("p", catalog.Patch{}); return nil }, false},
		{"refused", func(w *world) error {
			_, err := w.c().Upsert(w.t.Context(), acme, "p", catalog.Patch{ValidForDays: catalog.Set(10)}, catalog.CreateOnly())
			require.ErrorIs(w.t, err, catalog.ErrPreconditionFailed)
			return nil
		}, false},
		{"invalid", func(w *world) error {
			_, err := w.c().Upsert(w.t.Context(), acme, "p", catalog.Patch{ValidForDays: catalog.Set(366)})
			require.Error(w.t, err)
			return nil
		}, false},
	}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for _, test := range tests {
			w.createFor("p", 10)
			before := w.now()
			w.clock.Advance(3 * day)
			require.NoError(t, test.do(w), test.name)
			want := before.Add(lifetime)
			if test.moves {
				want = w.now().Add(lifetime)
			}
			for _, when := range []string{"at once", "after a restart"} {
				require.Equal(t, want, w.get("p").ExpiresAt, "%s, %s", test.name, when)
				w.reopen()
			}
			require.NoError(t, w.c().Delete(t.Context(), acme, "p"))
		}
	})
}

// contract 4: after a use and a number, in either order, the latest anchors.
func TestLatestAnchorWins(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.createFor("p", 10)
		w.clock.Advance(day)
		w.use("p")
		w.clock.Advance(day)
		p := w.upsert("p", catalog.Patch{ValidForDays: catalog.Set(20)})
		require.Equal(t, w.now().Add(20*day), p.ExpiresAt)
		require.Equal(t, w.now().Add(-day), p.LastUsedAt, "the number is not a use")
		w.clock.Advance(day)
		require.Equal(t, w.now().Add(20*day), w.use("p").ExpiresAt)
		// A shorter lifetime counts from now, not from an older anchor.
		w.clock.Advance(10 * day)
		p = w.upsert("p", catalog.Patch{ValidForDays: catalog.Set(1)})
		require.Equal(t, w.now().Add(day), p.ExpiresAt)
		w.clock.Advance(day)
		w.requireGone("p")
	})
}

// contract 4: null keeps forever, and the clock starts again with a number.
func TestForever(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		null := catalog.Patch{ValidForDays: catalog.Null[int]()}
		first := w.create("p")
		require.Zero(t, first.ExpiresAt)
		require.Zero(t, first.ValidForDays)

		// null on a product kept forever is no change.
		w.clock.Advance(time.Hour)
		res, err := w.c().Upsert(t.Context(), acme, "p", null)
		require.NoError(t, err)
		require.Equal(t, catalog.Unchanged, res.Outcome)
		require.Equal(t, first, res.Product)
		require.Equal(t, first, w.get("p"))

		// A use sets lastUsedAt and gives no deadline.
		used := w.use("p")
		require.Equal(t, w.now(), used.LastUsedAt)
		require.Zero(t, used.ExpiresAt)

		p := w.upsert("p", catalog.Patch{ValidForDays: catalog.Set(1)})
		require.NotEqual(t, first.Version(), p.Version())
		require.Equal(t, w.now().Add(day), p.ExpiresAt)
		res, err = w.c().Upsert(t.Context(), acme, "p", null)
		require.NoError(t, err)
		require.Equal(t, catalog.Edited, res.Outcome)
		require.Zero(t, res.Product.ExpiresAt)
		w.clock.Advance(1000 * day)
		w.sweepAll()
		require.Zero(t, w.get("p").ExpiresAt)
		require.Equal(t, 1, len(w.listAll(catalog.ListOptions{})[0]))
	})
}

// contract 4: renewal moves expiresAt durably; updatedAt and version stay and
// the result says unchanged.
func TestRenewal(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		before := w.createFor("p", 30)
		w.clock.Advance(10 * day)
		res, err := w.c().Upsert(t.Context(), acme, "p", catalog.Patch{ValidForDays: catalog.Set(30)}, catalog.IfVersion(before.Version()))
		require.NoError(t, err)
		require.Equal(t, catalog.Unchanged, res.Outcome)
		require.Equal(t, w.now().Add(30*day), res.Product.ExpiresAt)
		require.Equal(t, before.UpdatedAt, res.Product.UpdatedAt)
		require.Equal(t, before.Version(), res.Product.Version())
		require.NotEqual(t, before.ETag(), res.Product.ETag(), "the representation changed")
		require.Zero(t, res.Product.LastUsedAt, "renewal is no use")
		require.Equal(t, res.Product, w.get("p"))

		// Together with an edit it is an edit.
		w.clock.Advance(day)
		res, err = w.c().Upsert(t.Context(), acme, "p", catalog.Patch{ValidForDays: catalog.Set(30), Title: catalog.Set("x")})
		require.NoError(t, err)
		require.Equal(t, catalog.Edited, res.Outcome)
		require.Equal(t, w.now(), res.Product.UpdatedAt)
		require.Equal(t, w.now().Add(30*day), res.Product.ExpiresAt)
		w.reopen()
		require.Equal(t, res.Product, w.get("p"))
		w.clock.Advance(30*day - tick)
		w.get("p")
		w.clock.Advance(tick)
		w.requireGone("p")
	})
}

// contract 4: an upsert of an expired ID creates, and nothing of the old one
// shows.
func TestUpsertOfAnExpiredProductCreates(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, swept := range []bool{false, true} {
			old := w.upsert("p", catalog.Patch{
				Title: catalog.Set("old"), Metadata: catalog.Set(json.RawMessage(`{"a":1}`)),
				ValidForDays: catalog.Set(1), Images: imagesOf(pngOf(1, 9, 9)),
			})
			w.use("p")
			w.clock.Advance(2 * day)
			if swept {
				w.sweepAll()
			}
			_, err := w.c().Upsert(ctx, acme, "p", withImage(catalog.Patch{}), catalog.IfVersion(old.Version()))
			require.ErrorIs(t, err, catalog.ErrPreconditionFailed)
			_, err = w.c().Upsert(ctx, acme, "p", withImage(catalog.Patch{}), catalog.IfExists())
			require.ErrorIs(t, err, catalog.ErrPreconditionFailed)
			_, err = w.c().Upsert(ctx, acme, "p", catalog.Patch{Title: catalog.Set("x")})
			requireFaults(t, err, map[string]catalog.Code{"images": catalog.CodeImagesRequired})
			// The bytes of the old one have no owner any more.
			_, err = w.c().Upsert(ctx, acme, "p", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: old.Images[0].SourceURL}})})
			require.Error(t, err)

			res, err := w.c().UpsertInline(ctx, acme, "p", withImage(catalog.Patch{}), catalog.CreateOnly())
			require.NoError(t, err)
			require.Equal(t, catalog.Created, res.Outcome)
			p := res.Product
			require.False(t, p.Listed, "listed as a first inline creation is")
			require.Equal(t, 15, p.ValidForDays)
			require.Empty(t, p.Title)
			require.Nil(t, p.Metadata)
			require.Equal(t, w.now(), p.CreatedAt)
			require.Equal(t, w.now(), p.UpdatedAt)
			require.Equal(t, w.now(), p.LastUsedAt)
			require.Equal(t, w.now().Add(15*day), p.ExpiresAt)
			require.NotEqual(t, old.Version(), p.Version())
			require.Empty(t, w.listAll(catalog.ListOptions{})[0])
			require.NoError(t, w.c().Delete(ctx, acme, "p"))
		}
	})
}

// contract 4: a use that an earlier use of an expired product left pending does
// not reach the product that came after.
func TestUsesDoNotOutliveTheirProduct(t *testing.T) {
	ends := map[string]func(w *world){
		"expiry": func(w *world) { w.clock.Advance(2 * day) },
		"delete": func(w *world) { require.NoError(w.t, w.c().Delete(w.t.Context(), acme, "p")) },
		"delete of the account": func(w *world) {
			n, err := w.c().DeleteAccount(w.t.Context(), acme)
			require.NoError(w.t, err)
			require.Equal(w.t, 1, n)
		},
	}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for name, end := range ends {
			w.createFor("p", 1)
			w.use("p")
			end(w)
			fresh := w.createFor("p", 5)
			require.Zero(t, fresh.LastUsedAt, name)
			require.Equal(t, fresh, w.get("p"), name)
			require.Equal(t, w.now().Add(5*day), fresh.ExpiresAt, name)
			w.clock.Advance(5 * time.Second)
			w.reopen()
			require.Equal(t, fresh, w.get("p"), "%s, after a fold", name)
			// and it can be used itself.
			require.Equal(t, w.now(), w.use("p").LastUsedAt)
			require.Equal(t, w.now(), w.get("p").LastUsedAt)
			require.NoError(t, w.c().Delete(t.Context(), acme, "p"))
		}
	})
}

// contract 4: a use is visible to every later read at once.
func TestUseIsVisibleAtOnce(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		before := w.createFor("p", 3)
		w.clock.Advance(day)
		used := w.use("p")
		require.Equal(t, w.now(), used.LastUsedAt)
		require.Equal(t, w.now().Add(3*day), used.ExpiresAt)
		require.Equal(t, before.UpdatedAt, used.UpdatedAt)
		require.Equal(t, before.Version(), used.Version())
		require.NotEqual(t, before.ETag(), used.ETag())
		require.Equal(t, used, w.get("p"))
		page, err := w.c().List(ctx, acme, catalog.ListOptions{})
		require.NoError(t, err)
		require.Equal(t, []*catalog.Product{used}, page.Products)
		for p, err := range w.c().All(ctx, acme, catalog.AllOptions{}) {
			require.NoError(t, err)
			require.Equal(t, used, p)
		}
		// An If-Match from before the use holds, and an upsert keeps the use.
		edited := w.upsert("p", catalog.Patch{Title: catalog.Set("t")}, catalog.IfVersion(before.Version()))
		require.Equal(t, used.LastUsedAt, edited.LastUsedAt)
		require.Equal(t, used.ExpiresAt, edited.ExpiresAt)
		unchanged := w.upsert("p", catalog.Patch{Title: catalog.Set("t")})
		require.Equal(t, edited, unchanged)
		// It lives by the use beyond its first deadline.
		w.clock.Advance(2*day + time.Hour)
		require.Equal(t, edited, w.get("p"))
		w.sweepAll()
		require.Equal(t, edited, w.get("p"))
	})
}

// contract 4: stored times never go back when the clock does.
func TestTimesNeverGoBack(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.clock.Advance(10 * day)
		w.createFor("p", 30)
		high := w.use("p")
		w.clock.Leap(-5 * day)

		// Within one catalog time stands still.
		fresh := w.create("fresh")
		require.False(t, fresh.CreatedAt.Before(high.CreatedAt))
		// Another opening lives by the clock that it has.
		w.reopen()
		require.Equal(t, high, w.get("p"))
		for name, do := range map[string]func() *catalog.Product{
			"use": func() *catalog.Product { return w.use("p") },
			"touch": func() *catalog.Product {
				require.Equal(t, high.ExpiresAt, w.touch("p"))
				return w.get("p")
			},
			"renewal": func() *catalog.Product { return w.upsert("p", catalog.Patch{ValidForDays: catalog.Set(30)}) },
			"edit":    func() *catalog.Product { return w.upsert("p", catalog.Patch{Title: catalog.Set("t")}) },
			"inline": func() *catalog.Product {
				res, err := w.c().UpsertInline(t.Context(), acme, "p", catalog.Patch{Title: catalog.Set("u")})
				require.NoError(t, err)
				return res.Product
			},
		} {
			p := do()
			for _, p := range []*catalog.Product{p, w.get("p")} {
				require.Equal(t, high.CreatedAt, p.CreatedAt, name)
				require.Equal(t, high.LastUsedAt, p.LastUsedAt, name)
				require.Equal(t, high.ExpiresAt, p.ExpiresAt, name)
				require.False(t, p.UpdatedAt.Before(high.UpdatedAt), name)
			}
		}
		w.reopen()
		require.Equal(t, high.ExpiresAt, w.get("p").ExpiresAt)
		// A product whose time begins now counts from now.
		require.Equal(t, w.now().Add(day), w.createFor("late", 1).ExpiresAt)
		w.clock.Advance(day)
		w.requireGone("late")
		w.sweepAll()
		require.Len(t, w.rawKeys(), 5, "p: record, list, expiry; fresh: record, list")
	})
}
