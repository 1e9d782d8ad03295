package uses

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// failingUpdates is a backend of which one Update fails: the one on that left counts
// down to, before it changes anything or, with after, when it has committed. Before it
// does so it calls meanwhile, if that is not nil.
type failingUpdates struct {
	*memory.Store
	left      int
	after     bool
	meanwhile func()
}

var errFailed = errors.New("failed")

func (b *failingUpdates) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if b.left--; b.left != 0 {
		return b.Store.Update(ctx, scopes, o, fn)
	}
	if b.meanwhile != nil {
		b.meanwhile()
		return b.Store.Update(ctx, scopes, o, fn)
	}
	if !b.after {
		return errFailed
	}
	return errors.Join(b.Store.Update(ctx, scopes, o, fn), errFailed)
}

const testWindow = time.Second

// folderOn returns a folder, and its clock, on a store in which products "0" to "n-1"
// were used so many times, the last time at the time rounds, and a large journal of
// that.
func folderOn(t *testing.T, b backend.Backend, products, rounds int) (*Folder, *ttl.ManualClock) {
	t.Helper()
	clock := ttl.NewManualClock(time.UnixMilli(0))
	clock.Advance(time.Hour)
	f := NewFolder(NewOverlay(1000, func() int64 { return 0 }), Config{
		Backend: b, Clock: clock, Logger: slog.New(slog.DiscardHandler), Window: testWindow, Hold: true,
		Fold: func(context.Context, []encoding.Use, bool) error { return nil },
	})
	require.NoError(t, f.Open(t.Context()))
	for round := range rounds {
		useAll(t, f, products, round+1)
		require.True(t, f.writeJournal(t.Context()))
	}
	f.maxJournal, f.rewritePart = f.journal.size, 7
	return f, clock
}

func useAll(t *testing.T, f *Folder, products, at int) {
	t.Helper()
	for i := range products {
		require.True(t, f.overlay.Add(useOf(fmt.Sprint(i), 1, int64(at)), forever, Token{}))
	}
}

// requireUses checks that an opening of the store would find so many products used at
// a time.
func requireUses(t *testing.T, b backend.Backend, products, at int) {
	t.Helper()
	want, got := make(map[string]int64), make(map[string]int64)
	for i := range products {
		want[fmt.Sprint(i)] = int64(at)
	}
	j := &journal{backend: b, logger: slog.New(slog.DiscardHandler)}
	require.NoError(t, j.load(t.Context(), func(u encoding.Use) { got[u.ID] = max(got[u.ID], u.At) }))
	require.Equal(t, want, got)
}

// partsOf returns how many parts of a journal a store has, found or not.
func partsOf(t *testing.T, b backend.Backend) (n int) {
	t.Helper()
	start, end := encoding.UseJournalRange()
	for _, err := range b.Scan(t.Context(), backend.Range{Start: start, End: end}, backend.ScanOptions{}) {
		require.NoError(t, err)
		n++
	}
	return n
}

// A journal that is large because the same products were used again and again is
// written anew, with each once. Wherever that fails, and whether the process goes on or
// the store goes back to what is durable, it holds every use.
func TestJournalIsWrittenAnew(t *testing.T) {
	const products, rounds = 20, 6
	for _, after := range []bool{false, true} {
		for _, crash := range []bool{false, true} {
			for updates := 1; ; updates++ {
				store := memory.New(&memory.Options{Heals: true})
				b := &failingUpdates{Store: store, after: after}
				f, clock := folderOn(t, b, products, rounds)
				before := f.journal.size

				b.left = updates
				shortened := f.shortenJournal(t.Context())
				clock.Advance(testWindow)
				require.Equal(t, !shortened, f.Stuck(), "further uses may wait while none becomes durable")
				if crash {
					store.Heal()
					f.Reload()
					requireUses(t, store, products, rounds)
					require.True(t, f.reloaded(t.Context()))
				}
				requireUses(t, store, products, rounds)
				b.left = 0
				if !shortened {
					require.True(t, f.writeJournal(t.Context()))
					require.True(t, f.shortenJournal(t.Context()))
				}
				requireUses(t, store, products, rounds)
				if !crash { // else what went before the last sync may be there again
					require.Less(t, f.journal.size, before/3)
				}
				// What comes later is behind it.
				useAll(t, f, products, rounds+1)
				require.True(t, f.writeJournal(t.Context()))
				requireUses(t, store, products, rounds+1)
				// A fold removes all of it.
				require.NoError(t, f.Finish(t.Context()))
				require.Zero(t, partsOf(t, store))
				if shortened {
					require.Greater(t, updates, 3, "in three parts")
					break
				}
			}
		}
	}
}

