package ttl

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIndexStartsEmpty(t *testing.T) {
	x := NewIndex(IndexOptions{})
	require.Zero(t, x.End())
	require.Zero(t, x.Len())
	_, ok := x.Next()
	require.False(t, ok)
	require.Empty(t, x.Due(endOfTime, 10))
	require.False(t, x.Add(Entry{Deadline: 5, Key: "a"}), "beyond the end")
	require.Zero(t, x.Len())
}

func TestIndexWindow(t *testing.T) {
	ctx := t.Context()
	x := NewIndex(IndexOptions{Span: 100 * time.Millisecond})
	s := newTestStore(x)
	s.write(Entry{Deadline: 10, Key: "b"}, Entry{Deadline: 10, Key: "a"}, Entry{Deadline: 109, Key: "c"}, Entry{Deadline: 110, Key: "d"}, Entry{Deadline: 500, Key: "e"})

	require.NoError(t, x.Refill(ctx, s, 10))
	require.Equal(t, int64(110), x.End())
	require.Equal(t, []Entry{{Deadline: 10, Key: "a"}, {Deadline: 10, Key: "b"}, {Deadline: 109, Key: "c"}}, x.Due(endOfTime, 10))
	require.Equal(t, []Entry{{Deadline: 10, Key: "a"}, {Deadline: 10, Key: "b"}}, x.Due(108, 10))
	require.Equal(t, []Entry{{Deadline: 10, Key: "a"}}, x.Due(endOfTime, 1))
	require.Empty(t, x.Due(9, 10))

	require.True(t, s.put(Entry{Deadline: 9, Key: "z"}), "a new earliest entry")
	require.False(t, s.put(Entry{Deadline: 9, Key: "zz"}))
	require.False(t, s.put(Entry{Deadline: 110, Key: ""}), "at the end is beyond it")
	next, ok := x.Next()
	require.True(t, ok)
	require.Equal(t, int64(9), next)
	require.Equal(t, 5, x.Len())

	s.remove(Entry{Deadline: 9, Key: "z"})
	s.remove(Entry{Deadline: 9, Key: "zz"})
	s.remove(Entry{Deadline: 9, Key: "never there"})
	require.Equal(t, 3, x.Len())

	require.NoError(t, x.Refill(ctx, s, 50))
	require.Equal(t, int64(150), x.End())
	require.Equal(t, []int64{0, 110}, s.scans, "a refill reads on from the end")
	require.Equal(t, 5, x.Len())

	require.NoError(t, x.Refill(ctx, s, 20), "time that went back moves the end nowhere")
	require.Equal(t, int64(150), x.End())
	requireComplete(t, x, s)
}

func TestIndexOverflow(t *testing.T) {
	ctx := t.Context()
	x := NewIndex(IndexOptions{Span: time.Second, MaxEntries: 3})
	s := newTestStore(x)
	s.write(Entry{Deadline: 1, Key: "a"}, Entry{Deadline: 2, Key: "b"}, Entry{Deadline: 3, Key: "c"}, Entry{Deadline: 4, Key: "d"}, Entry{Deadline: 5, Key: "e"})

	require.NoError(t, x.Refill(ctx, s, 0))
	require.Equal(t, 3, x.Len())
	require.Equal(t, int64(4), x.End(), "cut before what found no room")

	s.put(Entry{Deadline: 2, Key: "a"})
	require.Equal(t, 3, x.Len())
	require.Equal(t, int64(3), x.End(), "an Add drops the greatest")
	require.Equal(t, []Entry{{Deadline: 1, Key: "a"}, {Deadline: 2, Key: "a"}, {Deadline: 2, Key: "b"}}, x.Due(endOfTime, 9))
	requireComplete(t, x, s)

	for _, e := range x.Due(endOfTime, 9) {
		s.remove(e)
	}
	require.NoError(t, x.Refill(ctx, s, 0))
	require.Equal(t, []Entry{{Deadline: 3, Key: "c"}, {Deadline: 4, Key: "d"}, {Deadline: 5, Key: "e"}}, x.Due(endOfTime, 9))
	requireComplete(t, x, s)
}

