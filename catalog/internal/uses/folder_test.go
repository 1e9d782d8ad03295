package uses

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// Uses are folded when none has come for a while, when they have waited long,
// when the journal is large, and when the overlay is three quarters full; not before.
func TestWhenUsesAreFolded(t *testing.T) {
	const window = time.Second
	for _, test := range []struct {
		name           string
		uses           int
		lastUse, waits time.Duration // ago
		journal        int
		want           bool
	}{
		{"fresh uses", 4, 0, 0, 100, false},
		{"long in use", 4, 0, maxFoldDelay - 1, 100, false},
		{"quiet", 4, quietWindows * window, quietWindows * window, 100, true},
		{"almost quiet", 4, quietWindows*window - 1, quietWindows * window, 100, false},
		{"waited long", 4, 0, maxFoldDelay, 100, true},
		{"large journal", 4, 0, 0, maxJournal, true},
		{"three quarters", 6, 0, 0, 100, false},
		{"more", 7, 0, 0, 100, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := ttl.NewManualClock(time.UnixMilli(0))
			clock.Advance(time.Hour)
			o := NewOverlay(8, nil)
			for i := range test.uses {
				require.True(t, o.Add(useOf(fmt.Sprint(i), 1, 1), forever, Token{}))
			}
			f := NewFolder(o, Config{Clock: clock, Window: window})
			f.lastUse, f.waiting = clock.Elapsed()-test.lastUse, clock.Elapsed()-test.waits
			f.journal.add(journalPart{1, test.journal})
			f.startFold()
			require.Equal(t, test.want, f.folding)
			if test.want {
				require.Len(t, f.due, test.uses)
				require.Equal(t, 1, f.journaled)
			}
		})
	}
}

// What is taken for the journal is not taken again before it is used again, and
// is if it did not get there.
func TestFreshUses(t *testing.T) {
	o := NewOverlay(10, nil)
	require.True(t, o.Add(useOf("p", 7, 100), forever, Token{}))
	require.True(t, o.Add(useOf("p", 7, 101), forever, Token{}))
	fresh := o.takeFresh()
	require.Equal(t, []encoding.Use{useOf("p", 7, 101)}, fresh)
	require.Empty(t, o.takeFresh())
	o.putBack(fresh)
	o.putBack(fresh)
	require.Equal(t, fresh, o.takeFresh())
	require.True(t, o.Add(useOf("p", 7, 102), forever, Token{}))
	require.Equal(t, []encoding.Use{useOf("p", 7, 102)}, o.takeFresh())
}

func useOf(id string, incarnation uint64, at int64) encoding.Use {
	return encoding.Use{Account: "a", ID: id, Incarnation: incarnation, At: at}
}
