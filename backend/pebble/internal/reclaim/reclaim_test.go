package reclaim

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// has reports whether the range from start to end is part of s.
func (s *rangeSet) has(start, end []byte) bool {
	at := s.find(end)
	return at < len(s.ranges) && bytes.Compare(s.ranges[at].Start, start) <= 0
}

// TestRanges: a set holds all that was added, in few ranges that are in order and
// apart, and nothing else as long as there are few.
func TestRanges(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		var s rangeSet
		var added []Range
		adds := rng.IntN(3 * maxRanges)
		in := func(key []byte) bool {
			return slices.ContainsFunc(added, func(r Range) bool {
				return bytes.Compare(r.Start, key) <= 0 && bytes.Compare(key, r.End) <= 0
			})
		}
		for range adds {
			start := fmt.Appendf(nil, "%03d", rng.IntN(1000))
			end := start
			if rng.IntN(3) == 0 {
				end = fmt.Appendf(nil, "%03d", min(999, int(rng.ExpFloat64()*30)))
				if bytes.Compare(end, start) < 0 {
					start, end = end, start
				}
			}
			r := Range{bytes.Clone(start), bytes.Clone(end)}
			s.add(start, end)
			clear(start) // it keeps none of it
			clear(end)
			added = append(added, r)
		}
		require.LessOrEqual(t, len(s.ranges), maxRanges)
		for i, r := range s.ranges {
			require.LessOrEqual(t, bytes.Compare(r.Start, r.End), 0)
			require.True(t, i == 0 || bytes.Compare(s.ranges[i-1].End, r.Start) < 0, "in order and apart")
		}
		for n := range 1000 {
			key := fmt.Appendf(nil, "%03d", n)
			if in(key) {
				require.True(t, s.has(key, key), "%s", key)
			} else if adds <= maxRanges {
				require.False(t, s.has(key, key), "%s", key)
			}
		}
	}
}

// TestRangesJoinNeighbours: what is deleted in one account does not make the
// others' keys count.
func TestRangesJoinNeighbours(t *testing.T) {
	var s rangeSet
	s.add([]byte("other/1"), []byte("other/1"))
	for i := range 10 * maxRanges {
		key := fmt.Appendf(nil, "acme/%05d", 7*i)
		s.add(key, key)
	}
	s.add([]byte("zero"), []byte("zero"))
	require.False(t, s.has([]byte("b"), []byte("b")))
	require.False(t, s.has([]byte("p"), []byte("p")))
	require.True(t, s.has([]byte("other/1"), []byte("other/1")))
}

func TestLedger(t *testing.T) {
	start := time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC)
	const mib, gib = 1 << 20, 1 << 30
	key := []byte("k")
	for name, c := range map[string]struct {
		eraseWithin time.Duration
		deleted     int
		live        int64
		after       map[time.Duration]Pass // of the deletion
	}{
		"nothing":                   {24 * time.Hour, 0, gib, map[time.Duration]Pass{1000 * time.Hour: None}},
		"little":                    {24 * time.Hour, 100, gib, map[time.Duration]Pass{time.Hour: None, 17 * time.Hour: None, 18 * time.Hour: Erase}},
		"little, within a minute":   {time.Minute, 100, gib, map[time.Duration]Pass{44 * time.Second: None, 45 * time.Second: Erase}},
		"little, for ever":          {-1, 100, gib, map[time.Duration]Pass{1000 * time.Hour: None}},
		"much":                      {24 * time.Hour, 64 * mib, 100 * mib, map[time.Duration]Pass{time.Minute: None, 2 * time.Minute: Room, 18 * time.Hour: Erase}},
		"much, for ever":            {-1, 64 * mib, 100 * mib, map[time.Duration]Pass{2 * time.Minute: Room}},
		"less than a tenth":         {-1, 99 * mib, gib, map[time.Duration]Pass{time.Hour: None}},
		"a tenth":                   {-1, gib / 10, gib, map[time.Duration]Pass{2 * time.Minute: Room}},
		"half of what is not worth": {-1, 32 * mib, 32 * mib, map[time.Duration]Pass{time.Hour: None}},
	} {
		t.Run(name, func(t *testing.T) {
			for after, want := range c.after {
				l := NewLedger(c.eraseWithin)
				require.Equal(t, None, l.Due(start, c.live))
				if c.deleted > 0 {
					l.Deleted(Key{key, c.deleted})
				}
				require.Equal(t, None, l.Due(start, c.live))
				require.Equal(t, want, l.Due(start.Add(after), c.live), "after %v", after)
				if want == None {
					continue
				}
				d := l.Begin()
				require.Equal(t, []Range{{key, key}}, d.Ranges)
				require.Equal(t, None, l.Due(start.Add(after), c.live), "it is being dealt with")
				l.Return(d, true)
				l.Due(start.Add(after), c.live)
				require.Equal(t, want, l.Due(start.Add(after+settle), c.live), "it failed")
			}
		})
	}
}

