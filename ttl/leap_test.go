package ttl

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
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

// A store that is opened long after it was last in use may have a wrong clock:
// removals pause, as after a leap.
func TestGapPausesRemovals(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		gap     time.Duration // from the last use to the opening
		unknown bool
		o       SweeperOptions
		paused  bool
	}{
		"a day":          {gap: day},
		"over a day":     {gap: day + time.Millisecond, paused: true},
		"ten years":      {gap: 3650 * day, paused: true},
		"back":           {gap: -3650 * day},
		"not known":      {unknown: true},
		"tolerated":      {gap: 30 * day, o: SweeperOptions{GapTolerance: 30 * day}},
		"none tolerated": {gap: time.Millisecond, o: SweeperOptions{GapTolerance: -1}, paused: true},
		"no pause":       {gap: 30 * day, o: SweeperOptions{LeapPause: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				c.o.Logger = slog.New(slog.NewTextHandler(&log, nil))
				start := Progress{Seen: epoch.Add(-c.gap).UnixMilli()}
				if c.unknown {
					start = Progress{}
				}
				r := newRigFrom(t, IndexOptions{}, start, c.o)
				r.store.write(at(-time.Hour, "a"))
				require.Equal(t, c.paused, r.Stats().Paused)
				stop := r.run()
				require.Equal(t, c.paused, r.sweep().Paused)
				if !c.paused {
					require.Len(t, r.store.handled, 1)
					stop()
					return
				}
				require.Equal(t, 1, strings.Count(log.String(), "far ahead"))
				r.advance(15*time.Minute-time.Millisecond, time.Minute)
				r.Save(t.Context())
				require.Empty(t, r.store.handled)
				for _, p := range r.store.saved {
					require.Equal(t, start.Seen, p.Seen, "the time is not accepted yet")
					require.Equal(t, epoch.UnixMilli(), p.DoubtSince)
				}
				r.store.saved = nil
				require.EqualValues(t, 1, r.Stats().Leaps)
				r.advance(time.Minute, time.Millisecond)
				require.Len(t, r.store.handled, 1)
				stop()
				require.Len(t, r.store.saved, 1)
				require.False(t, r.Stats().Paused)

				r.Sweeper = NewSweeper(r.store, r.index, r.clock, r.now, r.store.saved[0], c.o)
				require.Equal(t, c.o.GapTolerance < 0, r.Stats().Paused, "not again")
			})
		})
	}
}

// A pause goes on over openings, so that a store which is opened often and briefly
// is swept in the end; not where the clock has leapt again in between, or gone
// back.
func TestGapPauseOverOpenings(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		apart    time.Duration
		openings int // up to the one that sweeps; 0: none of ten
	}{
		"every hour":         {apart: time.Hour, openings: 2},
		"every five minutes": {apart: 5 * time.Minute, openings: 4},
		"every day":          {apart: day - time.Minute, openings: 2},
		"every other day":    {apart: 2 * day},
		"back":               {apart: -time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			progress := Progress{Seen: epoch.Add(-60 * time.Hour).UnixMilli()}
			clock := NewManualClock(epoch)
			swept := 0
			for n := 1; n <= 10 && swept == 0; n++ {
				index := NewIndex(IndexOptions{})
				store := newTestStore(index)
				store.write(at(-time.Hour*1000, "a"))
				s := NewSweeper(store, index, clock, NewMonotone(clock), progress, SweeperOptions{})
				clock.Advance(time.Minute)
				result, err := s.Sweep(t.Context())
				require.NoError(t, err)
				if !result.Paused {
					swept = n
				}
				s.Save(t.Context())
				progress = store.saved[len(store.saved)-1]
				clock.Leap(c.apart)
			}
			require.Equal(t, c.openings, swept)
			if swept > 0 {
				require.Zero(t, progress.DoubtSince)
			}
		})
	}
}

// Where no pause ever ends, nothing is left for the next opening to end it by.
func TestGapThatIsNeverAccepted(t *testing.T) {
	r := newRigFrom(t, IndexOptions{}, Progress{Seen: epoch.Add(-60 * time.Hour).UnixMilli()}, SweeperOptions{LeapPause: math.MaxInt64})
	for range 3 {
		require.True(t, r.sweep().Paused)
		r.clock.Advance(24 * time.Hour)
		r.clock.Leap(time.Hour)
	}
	r.Save(t.Context())
	require.Empty(t, r.store.saved)
}

// Damage to the progress pauses or does not, but works.
func TestDamagedProgress(t *testing.T) {
	for _, n := range []int64{math.MinInt64, -1, 1, math.MaxInt64} {
		for _, p := range []Progress{{SweptTo: n}, {Seen: n}, {Seen: 1, DoubtSince: n}, {Seen: 1, DoubtSince: n, DoubtSeen: n}, {n, n, n, n}} {
			r := newRigFrom(t, IndexOptions{}, p, SweeperOptions{})
			for range 3 {
				st, err := r.step(t.Context(), false)
				require.NoError(t, err)
				require.Positive(t, st.wait, "%+v", p)
				r.clock.Advance(20 * time.Minute)
			}
			require.False(t, r.sweep().Paused, "%+v", p)
		}
	}
}

// Save saves what is an hour old, or newer than the clock, or what was handled.
func TestSaveWhenDue(t *testing.T) {
	r := newRig(t, IndexOptions{}, 0, SweeperOptions{})
	save := func() (saved int) {
		r.store.saved = nil
		r.Save(t.Context())
		return len(r.store.saved)
	}
	r.clock.Advance(time.Hour - time.Millisecond)
	require.Zero(t, save())
	r.clock.Advance(time.Millisecond)
	require.Equal(t, 1, save())
	require.Zero(t, save())
	r.clock.Leap(-time.Minute)
	require.Equal(t, 1, save())
	require.Equal(t, at(59*time.Minute, "").Deadline, r.store.saved[0].Seen)
	require.Zero(t, save())
	r.store.put(at(time.Minute, "a"))
	require.Equal(t, 1, r.sweep().Expired)
	require.Equal(t, 1, save())
	require.Equal(t, at(59*time.Minute-5*time.Second, "").Deadline, r.store.saved[0].SweptTo)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.clock.Leap(2 * time.Hour)
	require.Zero(t, save(), "a leap is no time that entries were judged by")
	<-r.turn
	r.Save(ctx)
	r.turn <- struct{}{}
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

// Cutting to milliseconds is no leap, however little is tolerated.
func TestRoundingIsNoLeap(t *testing.T) {
	for _, tolerance := range []time.Duration{-1, 1, time.Millisecond} {
		r := newRig(t, IndexOptions{}, 0, SweeperOptions{LeapTolerance: tolerance})
		for range 100 {
			r.clock.Advance(700 * time.Microsecond)
			require.False(t, r.sweep().Paused)
		}
		r.clock.Leap(12 * time.Millisecond)
		require.True(t, r.sweep().Paused)
	}
}