// One deadline may have more entries than the index holds.
func TestIndexOneDeadlineFlood(t *testing.T) {
	ctx := t.Context()
	x := NewIndex(IndexOptions{Span: time.Second, MaxEntries: 7})
	s := newTestStore(x)
	for i := range 50 {
		s.write(Entry{Deadline: 100, Key: fmt.Sprintf("%02d", i)})
	}
	var seen []Entry
	for range 8 {
		require.NoError(t, x.Refill(ctx, s, 0))
		require.LessOrEqual(t, x.Len(), 7)
		got := x.take(endOfTime, 100)
		require.NotEmpty(t, got, "every refill makes progress")
		seen = append(seen, got...)
	}
	require.Equal(t, s.all(), seen, "each once, though none left the source")
	require.NoError(t, x.Refill(ctx, s, 0))
	require.Zero(t, x.Len())
	require.Equal(t, int64(1000), x.End())
}

func TestIndexAddDuringRefill(t *testing.T) {
	x := NewIndex(IndexOptions{Span: time.Second, MaxEntries: 4})
	s := newTestStore(x)
	s.write(Entry{Deadline: 100, Key: "a"}, Entry{Deadline: 200, Key: "b"}, Entry{Deadline: 300, Key: "c"})

	t.Run("below the pending end", func(t *testing.T) {
		s.onYield = func() {
			s.onYield = nil
			s.put(Entry{Deadline: 50, Key: "behind the scan"})
		}
		require.NoError(t, x.Refill(t.Context(), s, 0))
		require.Equal(t, int64(1000), x.End())
		require.Equal(t, 4, x.Len())
		requireComplete(t, x, s)
	})
	t.Run("overflowing the refill", func(t *testing.T) {
		s.write(Entry{Deadline: 1500, Key: "d"}, Entry{Deadline: 1600, Key: "e"})
		s.remove(Entry{Deadline: 100, Key: "a"})
		s.remove(Entry{Deadline: 200, Key: "b"})
		s.onYield = func() {
			s.onYield = nil
			s.put(Entry{Deadline: 1200, Key: "x"})
			s.put(Entry{Deadline: 1300, Key: "y"})
			s.put(Entry{Deadline: 1400, Key: "z"})
		}
		require.NoError(t, x.Refill(t.Context(), s, 1000))
		require.Equal(t, []Entry{{Deadline: 50, Key: "behind the scan"}, {Deadline: 300, Key: "c"}, {Deadline: 1200, Key: "x"}, {Deadline: 1300, Key: "y"}}, x.Due(endOfTime, 9))
		require.Equal(t, int64(1400), x.End())
		requireComplete(t, x, s)
	})
}

func TestIndexRefillError(t *testing.T) {
	x := NewIndex(IndexOptions{Span: time.Second})
	s := newTestStore(x)
	s.write(Entry{Deadline: 1, Key: "a"}, Entry{Deadline: 2, Key: "b"}, Entry{Deadline: 3, Key: "c"})
	broken := errors.New("broken")
	s.scanErr = func(e Entry) error {
		if e.Deadline == 3 {
			s.put(Entry{Deadline: 900, Key: "added while reading"})
			return broken
		}
		return nil
	}
	require.ErrorIs(t, x.Refill(t.Context(), s, 0), broken)
	require.Equal(t, int64(2), x.End(), "what was read counts")
	requireComplete(t, x, s)
	require.False(t, x.Add(Entry{Deadline: 800, Key: "n"}), "the pending end is withdrawn")

	s.scanErr = nil
	require.NoError(t, x.Refill(t.Context(), s, 0))
	require.Equal(t, []int64{0, 2}, s.scans)
	require.Equal(t, s.all(), x.Due(endOfTime, 9))
	require.Equal(t, int64(1000), x.End())

	t.Run("of a rescan", func(t *testing.T) {
		s.scanErr = func(Entry) error { return broken }
		require.ErrorIs(t, x.Rescan(t.Context(), s, 0, 0), broken)
		require.Equal(t, int64(1000), x.End(), "nothing known is given up")
	})
	t.Run("of the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, x.Rescan(ctx, s, 0, 0), context.Canceled)
	})
}

