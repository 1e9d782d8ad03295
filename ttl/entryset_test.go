package ttl

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEntrySetRandom: whatever order entries come and go in, a set has them once and in
// order, with the notes that came last.
func TestEntrySetRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 100 {
		s := newEntrySet()
		var want []Entry // in order
		scanned := int64(0)
		for range 300 {
			e := Entry{Deadline: rng.Int64N(40), Key: fmt.Sprint(rng.IntN(3)), Note: fmt.Sprint(rng.IntN(3))}
			place := func() (int, bool) {
				return slices.BinarySearchFunc(want, e, func(a, b Entry) int {
					switch {
					case a.less(b):
						return -1
					case b.less(a):
						return 1
					}
					return 0
				})
			}
			switch rng.IntN(6) {
			case 0:
				s.Insert(e)
			case 1, 2: // most in order, now and then from the beginning
				if scanned += rng.Int64N(3); rng.IntN(20) == 0 {
					scanned = 0
				}
				e.Deadline = scanned
				s.Append(e)
			case 3:
				s.Delete(e)
				if i, found := place(); found {
					want = slices.Delete(want, i, i+1)
				}
				e.Deadline = -1
			case 4:
				if first, ok := s.Min(); ok {
					s.Delete(first)
					want = want[1:]
				}
				e.Deadline = -1
			case 5:
				if last, ok := s.Max(); ok {
					s.Delete(last)
					want = want[:len(want)-1]
				}
				e.Deadline = -1
			}
			if e.Deadline >= 0 {
				if i, found := place(); found {
					want[i] = e
				} else {
					want = slices.Insert(want, i, e)
				}
			}
			requireEntries(t, want, &s, rng.IntN(len(want)+1))
		}
	}
}

// requireEntries looks at a set in every way, and at the first so many of it.
func requireEntries(t *testing.T, want []Entry, s *entrySet, some int) {
	t.Helper()
	require.Equal(t, len(want), s.Len())
	var got []Entry
	s.Ascend(func(e Entry) bool { got = append(got, e); return true })
	require.True(t, slices.Equal(want, got), "%v, want %v", got, want)
	got = nil
	s.Ascend(func(e Entry) bool {
		if len(got) == some {
			return false
		}
		got = append(got, e)
		return true
	})
	require.Len(t, got, some)
	first, ok := s.Min()
	last, okLast := s.Max()
	require.Equal(t, len(want) > 0, ok)
	require.Equal(t, ok, okLast)
	if ok {
		require.Equal(t, want[0], first)
		require.Equal(t, want[len(want)-1], last)
	}
	for deadline := range int64(40) {
		e := Entry{Deadline: deadline, Key: "1"}
		require.Equal(t, slices.ContainsFunc(want, e.is), s.Has(e))
	}
}

// TestEntrySetForgets: a set that has become empty keeps no memory of what it had.
func TestEntrySetForgets(t *testing.T) {
	for _, n := range []int64{maxKeptRun / 2, 10 * maxKeptRun} {
		s := newEntrySet()
		for i := range n {
			s.Append(Entry{Deadline: i, Key: "k"})
		}
		for first, ok := s.Min(); ok; first, ok = s.Min() {
			s.Delete(first)
		}
		require.LessOrEqual(t, cap(s.run), maxKeptRun)
		for _, e := range s.run[:cap(s.run)] {
			require.Zero(t, e)
		}
	}
}