// TestLedgerHoldsRuns: many keys that are noted at once are held, in whatever order they
// come, and those of others between them are not.
func TestLedgerHoldsRuns(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	l := NewLedger(time.Hour)
	for range 50 {
		var keys []Key
		for _, account := range []string{"acme", "zero"} {
			near := rng.IntN(10_000_000)
			for i := range 64 {
				keys = append(keys, Key{fmt.Appendf(nil, "%s/%08d", account, near+7*i+rng.IntN(7)), 1})
			}
		}
		if rng.IntN(2) == 0 {
			rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		}
		l.Deleted(keys...)
		for i, r := range l.deleted.ranges {
			require.LessOrEqual(t, bytes.Compare(r.Start, r.End), 0)
			require.True(t, i == 0 || bytes.Compare(l.deleted.ranges[i-1].End, r.Start) < 0, "in order and apart")
		}
		for _, k := range keys {
			require.True(t, l.deleted.has(k.Key, k.Key), "%s", k.Key)
		}
	}
	require.False(t, l.deleted.has([]byte("b"), []byte("b")))
}

// TestLedgerAfterRoom: what a pass has given back the room of is still to be
// erased, by the deadline that it has.
func TestLedgerAfterRoom(t *testing.T) {
	start := time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC)
	l := NewLedger(24 * time.Hour)
	l.Due(start, 0)
	l.Deleted(Key{[]byte("k"), substantial})
	l.Due(start, 0)
	require.Equal(t, Room, l.Due(start.Add(settle), 0))
	l.Return(l.Begin(), false)
	require.Equal(t, None, l.Due(start.Add(time.Hour), 0))
	require.Equal(t, None, l.Due(start.Add(2*time.Hour), 0))
	require.Equal(t, Erase, l.Due(start.Add(18*time.Hour), 0))
	l.Begin()
	_, owed := l.Since()
	require.False(t, owed)
	require.Equal(t, None, l.Due(start.Add(100*time.Hour), 0))
}

// TestLedgerTakesOver: a store that was left with something owed goes on where it
// was, though it is not known what it is, or since when.
func TestLedgerTakesOver(t *testing.T) {
	start := time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		since time.Time
		due   time.Duration
	}{
		"since a time":    {start.Add(-10 * time.Hour), 8 * time.Hour},
		"since long":      {start.Add(-100 * time.Hour), 0},
		"unknown":         {time.Time{}, 18 * time.Hour},
		"the clock leapt": {start.Add(100 * time.Hour), 18 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLedger(24 * time.Hour)
			l.OwedSince(c.since)
			if c.due > 0 {
				require.Equal(t, None, l.Due(start, 0))
				require.Equal(t, None, l.Due(start.Add(c.due-1), 0))
			}
			require.Equal(t, Erase, l.Due(start.Add(c.due), 0))
			require.Equal(t, []Range{Everything}, l.Begin().Ranges)
		})
	}
}

func TestCommonPrefix(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789"), 3)
	for n := range len(long) {
		other := bytes.Clone(long)
		other[n] ^= 0x80
		require.Equal(t, n, commonPrefix(long, other))
		require.Equal(t, n, commonPrefix(long, long[:n]))
		require.Equal(t, n, commonPrefix(other[:n], long))
		other[len(long)-1] ^= 1
		require.Equal(t, n, commonPrefix(long, other))
	}
	require.Equal(t, len(long), commonPrefix(long, bytes.Clone(long)))
}
