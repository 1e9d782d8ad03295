package uses

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// failingUpdates is a backend whose Updates fail from the one on that left counts down
// to: before they change anything, or, as a crash would have it, after.
type failingUpdates struct {
	backend.Backend
	left  int
	after bool
}

var errCrash = errors.New("crash")

func (b *failingUpdates) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	b.left--
	if b.left < 0 || b.left == 0 && !b.after {
		return errCrash
	}
	err := b.Backend.Update(ctx, scopes, o, fn)
	if b.left == 0 {
		return errors.Join(err, errCrash)
	}
	return err
}

const never = 1 << 30

// folderOn returns a folder on a store in which products "0" to "n-1" were used
// rounds times each, the last time at the time rounds, and a large journal of that.
func folderOn(t *testing.T, b backend.Backend, products, rounds int) *Folder {
	t.Helper()
	clock := ttl.NewManualClock(time.UnixMilli(0))
	o := NewOverlay(1000, func() int64 { return 0 })
	f := NewFolder(o, Config{
		Backend: b, Clock: clock, Logger: slog.New(slog.DiscardHandler), Window: time.Second, Hold: true,
		Fold: func(context.Context, []encoding.Use, bool) error { return nil },
	})
	for round := range rounds {
		for i := range products {
			require.True(t, o.Add(useOf(fmt.Sprint(i), 1, int64(1+round)), forever, Token{}))
		}
		require.True(t, f.writeJournal(t.Context()))
	}
	return f
}

// stored returns the uses that an opening of the store would find.
func stored(t *testing.T, b backend.Backend) map[string]int64 {
	t.Helper()
	at := make(map[string]int64)
	j := &journal{backend: b, logger: slog.New(slog.DiscardHandler)}
	require.NoError(t, j.load(t.Context(), func(u encoding.Use) { at[u.ID] = max(at[u.ID], u.At) }))
	return at
}

func requireUses(t *testing.T, b backend.Backend, products, at int) {
	t.Helper()
	want := make(map[string]int64)
	for i := range products {
		want[fmt.Sprint(i)] = int64(at)
	}
	require.Equal(t, want, stored(t, b))
}

// A journal that is large because the same products were used again and again is
// written anew, with each once; wherever that ends, it holds every use.
func TestJournalIsWrittenAnew(t *testing.T) {
	const products, rounds = 20, 6
	for _, after := range []bool{false, true} {
		for updates := 1; ; updates++ {
			store := memory.New(nil)
			b := &failingUpdates{store, never, after}
			f := folderOn(t, b, products, rounds)
			before := f.journal.size
			f.maxJournal = before

			b.left = updates
			shortened := f.shortenJournal(t.Context())
			requireUses(t, store, products, rounds)
			require.False(t, f.Stuck())
			b.left = never
			if !shortened {
				// It goes on where it is, and ends at the next turn.
				require.True(t, f.shortenJournal(t.Context()))
				requireUses(t, store, products, rounds)
			}
			require.Less(t, f.journal.size, before/3)
			// What comes later is behind it.
			require.True(t, f.overlay.Add(useOf("0", 1, rounds+1), forever, Token{}))
			require.True(t, f.writeJournal(t.Context()))
			require.EqualValues(t, rounds+1, stored(t, store)["0"])
			// A fold removes all of it.
			f.lastUse = -time.Hour
			f.startFold()
			require.True(t, f.foldPart(t.Context()))
			require.Empty(t, stored(t, store))
			if shortened {
				break
			}
		}
	}
}

// It is not written anew where that would gain little, or while a fold is going on,
// which knows where it ended.
func TestJournalIsLeftAlone(t *testing.T) {
	store := memory.New(nil)
	for _, test := range []struct {
		name   string
		change func(f *Folder)
	}{
		{"small", func(f *Folder) { f.maxJournal = f.journal.size + 1 }},
		{"many products", func(f *Folder) { f.maxJournal = 2*journalSize(f.overlay.Unfolded()) - 1 }},
		{"folding", func(f *Folder) { f.folding = true }},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &failingUpdates{store, never, false}
			f := folderOn(t, b, 20, 6)
			f.maxJournal = f.journal.size
			test.change(f)
			parts := len(f.journal.parts)
			b.left = 0 // nothing is written
			require.True(t, f.shortenJournal(t.Context()))
			require.Len(t, f.journal.parts, parts)
		})
	}
}
