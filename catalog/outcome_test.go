package catalog_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
)

func TestOutcomeText(t *testing.T) {
	for o, want := range map[catalog.Outcome]string{
		catalog.Created: "created", catalog.Edited: "edited", catalog.Unchanged: "unchanged", catalog.Used: "used",
	} {
		require.NotZero(t, o, want)
		require.Equal(t, want, o.String())
		text, err := json.Marshal(o)
		require.NoError(t, err)
		require.Equal(t, `"`+want+`"`, string(text))
		var again catalog.Outcome
		require.NoError(t, json.Unmarshal(text, &again))
		require.Equal(t, o, again)
	}
	for _, o := range []catalog.Outcome{0, catalog.Used + 1, 255} {
		require.Contains(t, o.String(), "Outcome(")
		_, err := json.Marshal(o)
		require.Error(t, err, o)
	}
	for _, text := range []string{"", "Created", "Outcome(0)", "none"} {
		var o catalog.Outcome
		require.Error(t, o.UnmarshalText([]byte(text)), text)
		require.Zero(t, o, text)
	}
}

// contract 8: zero values of results are no valid outcome: what comes with an
// error can't be taken for a success.
func TestFailedUpsertsHaveNoOutcome(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	c, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	closed, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	_, err = c.Upsert(t.Context(), acme, "there", withImage(catalog.Patch{}))
	require.NoError(t, err)
	for _, tt := range []struct {
		name  string
		ctx   context.Context
		c     *catalog.Catalog
		id    string
		patch catalog.Patch
		conds []catalog.Condition
	}{
		{"invalid input", t.Context(), c, "x", catalog.Patch{Title: catalog.Null[string]()}, nil},
		{"no image", t.Context(), c, "x", catalog.Patch{}, nil},
		{"not this product's image", t.Context(), c, "there", catalog.Patch{Images: catalog.Set([]catalog.NewImage{
			{URL: "upload://0123456789abcdef0123456789abcdef"},
		})}, nil},
		{"a condition", t.Context(), c, "there", catalog.Patch{}, []catalog.Condition{catalog.CreateOnly()}},
		{"its context has ended", ended, c, "there", catalog.Patch{Title: catalog.Set("t")}, nil},
		{"closed", t.Context(), closed, "there", catalog.Patch{Title: catalog.Set("t")}, nil},
	} {
		requireNone := func(way string, res catalog.Result, err error) {
			t.Helper()
			require.Error(t, err, "%s: %s", tt.name, way)
			require.Equal(t, catalog.Result{}, res, "%s: %s", tt.name, way)
			require.NotContains(t, []catalog.Outcome{
				catalog.Created, catalog.Edited, catalog.Unchanged, catalog.Used,
			}, res.Outcome, "%s: %s", tt.name, way)
		}
		res, err := tt.c.Upsert(tt.ctx, acme, tt.id, tt.patch, tt.conds...)
		requireNone("explicit", res, err)
		res, err = tt.c.UpsertInline(tt.ctx, acme, tt.id, tt.patch, tt.conds...)
		requireNone("inline", res, err)
		many := tt.c.UpsertMany(tt.ctx, acme, []catalog.UpsertItem{{ExternalID: tt.id, Patch: tt.patch, Conditions: tt.conds}})
		require.Len(t, many, 1)
		requireNone("many", many[0].Result, many[0].Err)
	}
}

// A function that passes the result of Validate on as an error returns nil where
// there is no fault.
func TestValidateIsAnError(t *testing.T) {
	w := memoryWorld(t)
	pass := func(id string, p catalog.Patch) error { return w.c().Validate(acme, id, p) }
	if err := pass("x", withImage(catalog.Patch{})); err != nil {
		t.Fatal("there is no fault, and yet the error is not nil")
	}
	if err := pass("x", catalog.Patch{}); err != nil {
		t.Fatal("there is no fault, and yet the error is not nil")
	}
	var bad *catalog.ValidationError
	require.True(t, errors.As(pass("..", catalog.Patch{}), &bad))
	require.Len(t, bad.Fields, 1)
}
