package catalog_test

import (
	"context"
	"fmt"
	"testing"
	"time"

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

// contract 5: a page's cost depends on the page, not on how many products lie
// between that have expired and wait to be removed.
func TestPageCostBehindExpired(t *testing.T) {
	ctx := t.Context()
	w := behindGlass(t, catalog.Options{})
	catalog.WithoutDue(w.c())
	const expired = 3000
	for i := range expired {
		w.createFor(fmt.Sprintf("m%04d", i), 1)
	}
	for i := range 10 {
		w.create(fmt.Sprintf("a%d", i))
	}
	w.create("z")
	w.clock.Leap(400 * day) // removals are paused
	list := func(o catalog.ListOptions) (cost int64, got []string) {
		t.Helper()
		w.probe.reset()
		page, err := w.c().List(ctx, acme, o)
		require.NoError(t, err)
		return w.probe.entries.Load() + w.probe.gets.Load(), ids(page.Products)
	}
	behind := catalog.ListOptions{From: "b"}
	cost, got := list(behind)
	require.Equal(t, []string{"z"}, got)
	require.GreaterOrEqual(t, cost, int64(expired), "a list that meets them reads them")
	require.LessOrEqual(t, cost, int64(expired+200), "once, and each record alone")

	const page = 40 // as without them
	everywhere := []catalog.ListOptions{{}, {Limit: 1}, {Limit: 10}, behind, {From: "m1234"}, {Prefix: "m"}, {Prefix: "m2"}, {Unlisted: true}}
	want := make([][]string, len(everywhere))
	for i, o := range everywhere {
		cost, want[i] = list(o)
		require.LessOrEqual(t, cost, int64(page), "%+v", o)
	}
	w.probe.reset()
	n := 0
	for _, err := range w.c().All(ctx, acme, catalog.AllOptions{}) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 11, n)
	require.LessOrEqual(t, w.probe.entries.Load(), int64(page))

	// What is created among them is there at once, for pages and loops.
	w.create("m1500")
	for _, o := range everywhere[:4] {
		cost, got := list(o)
		require.LessOrEqual(t, cost, int64(page), "%+v", o)
		if o.Limit == 0 {
			require.Contains(t, got, "m1500")
		}
	}
	for p, err := range w.c().All(ctx, acme, catalog.AllOptions{Prefix: "m"}) {
		require.NoError(t, err)
		require.Equal(t, "m1500", p.ExternalID)
		n++
	}
	require.Equal(t, 12, n)
	require.NoError(t, w.c().Delete(ctx, acme, "m1500"))

	// The sweeper takes them away, and nothing of it shows.
	w.clock.Advance(time.Hour)
	_, err := w.c().Sweep(ctx)
	require.NoError(t, err)
	w.clock.Advance(time.Hour)
	_, err = w.c().Sweep(ctx)
	require.NoError(t, err)
	require.Equal(t, 11, w.soundReport().Products)
	for i, o := range everywhere {
		cost, got := list(o)
		require.Equal(t, want[i], got)
		require.LessOrEqual(t, cost, int64(page), "%+v", o)
	}
}

// A page that is ended early has not read for nothing: the next one goes on where
// it stood.
func TestEndedPagesGoOn(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	catalog.WithoutDue(w.c())
	const expired, most = 6000, 2700
	for i := range expired {
		w.createFor(fmt.Sprintf("m%04d", i), 1)
	}
	w.create("z")
	w.clock.Leap(400 * day)
	pages := 0
	for read := int64(0); ; pages++ {
		ctx, cancel := context.WithCancel(t.Context())
		w.probe.reset()
		stop := func(n int64) {
			if n == most {
				cancel()
			}
		}
		w.probe.onEntry.Store(&stop)
		page, err := w.c().List(ctx, acme, catalog.ListOptions{})
		cancel()
		read += w.probe.entries.Load()
		require.LessOrEqual(t, read, int64(2*expired))
		if err == nil {
			require.Equal(t, []string{"z"}, ids(page.Products))
			break
		}
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Equal(t, 2, pages)
}
