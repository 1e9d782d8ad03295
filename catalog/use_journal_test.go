package catalog_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// journalParts returns the keys of the use journal that are in the store.
func journalParts(t *testing.T, store *memory.Store) (keys []string) {
	t.Helper()
	start, end := encoding.UseJournalRange()
	for e, err := range store.Handle().Scan(t.Context(), backend.Range{Start: start, End: end}, backend.ScanOptions{KeysOnly: true}) {
		require.NoError(t, err)
		keys = append(keys, string(e.Key))
	}
	return keys
}

// journaled advances the clock until the journal has a part more than when it was
// looked at last, and nothing more is in the records. A part may be there already:
// the folder may have been in the middle of a round when the use came.
func (w *glassWorld) journaled() {
	w.t.Helper()
	w.probe.journalOnly.Store(true)
	defer w.probe.journalOnly.Store(false)
	before := min(w.parts, len(journalParts(w.t, w.store)))
	for w.parts = before; w.parts <= before; w.parts = len(journalParts(w.t, w.store)) {
		nudge(w.clock, w.window()/2)
	}
}

// contract 4: a use that is in the journal survives a crash, though its record
// does not show it yet; a use of a product that is gone is not one of a later
// product with its ID.
func TestJournaledUsesSurviveACrash(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	for _, id := range []string{"p", "again", "gone", "newer"} {
		w.createFor(id, 30)
	}
	w.clock.Advance(time.Hour)
	var used *catalog.Product
	for _, id := range []string{"again", "gone", "newer", "p"} {
		used = w.use(id)
	}
	w.journaled()
	require.Equal(t, encoding.None, w.record("p").LastUsedAt, "only the journal has it")
	require.NoError(t, w.c().Delete(t.Context(), acme, "gone"))
	require.NoError(t, w.c().Delete(t.Context(), acme, "again"))
	again := w.createFor("again", 30)
	w.clock.Advance(tick)
	newer := w.use("newer")
	w.journaled()

	c := w.crash(catalog.Options{})
	require.Equal(t, used, c.get("p"))
	require.Equal(t, newer, c.get("newer"))
	require.Equal(t, again, c.get("again"))
	c.requireGone("gone")
	page, err := c.c().List(t.Context(), acme, catalog.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, []*catalog.Product{again, newer, used}, page.Products)

	// In time everything is folded, and nothing is left of the journal.
	c.folds()
	require.Equal(t, used.LastUsedAt.UnixMilli(), c.record("p").LastUsedAt)
	require.Equal(t, encoding.None, c.record("again").LastUsedAt)
	require.Equal(t, used, c.get("p"))
	require.Empty(t, journalParts(t, w.store))
}

// contract 4: so does one that was journaled after an earlier journal had been
// folded and the catalog opened again.
func TestJournalGoesOnAfterReopening(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	w.createFor("p", 30)
	for range 3 {
		w.clock.Advance(time.Hour)
		w.use("p")
		w.journaled()
		w.reopen()
		require.Empty(t, journalParts(t, w.store))
	}
	w.clock.Advance(time.Hour)
	used := w.use("p")
	w.journaled()
	require.Equal(t, used, w.crash(catalog.Options{}).get("p"))
}

// contract 4: a product that is in use only by the journal does not expire, not
// even when its former deadline passed while nobody served the store.
func TestJournaledUsesRenewAfterACrash(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	w.createFor("p", 1)
	w.clock.Advance(day - time.Minute)
	used := w.use("p")
	w.journaled()
	c := w.crash(catalog.Options{})
	c.clock.Advance(time.Hour)
	c.sweep()
	require.Equal(t, used, c.get("p"))
	c.clock.Advance(day)
	c.sweep()
	c.requireGone("p")
}

// A store that takes no writes is opened with the uses of its journal.
func TestJournalOfAStoreThatTakesNoWrites(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	w.createFor("p", 30)
	w.clock.Advance(time.Hour)
	used := w.use("p")
	w.journaled()
	w.probe.failUpdates(backend.ErrUnavailable, func(backend.UpdateOptions) bool { return true })
	defer w.probe.failUpdates(nil, nil)
	c := w.crash(catalog.Options{})
	require.Equal(t, used, c.get("p"))
	_, err := c.c().Upsert(t.Context(), acme, "p", catalog.Patch{Title: catalog.Set("refused")})
	require.ErrorIs(t, err, catalog.ErrUnavailable)
	w.probe.failUpdates(nil, nil)
	c.folds()
	require.Equal(t, used.LastUsedAt.UnixMilli(), c.record("p").LastUsedAt)
}

// Where uses may not wait in memory, what an earlier opening has left of them
// is folded before the first call.
func TestLeftUsesWithoutAWindow(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	w.createFor("p", 30)
	w.clock.Advance(time.Hour)
	used := w.use("p")
	w.journaled()
	c := w.crash(catalog.Options{UseWindow: catalog.NoUseWindow})
	require.Equal(t, used.LastUsedAt.UnixMilli(), c.record("p").LastUsedAt)
	require.Empty(t, journalParts(t, w.store))
	require.Equal(t, used, c.get("p"))
	require.Zero(t, c.pending())
}

// A part of the journal that can't be understood takes nothing else with it,
// and is not passed over in silence.
func TestDamagedJournal(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	w.createFor("p", 30)
	w.clock.Advance(time.Hour)
	used := w.use("p")
	w.journaled()
	bad := encoding.AppendMetaKey(nil, encoding.UseJournalName(9))
	group, item := encoding.MetaScope(encoding.UseJournalName(9))
	put := func(fn func(txn backend.Txn) error) {
		err := w.store.Handle().Update(t.Context(), []backend.Scope{{Group: group, Item: item}}, backend.UpdateOptions{},
			func(_ context.Context, txn backend.Txn) error { return fn(txn) })
		require.NoError(t, err)
	}
	put(func(txn backend.Txn) error { return txn.Put(bad, []byte("damaged")) })

	var log bytes.Buffer
	c := w.crash(catalog.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.Contains(t, log.String(), "use journal")
	require.Equal(t, used, c.get("p"))
	report, err := c.c().Check(t.Context())
	require.NoError(t, err)
	require.Len(t, report.Problems, 1)
	// New parts do not take its place.
	c.folds()
	c.clock.Advance(tick)
	c.use("p")
	c.journaled()
	c.folds()
	require.Equal(t, []string{string(bad)}, journalParts(t, w.store))
	put(func(txn backend.Txn) error { return txn.Delete(bad, 0) })
}

// Uses that never stop are folded all the same, so that the journal does not
// grow without end; and Close leaves none.
func TestJournalIsShortened(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	w.create("p")
	longest := 0
	for range 300 { // 150 seconds
		w.use("p")
		nudge(w.clock, w.window()/2)
		longest = max(longest, len(journalParts(t, w.store)))
	}
	require.Less(t, longest, 100)
	require.NotEqual(t, encoding.None, w.record("p").LastUsedAt)
	w.use("p")
	w.journaled()
	w.close()
	require.Empty(t, journalParts(t, w.store))
	w.start()
}
