package catalog_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// contract 5: a page's cost depends on the page, not on how many unlisted
// products lie between.
func TestPageCost(t *testing.T) {
	ctx := t.Context()
	w := behindGlass(t, catalog.Options{})
	for i := range 10 {
		w.create(fmt.Sprintf("a%d", i))
	}
	w.create("~")
	cost := func(o catalog.ListOptions) (cost int64, got []string) {
		t.Helper()
		w.probe.reset()
		page, err := w.c().List(ctx, acme, o)
		require.NoError(t, err)
		return w.probe.entries.Load() + w.probe.gets.Load(), ids(page.Products)
	}
	pages := []catalog.ListOptions{
		{}, {Limit: 1}, {Limit: 10}, {Limit: 11}, {Prefix: "~"}, {Prefix: "a9"}, {Prefix: "_anon_"}, {Prefix: "_"}, {Prefix: "m"},
	}
	var before []int64
	var found [][]string
	for _, o := range pages {
		n, got := cost(o)
		before, found = append(before, n), append(found, got)
	}
	const between = 5000
	for range between {
		_, err := w.c().CreateOneShot(ctx, acme, withImage(catalog.Patch{}))
		require.NoError(t, err)
	}
	for i := range between {
		w.createInline(fmt.Sprintf("m%04d", i)) // one long run
	}
	for i, o := range pages {
		n, got := cost(o)
		require.Equal(t, found[i], got)
		require.LessOrEqual(t, n, before[i]+20, "%+v", o)
	}
	// The next page costs as little, from wherever it goes on.
	page, err := w.c().List(ctx, acme, catalog.ListOptions{Limit: 10})
	require.NoError(t, err)
	n, got := cost(catalog.ListOptions{Cursor: page.NextCursor})
	require.Equal(t, []string{"~"}, got)
	require.LessOrEqual(t, n, int64(25))
	// Exports pass over them too.
	w.probe.reset()
	count := 0
	for _, err := range w.c().All(ctx, acme, catalog.AllOptions{}) {
		require.NoError(t, err)
		count++
	}
	require.Equal(t, 11, count)
	require.LessOrEqual(t, w.probe.entries.Load(), int64(40))
	stats, err := w.c().Stats(ctx, acme)
	require.NoError(t, err)
	require.Equal(t, 2*between+11, stats.Products)
	require.Equal(t, 11, stats.Listed)
}

// contract 5: pages of listed products among many unlisted ones, in short and
// long runs, cost in proportion to what they hold.
func TestPageCostAmongUnlisted(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	const listed, run = 20, 60
	for i := range listed {
		for j := range run {
			w.createInline(fmt.Sprintf("%02d-%02d", i, j))
		}
		w.create(fmt.Sprintf("%02d-z", i))
	}
	w.probe.reset()
	page, err := w.c().List(t.Context(), acme, catalog.ListOptions{Limit: listed})
	require.NoError(t, err)
	require.Len(t, page.Products, listed)
	require.False(t, page.HasMore)
	require.LessOrEqual(t, w.probe.entries.Load(), int64(listed*20), "not all %d", listed*run)
}