func TestIndexRescan(t *testing.T) {
	x := NewIndex(IndexOptions{Span: time.Second, MaxEntries: 4})
	s := newTestStore(x)
	require.NoError(t, x.Refill(t.Context(), s, 0))
	s.write(Entry{Deadline: 10, Key: "other process"}, Entry{Deadline: 20, Key: "other process"})
	require.NoError(t, x.Refill(t.Context(), s, 0))
	require.Zero(t, x.Len())
	require.NoError(t, x.Rescan(t.Context(), s, 15, 0))
	require.Equal(t, []Entry{{Deadline: 20, Key: "other process"}}, x.Due(endOfTime, 9))
	require.NoError(t, x.Rescan(t.Context(), s, -1, 0))
	require.Equal(t, s.all(), x.Due(endOfTime, 9))

	s.put(Entry{Deadline: 500, Key: "a"})
	s.put(Entry{Deadline: 600, Key: "a"})
	s.write(Entry{Deadline: 30, Key: "other process"})
	require.NoError(t, x.Rescan(t.Context(), s, 0, 0))
	require.Equal(t, int64(600), x.End(), "what it finds pushes out the greatest")
	requireComplete(t, x, s)
}

// The window may end between two entries of one deadline, and a rescan reads
// up to there.
func TestIndexRescanUpToACut(t *testing.T) {
	x := NewIndex(IndexOptions{Span: time.Second, MaxEntries: 2})
	s := newTestStore(x)
	s.write(Entry{Deadline: 500, Key: "b"}, Entry{Deadline: 500, Key: "d"}, Entry{Deadline: 500, Key: "f"})
	require.NoError(t, x.Refill(t.Context(), s, 0))
	require.Equal(t, Entry{Deadline: 500, Key: "f"}, x.end)
	s.remove(Entry{Deadline: 500, Key: "b"})
	s.write(Entry{Deadline: 500, Key: "c"})
	x.span = 10 // so that the cut is the end
	require.NoError(t, x.Rescan(t.Context(), s, 0, 0))
	require.Equal(t, []Entry{{Deadline: 500, Key: "c"}, {Deadline: 500, Key: "d"}}, x.Due(endOfTime, 9))
	require.Equal(t, Entry{Deadline: 500, Key: "f"}, x.end)
}

func TestIndexEndOfTime(t *testing.T) {
	x := NewIndex(IndexOptions{})
	s := newTestStore(x)
	s.write(Entry{Deadline: endOfTime - 1, Key: "a"})
	require.NoError(t, x.Refill(t.Context(), s, endOfTime-5))
	require.Equal(t, int64(endOfTime), x.End())
	require.Equal(t, 1, x.Len())
}

// randomEntry makes collisions of deadlines and of whole entries likely.
func randomEntry(r *rand.Rand, now int64) Entry {
	return Entry{Deadline: max(0, now+r.Int64N(400)-20), Key: string(rune('a' + r.IntN(8)))}
}

