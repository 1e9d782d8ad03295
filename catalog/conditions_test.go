package catalog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// contract 7: conditions of upserts and deletes, on products that live, are
// absent or have expired.
func TestConditions(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		old := w.create("elsewhere").Version() // of another product
		n := 0
		for _, state := range []string{"live", "absent", "expired", "swept", "deleted", "created again"} {
			t.Run(state, func(t *testing.T) {
				// fresh returns an ID in the state, with the version to be named.
				fresh := func() (string, catalog.Version) {
					n++
					id := fmt.Sprint(state, " ", n)
					if state == "absent" {
						return id, old
					}
					p := w.upsert(id, withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
					switch state {
					case "expired":
						w.clock.Advance(day)
					case "swept":
						w.clock.Advance(day + time.Hour)
						w.sweep()
					case "deleted":
						require.NoError(t, w.c().Delete(ctx, acme, id))
					case "created again":
						require.NoError(t, w.c().Delete(ctx, acme, id))
						w.create(id)
					}
					return id, p.Version()
				}
				lives := state == "live" || state == "created again"
				for _, tt := range []struct {
					name  string
					conds func(v catalog.Version) []catalog.Condition
					holds bool
				}{
					{"none", func(catalog.Version) []catalog.Condition { return nil }, true},
					{"the zero Condition", func(catalog.Version) []catalog.Condition { return []catalog.Condition{{}} }, true},
					{"its version", func(v catalog.Version) []catalog.Condition { return []catalog.Condition{catalog.IfVersion(v)} }, state == "live"},
					{"one of several versions", func(v catalog.Version) []catalog.Condition {
						return []catalog.Condition{catalog.IfVersion(old, v, catalog.Version{})}
					}, state == "live"},
					{"another version", func(catalog.Version) []catalog.Condition { return []catalog.Condition{catalog.IfVersion(old)} }, false},
					{"the zero version", func(catalog.Version) []catalog.Condition {
						return []catalog.Condition{catalog.IfVersion(catalog.Version{})}
					}, false},
					{"no version", func(catalog.Version) []catalog.Condition { return []catalog.Condition{catalog.IfVersion()} }, false},
					{"exists", func(catalog.Version) []catalog.Condition { return []catalog.Condition{catalog.IfExists()} }, lives},
					{"create only", func(catalog.Version) []catalog.Condition { return []catalog.Condition{catalog.CreateOnly()} }, !lives},
					{"all must hold", func(v catalog.Version) []catalog.Condition {
						return []catalog.Condition{catalog.IfVersion(v), catalog.CreateOnly()}
					}, false},
				} {
					patch := withImage(catalog.Patch{Title: catalog.Set("new")})
					for way, do := range map[string]func(id string, conds []catalog.Condition) (catalog.Result, error){
						"Upsert": func(id string, conds []catalog.Condition) (catalog.Result, error) {
							return w.c().Upsert(ctx, acme, id, patch, conds...)
						},
						"UpsertInline": func(id string, conds []catalog.Condition) (catalog.Result, error) {
							return w.c().UpsertInline(ctx, acme, id, patch, conds...)
						},
						"UpsertMany": func(id string, conds []catalog.Condition) (catalog.Result, error) {
							r := w.c().UpsertMany(ctx, acme, []catalog.UpsertItem{{ExternalID: id, Patch: patch, Conditions: conds}})[0]
							return r.Result, r.Err
						},
					} {
						id, v := fresh()
						res, err := do(id, tt.conds(v))
						if tt.holds {
							require.NoError(t, err, "%s, %s", way, tt.name)
							require.Equal(t, "new", w.get(id).Title)
							require.Equal(t, map[bool]catalog.Outcome{true: catalog.Edited, false: catalog.Created}[lives], res.Outcome)
							continue
						}
						require.ErrorIs(t, err, catalog.ErrPreconditionFailed, "%s, %s", way, tt.name)
						require.NotErrorIs(t, err, catalog.ErrNotFound)
						require.Nil(t, res.Product)
						if lives {
							require.Empty(t, w.get(id).Title)
						} else {
							w.requireGone(id)
						}
					}
					id, v := fresh()
					conds := tt.conds(v)
					err := w.c().Delete(ctx, acme, id, conds...)
					switch {
					case tt.holds && lives:
						require.NoError(t, err, "Delete, %s", tt.name)
						w.requireGone(id)
					case lives:
						require.ErrorIs(t, err, catalog.ErrPreconditionFailed)
						w.get(id)
					case tt.holds:
						require.ErrorIs(t, err, catalog.ErrNotFound, "Delete, %s", tt.name)
					default:
						require.ErrorIs(t, err, catalog.ErrPreconditionFailed, "Delete, %s", tt.name)
					}
				}
			})
		}
	})
}

// contract 6: fields come before conditions, conditions before what needs the
// stored product.
func TestOrderOfChecks(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		_, err := w.c().Upsert(ctx, acme, "a", catalog.Patch{ValidForDays: catalog.Set(0)}, catalog.IfExists())
		requireFaults(t, err, map[string]catalog.Code{"validForDays": catalog.CodeValidationFailed})
		_, err = w.c().Upsert(ctx, acme, "a", uploads([]byte("x")), catalog.IfExists())
		requireFaults(t, err, map[string]catalog.Code{"images.0.source.fileKey": catalog.CodeInvalidImage})
		for _, id := range []string{"a", "_anon_a"} {
			_, err = w.c().Upsert(ctx, acme, id, catalog.Patch{}, catalog.IfExists())
			require.ErrorIs(t, err, catalog.ErrPreconditionFailed)
		}
		_, err = w.c().CreateOneShot(ctx, acme, withImage(catalog.Patch{}), catalog.IfExists())
		require.ErrorIs(t, err, catalog.ErrPreconditionFailed)
		_, err = w.c().CreateOneShot(ctx, acme, withImage(catalog.Patch{}), catalog.CreateOnly())
		require.NoError(t, err)
	})
}

// A condition keeps what it was made of, not the caller's slice.
func TestConditionsOwnTheirVersions(t *testing.T) {
	w := memoryWorld(t)
	versions := []catalog.Version{w.create("a").Version()}
	cond := catalog.IfVersion(versions...)
	versions[0] = catalog.Version{}
	w.upsert("a", catalog.Patch{Title: catalog.Set("x")}, cond)
}

// contract 4: a use and a renewal make no condition fail.
func TestUsesKeepConditions(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		v := w.upsert("a", withImage(catalog.Patch{ValidForDays: catalog.Set(5)})).Version()
		w.clock.Advance(time.Hour)
		_, err := w.c().Use(t.Context(), acme, "a")
		require.NoError(t, err)
		w.clock.Advance(time.Hour)
		w.upsert("a", catalog.Patch{ValidForDays: catalog.Set(5)}, catalog.IfVersion(v))
		w.upsert("a", catalog.Patch{Title: catalog.Set("x")}, catalog.IfVersion(v))
		_, err = w.c().Upsert(t.Context(), acme, "a", catalog.Patch{}, catalog.IfVersion(v))
		require.ErrorIs(t, err, catalog.ErrPreconditionFailed, "even where nothing would change")
	})
}
