package ttl

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var errBroken = errors.New("broken")

// rig is a sweeper with everything around it, its clock standing at epoch.
// Deadlines are given relative to epoch.
type rig struct {
	*Sweeper
	t     *testing.T
	clock *ManualClock
	now   *Monotone
	index *Index
	store *testStore
}

func newRig(t *testing.T, io IndexOptions, sweptTo int64, o SweeperOptions) *rig {
	return newRigFrom(t, io, Progress{SweptTo: sweptTo, Seen: epoch.UnixMilli()}, o)
}

func newRigFrom(t *testing.T, io IndexOptions, start Progress, o SweeperOptions) *rig {
	r := &rig{t: t, clock: NewManualClock(epoch), index: NewIndex(io)}
	r.now = NewMonotone(r.clock)
	r.store = newTestStore(r.index)
	r.Sweeper = NewSweeper(r.store, r.index, r.clock, r.now, start, o)
	return r
}

func at(d time.Duration, key string) Entry {
	return Entry{Deadline: epoch.UnixMilli() + ms(d), Key: key}
}

// run starts Run and returns a function that ends it. It needs a bubble of
// synctest, which fails the test if a goroutine stays behind.
func (r *rig) run() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	synctest.Wait()
	return func() { cancel(); <-done }
}

// advance moves time in steps, with Run coming to rest after each.
func (r *rig) advance(total, step time.Duration) {
	for ; total > 0; total -= step {
		r.clock.Advance(min(step, total))
		synctest.Wait()
	}
}

func (r *rig) sweep() SweepResult {
	r.t.Helper()
	result, err := r.Sweep(r.t.Context())
	require.NoError(r.t, err)
	return result
}

func TestRunHandlesInOrderAfterGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{}, 0, SweeperOptions{Grace: 5 * time.Second})
		r.store.write(at(20*time.Second, "b"), at(20*time.Second, "a"), at(10*time.Second, "c"))
		defer r.run()()
		require.Equal(t, 1, r.clock.Timers(), "it sleeps")

		r.advance(15*time.Second-time.Millisecond, time.Hour)
		require.Empty(t, r.store.handled)
		r.advance(time.Millisecond, time.Hour)
		require.Equal(t, []Entry{at(10*time.Second, "c")}, r.store.handled)
		require.Equal(t, at(10*time.Second, "").Deadline, r.Horizon())
		r.advance(time.Minute, 10*time.Second)
		require.Equal(t, []Entry{at(10*time.Second, "c"), at(20*time.Second, "a"), at(20*time.Second, "b")}, r.store.handled)
		require.EqualValues(t, 3, r.Stats().Expired)
		require.Zero(t, r.index.Len())
	})
}

func TestRunWakesForEarlierDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{}, 0, SweeperOptions{})
		r.store.write(at(30*time.Minute, "late"))
		defer r.run()()
		require.True(t, r.store.put(at(time.Minute, "early")))
		r.Wake()
		r.Wake()
		synctest.Wait()
		r.advance(time.Minute+5*time.Second, time.Hour)
		require.Equal(t, []Entry{at(time.Minute, "early")}, r.store.handled)
	})
}

// An idle sweeper reads the source for each new part of the window, saves once
// an hour that it was there, and does nothing else.
func TestRunDoesNotPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{Span: time.Hour}, 0, SweeperOptions{FullPassEvery: -1})
		stop := r.run()
		r.advance(24*time.Hour, time.Minute)
		stop()
		require.Empty(t, r.store.batches)
		require.Len(t, r.store.saved, 24)
		require.Equal(t, Progress{
			SweptTo: at(24*time.Hour-5*time.Second, "").Deadline,
			Seen:    at(24*time.Hour, "").Deadline,
		}, r.store.saved[23])
		require.LessOrEqual(t, len(r.store.scans), 33)
		require.GreaterOrEqual(t, len(r.store.scans), 31)
		require.EqualValues(t, len(r.store.scans), r.Stats().Refills)
		require.Zero(t, r.clock.Timers(), "no timer stays behind")
	})
}

func TestRunFindsWhatIsBeyondTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{Span: time.Hour}, 0, SweeperOptions{FullPassEvery: -1})
		defer r.run()()
		var want []Entry
		for i := range 50 {
			e := at(time.Duration(i)*17*time.Minute+time.Hour, fmt.Sprint(i))
			r.store.put(e)
			want = append(want, e)
		}
		for r.clock.Now().Before(epoch.Add(15 * time.Hour)) {
			r.advance(10*time.Second, time.Minute)
			for _, e := range want {
				due := e.Deadline+5000 <= r.now.Now()
				require.Equal(t, due, !r.store.handledLast().less(e), "%v at %v", e, r.clock.Elapsed())
			}
		}
		require.Equal(t, want, r.store.handled)
	})
}

func TestRunPausesBetweenBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{}, 0, SweeperOptions{BatchSize: 4, Pause: time.Second})
		for i := range 10 {
			r.store.write(at(-time.Minute, fmt.Sprint(i)))
		}
		stop := r.run()
		require.Equal(t, []int{4}, r.store.batches)
		r.Wake()
		synctest.Wait()
		require.Equal(t, []int{4}, r.store.batches, "a wake-up does not cut the pause")
		r.advance(time.Second, time.Second)
		require.Equal(t, []int{4, 4}, r.store.batches)
		stop() // in the middle of a pause
		require.Len(t, r.store.handled, 8)
		require.Zero(t, r.clock.Timers())
	})
}

func TestHugeBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const backlog = 100_000
		r := newRig(t, IndexOptions{MaxEntries: 10_000}, 0, SweeperOptions{Pause: -1})
		for i := range backlog {
			r.store.write(at(-time.Duration(i)*time.Second-time.Minute, fmt.Sprint(i)))
		}
		want := r.store.all()
		defer r.run()()
		require.Equal(t, want, r.store.handled)
		require.Empty(t, r.store.all())
		require.Less(t, len(r.store.scans), 30, "several windows, not one for each batch")
		require.EqualValues(t, backlog, r.Stats().Expired)
		require.GreaterOrEqual(t, int(r.Stats().Batches), backlog/128)
	})
}

func TestOneDeadlineFloodIsSwept(t *testing.T) {
	r := newRig(t, IndexOptions{MaxEntries: 10}, 0, SweeperOptions{BatchSize: 3})
	for i := range 205 {
		r.store.write(at(-time.Minute, fmt.Sprintf("%03d", i)))
	}
	want := r.store.all()
	require.Equal(t, SweepResult{Expired: 205}, r.sweep())
	require.Equal(t, want, r.store.handled)
	require.Equal(t, SweepResult{}, r.sweep())
}

func TestMovedEntriesComeAgain(t *testing.T) {
	r := newRig(t, IndexOptions{}, 0, SweeperOptions{})
	r.store.write(at(-time.Minute, "used"), at(-time.Minute, "unused"))
	r.store.onExpire = func(due []Entry) (int, error) {
		for _, e := range due {
			if e.Key == "used" && e.Deadline < epoch.UnixMilli() {
				r.store.put(at(time.Minute, "used"))
				r.store.drop(e)
				continue
			}
			r.store.removeAll([]Entry{e})
		}
		return len(due), nil
	}
	require.Equal(t, SweepResult{Expired: 2}, r.sweep())
	require.Equal(t, []Entry{at(-time.Minute, "unused")}, r.store.handled)
	r.clock.Advance(2 * time.Minute)
	require.Equal(t, SweepResult{Expired: 1}, r.sweep())
	require.Equal(t, at(time.Minute, "used"), r.store.handled[1])
}

// An entry that is written again while the store has it in hand stays known.
func TestEntryWrittenAgainDuringExpire(t *testing.T) {
	r := newRig(t, IndexOptions{}, 0, SweeperOptions{})
	e := at(-time.Minute, "a")
	r.store.write(e)
	again := true
	r.store.onExpire = func(due []Entry) (int, error) {
		r.store.removeAll(due)
		if again {
			again = false
			r.store.put(e)
		}
		return len(due), nil
	}
	require.Equal(t, SweepResult{Expired: 2}, r.sweep())
	require.Empty(t, r.store.all())
}

func TestPartlyDone(t *testing.T) {
	r := newRig(t, IndexOptions{}, 0, SweeperOptions{})
	for i := range 10 {
		r.store.write(at(-time.Minute, fmt.Sprint(i)))
	}
	want := r.store.all()
	r.store.onExpire = func(due []Entry) (int, error) { return r.store.removeAll(due[:min(3, len(due))]), nil }
	require.Equal(t, SweepResult{Expired: 10}, r.sweep())
	require.Equal(t, want, r.store.handled)
	require.Equal(t, []int{10, 7, 4, 1}, r.store.batches)

	r.store.write(at(-time.Minute, "x"))
	require.NoError(t, r.index.Rescan(t.Context(), r.store, 0, r.now.Now()))
	r.store.onExpire = func([]Entry) (int, error) { return 0, nil }
	_, err := r.Sweep(t.Context())
	require.ErrorIs(t, err, errNoProgress, "no endless loop")
}

// A window that a batch uses up to its end is followed by the next.
func TestWindowsOfABatch(t *testing.T) {
	r := newRig(t, IndexOptions{MaxEntries: 3}, 0, SweeperOptions{BatchSize: 3, SaveEvery: -1})
	for i := range 9 {
		r.store.write(at(time.Duration(i)*time.Second-time.Minute, fmt.Sprint(i)))
	}
	require.Equal(t, SweepResult{Expired: 9}, r.sweep())
	require.Equal(t, []int64{
		at(3*time.Second-time.Minute, "").Deadline,
		at(6*time.Second-time.Minute, "").Deadline,
		at(-5*time.Second, "").Deadline,
	}, r.store.sweptTo(), "progress stops where the window does")
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := at(-time.Hour, "").Deadline
		r := newRig(t, IndexOptions{}, start, SweeperOptions{FullPassEvery: 10 * time.Hour, SaveEvery: time.Minute})
		behind := at(-2*time.Hour, "behind the progress")
		r.store.write(behind, at(-30*time.Minute, "a"), at(10*time.Minute, "b"))
		defer r.run()()
		require.Equal(t, []int64{start}, r.store.scans, "it starts at the hint")
		require.Equal(t, []Entry{at(-30*time.Minute, "a")}, r.store.handled)
		require.Empty(t, r.store.saved)
		r.advance(2*time.Minute, time.Second)
		require.Equal(t, []int64{at(time.Minute-5*time.Second, "").Deadline}, r.store.sweptTo(),
			"saved once, at the horizon of that time")
		r.advance(50*time.Minute, time.Second)
		require.Equal(t, at(10*time.Minute, "b"), r.store.handled[1])
		require.NotContains(t, r.store.handled, behind)

		r.advance(10*time.Minute, time.Second)
		require.Contains(t, r.store.handled, behind, "a full pass finds it")
		require.EqualValues(t, 1, r.Stats().FullPasses)
		require.Contains(t, r.store.scans, int64(0))
	})
}

