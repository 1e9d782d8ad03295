package ttl

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLeapPausesRemovals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const fiveYears = 5 * 365 * 24 * time.Hour
		var log bytes.Buffer
		r := newRig(t, IndexOptions{}, 0, SweeperOptions{
			LeapPause: 15 * time.Minute, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		for i := range 300 {
			r.store.put(at(time.Duration(i+1)*24*time.Hour, fmt.Sprint(i)))
		}
		defer r.run()()
		r.advance(10*time.Minute, time.Minute)
		r.clock.Leap(fiveYears)
		r.Wake()
		synctest.Wait()
		require.Empty(t, r.store.handled)
		stats := r.Stats()
		require.True(t, stats.Paused)
		require.EqualValues(t, 1, stats.Leaps)
		require.Equal(t, SweepResult{Paused: true}, r.sweep())

		r.advance(15*time.Minute-time.Millisecond, time.Minute)
		require.Empty(t, r.store.handled)
		require.Equal(t, 1, strings.Count(log.String(), "leapt"), "one warning")

		r.advance(time.Second, time.Millisecond)
		require.Len(t, r.store.handled, 300, "the new time is accepted")
		require.False(t, r.Stats().Paused)
		require.EqualValues(t, 1, r.Stats().Leaps)
	})
}

func TestSweepNoticesALeap(t *testing.T) {
	r := newRig(t, IndexOptions{}, 0, SweeperOptions{})
	r.store.write(at(time.Hour, "a"))
	r.clock.Leap(24 * time.Hour)
	require.Equal(t, SweepResult{Paused: true}, r.sweep())
	r.clock.Advance(15 * time.Minute)
	require.Equal(t, SweepResult{Expired: 1}, r.sweep())
}

// A leap that is put right during the pause destroys nothing, though the
// Monotone keeps standing in the future.
func TestCorrectedLeap(t *testing.T) {
	r := newRig(t, IndexOptions{}, 0, SweeperOptions{})
	r.store.write(at(time.Hour, "a"))
	r.clock.Leap(24 * time.Hour)
	require.Equal(t, SweepResult{Paused: true}, r.sweep())
	r.clock.Leap(-24 * time.Hour)
	r.clock.Advance(20 * time.Minute)
	require.Equal(t, SweepResult{}, r.sweep())
	require.Greater(t, r.now.Now(), at(time.Hour, "").Deadline)
	r.clock.Advance(time.Hour)
	require.Equal(t, SweepResult{Expired: 1}, r.sweep())
}

func TestClockGoingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{}, 0, SweeperOptions{})
		r.store.put(at(time.Minute, "a"))
		defer r.run()()
		r.clock.Leap(-10 * time.Minute)
		r.advance(10*time.Minute, time.Minute)
		require.Empty(t, r.store.handled)
		r.advance(time.Minute+5*time.Second, time.Second)
		require.Len(t, r.store.handled, 1)
		require.Zero(t, r.Stats().Leaps)
	})
}

// A wall clock that is put forward while the sweeper sleeps makes it late by
// a span at most.
func TestSleepIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{Span: time.Hour}, 0, SweeperOptions{LeapPause: -1, FullPassEvery: -1})
		r.store.put(at(30*time.Minute, "a"))
		defer r.run()()
		r.clock.Leap(-100 * time.Hour)
		r.Wake()
		synctest.Wait()
		r.clock.Leap(100 * time.Hour)
		r.advance(time.Hour, time.Minute)
		require.Len(t, r.store.handled, 1)
	})
}