// Uses that come while it is written anew do not wait for the end of that, and none is
// lost.
func TestUsesWhileTheJournalIsWrittenAnew(t *testing.T) {
	const products, rounds = 20, 6
	store := memory.New(nil)
	b := &failingUpdates{Store: store}
	f, _ := folderOn(t, b, products, rounds)
	b.left = 2 // before the second part
	b.meanwhile = func() { useAll(t, f, products, rounds+1) }
	require.True(t, f.shortenJournal(t.Context()))
	requireUses(t, store, products, rounds+1)
	require.Empty(t, f.overlay.takeFresh())
}

// A store that goes back to what is durable between the parts and the removal, or
// before what a fold removes is gone for good, brings parts back. They are found.
func TestPartsThatComeBack(t *testing.T) {
	const products, rounds = 20, 6
	for updates := 1; updates <= 6; updates++ {
		store := memory.New(&memory.Options{Heals: true})
		b := &failingUpdates{Store: store}
		f, _ := folderOn(t, b, products, rounds)
		b.left = updates
		b.meanwhile = func() {
			store.Heal()
			f.Reload()
		}
		f.shortenJournal(t.Context())
		require.NoError(t, f.Finish(t.Context()))
		require.Zero(t, partsOf(t, store), updates)
	}
}

// It is not written anew where that would gain little, or while a fold is going on,
// which knows where it ended.
func TestJournalIsLeftAlone(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(f *Folder)
	}{
		{"small", func(f *Folder) { f.maxJournal = f.journal.size + 1 }},
		{"many products", func(f *Folder) { f.maxJournal = 2*journalSize(f.overlay.Unfolded()) - 1 }},
		{"folding", func(f *Folder) { f.folding = true }},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &failingUpdates{Store: memory.New(nil)}
			f, _ := folderOn(t, b, 20, 6)
			test.change(f)
			parts := len(f.journal.parts)
			b.left = 1 // whatever is written fails
			require.True(t, f.shortenJournal(t.Context()))
			require.Len(t, f.journal.parts, parts)
		})
	}
}

// Products that are used all the time are folded when they have waited long, not
// whenever the journal is full of them.
func TestRunShortensTheJournal(t *testing.T) {
	const products = 20
	store := memory.New(nil)
	f, clock := folderOn(t, store, products, 0)
	f.maxJournal = 4 * products * 40
	var folds atomic.Int64
	f.Fold = func(context.Context, []encoding.Use, bool) error {
		folds.Add(1)
		return nil
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.Run(ctx)
	}()
	awaitTurn := func() {
		require.Eventually(t, func() bool { return clock.Timers() > 0 }, time.Minute, time.Millisecond)
	}
	turn := testWindow / journalsPerWindow
	for round := range int(maxFoldDelay/turn) - 2 {
		useAll(t, f, products, round+1)
		f.Wake()
		awaitTurn()
		clock.Advance(turn)
		awaitTurn()
		require.Zero(t, folds.Load(), round)
	}
	stop()
	<-ended
	require.Less(t, f.journal.size, 2*f.maxJournal)
	require.Zero(t, folds.Load())
	require.NoError(t, f.Finish(t.Context()))
	require.NotZero(t, folds.Load())
}
