package rates

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/ttl"
)

func newLimiter(perSecond float64, burst int) (*Limiter, *ttl.ManualClock) {
	clock := ttl.NewManualClock(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	return New(perSecond, burst, clock), clock
}

func TestTake(t *testing.T) {
	l, clock := newLimiter(2, 3)
	take := func(account string) time.Duration {
		wait, ok := l.Take(account)
		require.Equal(t, ok, wait == 0)
		return wait
	}
	for range 3 {
		require.Zero(t, take("a"))
	}
	require.Equal(t, 500*time.Millisecond, take("a"))
	require.Equal(t, 500*time.Millisecond, take("a"), "what was refused costs nothing")
	require.Zero(t, take("b"), "another's")
	clock.Advance(499 * time.Millisecond)
	require.Equal(t, time.Millisecond, take("a"))
	clock.Advance(time.Millisecond)
	require.Zero(t, take("a"))
	require.NotZero(t, take("a"))
	clock.Leap(-time.Hour) // the wall clock is not asked
	require.NotZero(t, take("a"))
	clock.Advance(time.Hour)
	for range 3 {
		require.Zero(t, take("a"))
	}
	require.NotZero(t, take("a"), "no more than a burst")
}

// TestTakeSpare: what can wait leaves half of a burst to the rest, and gets the whole
// rate where there is none.
func TestTakeSpare(t *testing.T) {
	l, clock := newLimiter(2, 5)
	spare := func() bool {
		wait, ok := l.TakeSpare("a")
		require.Equal(t, ok, wait == 0)
		if !ok {
			clock.Advance(wait - 2)
			_, early := l.TakeSpare("a")
			require.False(t, early)
			clock.Advance(2)
			_, ok := l.TakeSpare("a")
			require.True(t, ok)
		}
		return ok
	}
	for range 3 {
		require.True(t, spare())
	}
	begun := clock.Elapsed()
	for range 10 {
		require.False(t, spare())
	}
	require.InDelta(t, 5*time.Second, clock.Elapsed()-begun, 100)
	for range 2 {
		_, ok := l.Take("a")
		require.True(t, ok)
	}
	_, ok := l.Take("a")
	require.False(t, ok)

	l, _ = newLimiter(1, 1)
	_, ok = l.TakeSpare("a")
	require.True(t, ok, "a burst of one is for either")
}

// TestBelowTheRate: an account that asks for less is never refused, among many that
// ask for more.
func TestBelowTheRate(t *testing.T) {
	l, clock := newLimiter(10, 10)
	for i := range 1000 {
		clock.Advance(100 * time.Millisecond)
		for j := range 20 {
			_, _ = l.Take(fmt.Sprint("greedy", j))
		}
		_, ok := l.Take("modest")
		require.True(t, ok, i)
	}
}

// TestMemoryIsBounded: a million accounts are not remembered, and one that is at the limit
// stays there as long as there is room.
func TestMemoryIsBounded(t *testing.T) {
	l, clock := newLimiter(1, 1)
	_, ok := l.Take("greedy")
	require.True(t, ok)
	n := 300_000
	if testing.Short() {
		n = 100_000
	}
	for i := range n {
		clock.Advance(time.Microsecond)
		_, _ = l.Take(fmt.Sprint(i))
		if i == 1000 {
			_, ok := l.Take("greedy")
			require.False(t, ok)
		}
	}
	for i := range l.parts {
		require.LessOrEqual(t, len(l.parts[i].buckets), maxPerShard)
	}

	// Full buckets go first.
	l, clock = newLimiter(1, 1)
	for i := range shards * maxPerShard {
		_, _ = l.Take(fmt.Sprint(i))
	}
	clock.Advance(time.Second)
	const greedy = 200
	for i := range greedy {
		_, _ = l.Take(fmt.Sprint("greedy", i))
	}
	for i := range shards * maxPerShard / 4 {
		_, _ = l.Take(fmt.Sprint("new", i))
	}
	for i := range greedy {
		_, ok = l.Take(fmt.Sprint("greedy", i))
		require.False(t, ok)
	}
}

func TestConcurrentTakes(t *testing.T) {
	l, _ := newLimiter(1, 1000)
	var taken [4]int
	var takers sync.WaitGroup
	for i := range taken {
		takers.Go(func() {
			for range 1000 {
				if _, ok := l.Take("a"); ok {
					taken[i]++
				}
			}
		})
	}
	takers.Wait()
	require.Equal(t, 1000, taken[0]+taken[1]+taken[2]+taken[3])
}