func TestSaveProgressStopsBeforeWhatFails(t *testing.T) {
	r := newRig(t, IndexOptions{}, 0, SweeperOptions{SaveEvery: -1})
	r.store.write(at(-time.Minute, "a"), at(-30*time.Second, "b"))
	r.store.onExpire = func(due []Entry) (int, error) { return r.store.removeAll(due[:1]), nil }
	require.Equal(t, SweepResult{Expired: 2}, r.sweep())
	require.Equal(t, []int64{at(-30*time.Second, "").Deadline, at(-5*time.Second, "").Deadline}, r.store.sweptTo())
}

func TestRescanFindsOtherProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{}, 0, SweeperOptions{FullPassEvery: -1, Rescan: time.Minute})
		defer r.run()()
		r.store.write(at(5*time.Minute, "other process"))
		r.advance(5*time.Minute+5*time.Second, time.Second)
		require.Len(t, r.store.handled, 1)
		require.EqualValues(t, 5, r.Stats().Rescans)
	})
}

func TestSweepBesideRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{}, 0, SweeperOptions{BatchSize: 2, Pause: time.Hour})
		for i := range 20 {
			r.store.write(at(-time.Minute, fmt.Sprint(i)))
		}
		want := r.store.all()
		defer r.run()()
		require.Equal(t, SweepResult{Expired: 18}, r.sweep(), "Run is in its pause")
		require.Equal(t, want, r.store.handled)
	})
}

func TestContextEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{}, 0, SweeperOptions{})
		r.store.write(at(-time.Minute, "a"))
		for range maxFailures {
			ctx, cancel := context.WithCancel(t.Context())
			r.store.onExpire = func([]Entry) (int, error) { cancel(); return 0, ctx.Err() }
			_, err := r.Sweep(ctx)
			require.ErrorIs(t, err, context.Canceled)
			r.Run(ctx)
			_, err = r.Sweep(ctx)
			require.ErrorIs(t, err, context.Canceled)
		}
		require.Zero(t, r.Stats().Errors, "that is no error of the store")
		require.Zero(t, r.Stats().SetAside)
		require.Equal(t, 1, r.index.Len(), "nothing is lost")

		r.store.onExpire = nil
		defer r.run()()
		require.Len(t, r.store.handled, 1, "and nothing to back off from")
	})
}

// Whatever is written and whatever fails: nothing goes early, and everything
// goes in the end.
func TestSweeperRandom(t *testing.T) {
	rnd := newRand(t)
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, IndexOptions{Span: 10 * time.Minute, MaxEntries: 1 + rnd.IntN(30)}, 0,
				SweeperOptions{BatchSize: 1 + rnd.IntN(5), Grace: 3 * time.Second, FullPassEvery: 4 * time.Hour})
			r.store.scanErr = func(Entry) error {
				if rnd.IntN(100) == 0 {
					return errBroken
				}
				return nil
			}
			r.store.onExpire = func(due []Entry) (int, error) {
				for _, e := range due {
					if e.Deadline+3000 > r.clock.Now().UnixMilli() {
						t.Errorf("%v came at %v", e, r.clock.Now())
					}
				}
				done := rnd.IntN(len(due) + 1)
				r.store.removeAll(due[:done])
				if done < len(due) && rnd.IntN(2) == 0 || done == 0 {
					return done, errBroken
				}
				return done, nil
			}
			defer r.run()()
			for i := range 300 {
				if all := r.store.all(); rnd.IntN(4) == 0 && len(all) > 0 {
					r.store.remove(all[rnd.IntN(len(all))])
				}
				e := Entry{Deadline: r.clock.Now().UnixMilli() + rnd.Int64N(ms(30*time.Minute)), Key: fmt.Sprint(i)}
				if r.store.put(e) {
					r.Wake()
				}
				synctest.Wait()
				if rnd.IntN(50) == 0 {
					r.clock.Leap(time.Duration(rnd.Int64N(int64(2*time.Minute))) - time.Minute)
				}
				r.advance(time.Duration(rnd.Int64N(int64(20*time.Second))), 5*time.Second)
			}
			r.store.scanErr, r.store.onExpire = nil, nil
			r.advance(90*time.Minute, time.Second)
			require.Empty(t, r.store.all())
		})
	}
}
