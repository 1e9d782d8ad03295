package storeclock_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog/internal/storeclock"
	"github.com/shelflife-db/shelflife/ttl"
)

var epoch = time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC)

// TestFollowsStore: the process's wall clock has no say, and what an answer took
// on its way is all that the store is ahead.
func TestFollowsStore(t *testing.T) {
	process := ttl.NewManualClock(epoch.Add(-700 * time.Hour))
	c := storeclock.New(process)
	require.False(t, c.Observed())
	require.Zero(t, c.Now().UnixMilli())
	require.False(t, c.Fresh())
	store := epoch.UnixMilli()
	c.Observe(store)
	require.True(t, c.Fresh())
	require.True(t, c.Observed())
	process.Leap(1000 * time.Hour)
	require.Equal(t, store, c.Now().UnixMilli())
	process.Advance(3 * time.Second)
	require.Equal(t, store+3000, c.Now().UnixMilli())
	c.Observe(store + 2000) // its answer took a second
	require.Equal(t, store+3000, c.Now().UnixMilli(), "the quicker answer counts")
	c.Observe(store + 3500)
	require.Equal(t, store+3500, c.Now().UnixMilli(), "never behind a read")
}

// TestFresh: a time that was observed counts for ten seconds.
func TestFresh(t *testing.T) {
	process := ttl.NewManualClock(epoch)
	c := storeclock.New(process)
	for range 3 {
		c.Observe(epoch.UnixMilli())
		process.Advance(10*time.Second - 1)
		require.True(t, c.Fresh())
		process.Advance(1)
		require.False(t, c.Fresh())
	}
}

// TestFollowsStoreBack: a clock that was set back, or that runs slower than the
// process's, is followed.
func TestFollowsStoreBack(t *testing.T) {
	process := ttl.NewManualClock(epoch)
	c := storeclock.New(process)
	store := epoch.UnixMilli()
	c.Observe(store)
	for range 3 {
		process.Advance(10 * time.Second)
		c.Observe(store)
	}
	require.Equal(t, store+10_000, c.Now().UnixMilli(), "what the window before had")
	process.Advance(time.Hour)
	c.Observe(store - 5)
	require.Equal(t, store-5, c.Now().UnixMilli(), "nothing is left of an hour ago")
}