// The model is the source: an index at rest has all of its entries below its
// end, and takes hand out each exactly once, in order, whatever is written
// between and during refills.
func TestIndexRandom(t *testing.T) {
	rnd := newRand(t)
	for range 60 {
		x := NewIndex(IndexOptions{Span: time.Duration(1+rnd.IntN(200)) * time.Millisecond, MaxEntries: 1 + rnd.IntN(40)})
		s := newTestStore(x)
		now := int64(0)
		write := func() {
			switch all := s.all(); {
			case rnd.IntN(3) > 0 || len(all) == 0:
				s.put(randomEntry(rnd, now))
			default:
				s.remove(all[rnd.IntN(len(all))])
			}
		}
		s.onYield = func() {
			for rnd.IntN(3) == 0 {
				write()
			}
		}
		broken := errors.New("broken")
		s.scanErr = func(Entry) error {
			if rnd.IntN(60) == 0 {
				return broken
			}
			return nil
		}
		for range 200 {
			switch rnd.IntN(8) {
			case 0:
				if err := x.Refill(t.Context(), s, now); err != nil {
					require.ErrorIs(t, err, broken)
				}
			case 1:
				if err := x.Rescan(t.Context(), s, now-rnd.Int64N(50), now); err != nil {
					require.ErrorIs(t, err, broken)
				}
			case 2:
				now += rnd.Int64N(30)
			case 3:
				due := x.take(now, 1+rnd.IntN(10))
				done := rnd.IntN(len(due) + 1)
				s.removeAll(due[:done])
				x.putBack(due[done:])
			default:
				write()
			}
			requireComplete(t, x, s)
		}
		drain(t, x, s)
	}
}

// drain takes everything and checks that nothing was lost.
func drain(t *testing.T, x *Index, s *testStore) {
	t.Helper()
	s.onYield, s.scanErr = nil, nil
	left := s.all()
	s.handled = nil
	for steps := 0; len(s.all()) > 0; steps++ {
		require.Less(t, steps, 10_000, "no progress")
		due := x.take(endOfTime, 5)
		s.removeAll(due)
		if len(due) == 0 {
			require.NoError(t, x.Refill(t.Context(), s, x.End()))
			requireComplete(t, x, s)
		}
	}
	require.Subset(t, s.handled, left)
}

func TestIndexConcurrent(t *testing.T) {
	seed := newRand(t).Uint64()
	x := NewIndex(IndexOptions{Span: 200 * time.Millisecond, MaxEntries: 60})
	s := newTestStore(x)
	var writers, refills sync.WaitGroup
	stop := make(chan struct{})
	for w := range 4 {
		writers.Go(func() {
			// Entries of one writer only, since calls for an entry are ordered.
			rnd := rand.New(rand.NewPCG(seed, uint64(w)))
			var mine []Entry
			for i := range 3000 {
				e := randomEntry(rnd, int64(i/10))
				e.Key += fmt.Sprint(w)
				s.put(e)
				mine = append(mine, e)
				if k := rnd.IntN(len(mine)); rnd.IntN(10) < 9 {
					s.remove(mine[k])
					mine[k] = mine[len(mine)-1]
					mine = mine[:len(mine)-1]
				}
			}
		})
	}
	for range 2 {
		refills.Go(func() {
			for now := int64(0); ; now++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := x.Refill(t.Context(), s, now); err != nil {
					t.Error(err)
					return
				}
				x.Due(now, 5)
				x.Next()
			}
		})
	}
	writers.Wait()
	close(stop)
	refills.Wait()
	requireComplete(t, x, s)
	drain(t, x, s)
}

func BenchmarkIndexAdd(b *testing.B) {
	b.Run("inside", func(b *testing.B) {
		x := NewIndex(IndexOptions{})
		x.skipTo(endOfTime)
		entries := make([]Entry, 1<<16)
		for i := range entries {
			entries[i] = Entry{Deadline: rand.Int64N(1 << 40), Key: fmt.Sprint(i)}
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			x.Add(entries[i%len(entries)])
		}
	})
	b.Run("beyond", func(b *testing.B) {
		x := NewIndex(IndexOptions{})
		e := Entry{Deadline: 1, Key: "k"}
		b.ReportAllocs()
		for b.Loop() {
			x.Add(e)
		}
	})
}

func BenchmarkIndexDue(b *testing.B) {
	x := NewIndex(IndexOptions{})
	x.skipTo(endOfTime)
	for i := range 1 << 16 {
		x.Add(Entry{Deadline: int64(i), Key: fmt.Sprint(i)})
	}
	b.ReportAllocs()
	for b.Loop() {
		x.Due(1000, 64)
	}
}
