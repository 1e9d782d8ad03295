package ttl

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestErrorsBackOffAndLoseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := newRig(t, IndexOptions{}, 0, SweeperOptions{
			RetryMin: time.Second, RetryMax: 4 * time.Second,
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		for i := range 5 {
			r.store.write(at(-time.Minute, fmt.Sprintf("secret%d", i)))
		}
		want := r.store.all()
		r.store.onExpire = func(due []Entry) (int, error) { return r.store.removeAll(due[:1]), errBroken }
		defer r.run()()
		calls := func() int { return len(r.store.batches) }
		require.Equal(t, 1, calls())
		r.Wake()
		synctest.Wait()
		require.Equal(t, 1, calls(), "a wake-up does not cut the backoff")
		for i, wait := range []time.Duration{1, 2, 4, 4} {
			r.advance(wait*time.Second-1, time.Hour)
			require.Equal(t, i+1, calls())
			if i == 3 {
				r.store.onExpire = nil
			}
			r.advance(1, time.Hour)
			require.Equal(t, i+2, calls())
		}
		require.Equal(t, want, r.store.handled)
		require.EqualValues(t, 4, r.Stats().Errors)
		require.ErrorIs(t, r.Stats().LastError, errBroken)
		require.Equal(t, 4, strings.Count(log.String(), "level=WARN"))
		require.NotContains(t, log.String(), "secret")
	})
}

func TestSourceErrorsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{}, 0, SweeperOptions{})
		r.store.write(at(-time.Minute, "a"), at(-time.Second*50, "b"))
		r.store.scanErr = func(e Entry) error {
			if e.Key == "b" {
				return errBroken
			}
			return nil
		}
		defer r.run()()
		require.Len(t, r.store.handled, 1, "what was read is handled")
		r.store.scanErr = nil
		require.Len(t, r.store.scans, 1)
		r.advance(time.Second, time.Hour)
		require.Len(t, r.store.handled, 2)
	})
}

// One entry that always fails holds up the others only for a few attempts, and
// gets its turn again.
func TestBadEntryIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{}, 0, SweeperOptions{RetryMax: 4 * time.Second, FullPassEvery: -1, SaveEvery: time.Hour})
		for i := range 6 {
			r.store.write(at(-time.Minute, fmt.Sprint(i)))
		}
		r.store.onExpire = func(due []Entry) (done int, err error) {
			for _, e := range due {
				if e.Key == "2" {
					return done, errBroken
				}
				done += r.store.removeAll([]Entry{e})
			}
			return done, nil
		}
		defer r.run()()
		require.Len(t, r.store.handled, 2)
		r.advance(30*time.Second, time.Second)
		require.Equal(t, []Entry{at(-time.Minute, "2")}, r.store.all())
		require.Equal(t, 1, r.Stats().SetAside)
		require.EqualValues(t, maxFailures, r.Stats().Errors, "it is at rest")
		require.Equal(t, at(-time.Minute, "").Deadline, r.Stats().SweptTo, "not past it")

		r.store.onExpire = nil
		r.advance(time.Minute, time.Second)
		require.Empty(t, r.store.all())
		require.Zero(t, r.Stats().SetAside)
	})
}

// More than a batch that fails is an outage: the order stays.
func TestSetAsideIsBounded(t *testing.T) {
	r := newRig(t, IndexOptions{}, 0, SweeperOptions{BatchSize: 2, FullPassEvery: -1})
	for i := range 5 {
		r.store.write(at(-time.Minute, fmt.Sprint(i)))
	}
	r.store.onExpire = func([]Entry) (int, error) { return 0, errBroken }
	for range 20 {
		_, err := r.Sweep(t.Context())
		require.ErrorIs(t, err, errBroken)
	}
	require.Equal(t, 2, r.Stats().SetAside)
	require.Equal(t, 3, r.index.Len())
	r.clock.Advance(5 * time.Minute)
	r.store.onExpire = nil
	require.Equal(t, SweepResult{Expired: 5}, r.sweep())
}

// An entry that fails now and then, but not in a row, keeps its place.
func TestFailuresInARow(t *testing.T) {
	r := newRig(t, IndexOptions{}, 0, SweeperOptions{FullPassEvery: -1})
	a := at(-time.Minute, "a")
	r.store.write(a, at(-time.Minute, "b"))
	fails := true
	r.store.onExpire = func(due []Entry) (int, error) {
		if fails {
			return 0, errBroken
		}
		return r.store.removeAll(due), nil
	}
	for _, want := range []int{2, 1} {
		for range maxFailures - 1 {
			_, err := r.Sweep(t.Context())
			require.ErrorIs(t, err, errBroken)
		}
		fails = false
		require.Equal(t, SweepResult{Expired: want}, r.sweep())
		fails = true
		r.store.write(a)
		require.NoError(t, r.index.Rescan(t.Context(), r.store, 0, r.now.Now()))
	}
	require.Zero(t, r.Stats().SetAside)
}

func TestBackoffStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{}, 0, SweeperOptions{Grace: -1, RetryMin: time.Second, RetryMax: time.Hour})
		r.store.write(at(-time.Second, "a"), at(time.Minute, "b"))
		fails := 0
		r.store.onExpire = func(due []Entry) (int, error) {
			if fails > 0 {
				fails--
				return 0, errBroken
			}
			return r.store.removeAll(due), nil
		}
		fails = 2
		defer r.run()()
		r.advance(3*time.Second, time.Second)
		require.Len(t, r.store.handled, 1, "after 1 s and 2 s")
		fails = 1
		r.advance(58*time.Second, time.Second)
		require.Len(t, r.store.handled, 2, "after 1 s")
	})
}

func TestSweepDoesNotWaitForTheBackoff(t *testing.T) {
	r := newRig(t, IndexOptions{}, 0, SweeperOptions{})
	r.store.write(at(-time.Minute, "a"))
	r.store.onExpire = func([]Entry) (int, error) { return 0, errBroken }
	_, err := r.Sweep(t.Context())
	require.ErrorIs(t, err, errBroken)
	r.store.onExpire = nil
	require.Equal(t, SweepResult{Expired: 1}, r.sweep())
}

// A store that fails for long gets everything back when it works again.
func TestLongOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{MaxEntries: 20}, 0, SweeperOptions{BatchSize: 4, FullPassEvery: -1})
		for i := range 100 {
			r.store.put(at(time.Duration(i)*time.Minute, fmt.Sprint(i)))
		}
		r.store.onExpire = func([]Entry) (int, error) { return 0, errBroken }
		defer r.run()()
		r.advance(3*time.Hour, 10*time.Second)
		require.Len(t, r.store.all(), 100)
		r.store.onExpire = nil
		r.advance(10*time.Minute, time.Second)
		require.Empty(t, r.store.all())
	})
}

// Later entries that fill the index while a read fails do not hide the earlier
// ones that it did not get to.
func TestLaterEntriesDoNotHideEarlierOnes(t *testing.T) {
	r := newRig(t, IndexOptions{MaxEntries: 4}, 0, SweeperOptions{FullPassEvery: -1})
	r.store.write(at(-time.Minute, "a"))
	r.store.scanErr = func(Entry) error {
		for i := range 4 {
			r.store.put(at(time.Duration(i+10)*time.Minute, "later"))
		}
		return errBroken
	}
	_, err := r.Sweep(t.Context())
	require.ErrorIs(t, err, errBroken)
	require.Equal(t, 4, r.index.Len())
	r.store.scanErr = nil
	require.Equal(t, SweepResult{Expired: 1}, r.sweep())
}

// A store that handles batches as a whole or not at all does not have the
// good entries blamed for the bad one among them.
func TestBadEntryFailsItsBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{}, 0, SweeperOptions{BatchSize: 16, FullPassEvery: -1, SaveEvery: time.Hour})
		for i := range 40 {
			r.store.write(at(-time.Minute, fmt.Sprintf("%02d", i)))
		}
		bad := at(-time.Minute, "11")
		r.store.onExpire = func(due []Entry) (int, error) {
			if slices.Contains(due, bad) {
				return 0, errBroken
			}
			return r.store.removeAll(due), nil
		}
		defer r.run()()
		r.advance(10*time.Second, time.Millisecond)
		require.Equal(t, []Entry{bad}, r.store.all())
		require.Equal(t, 1, r.Stats().SetAside)
		require.EqualValues(t, 1+maxFailures, r.Stats().Errors)
		require.Equal(t, 16, r.store.batches[0])
		require.Equal(t, 1, r.store.batches[1])
		require.Greater(t, r.store.batches[len(r.store.batches)-1], 1, "batches again")
	})
}

func TestEntrySetAsideAndReadAgain(t *testing.T) {
	r := newRig(t, IndexOptions{}, 0, SweeperOptions{FullPassEvery: -1})
	r.store.write(at(-time.Minute, "a"))
	r.store.onExpire = func([]Entry) (int, error) { return 0, errBroken }
	for range 2 {
		require.NoError(t, r.index.Rescan(t.Context(), r.store, 0, r.now.Now()))
		for range maxFailures {
			_, err := r.Sweep(t.Context())
			require.ErrorIs(t, err, errBroken)
		}
		require.Equal(t, 1, r.Stats().SetAside, "it is one entry")
		require.Equal(t, SweepResult{}, r.sweep())
	}
}

// Progress that can't be saved is not tried again and again, also where it is
// to be saved at once, and does not hold up removals.
func TestUnsavedProgressBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{}, 0, SweeperOptions{SaveEvery: -1, RetryMax: 20 * time.Second, FullPassEvery: -1})
		r.store.write(at(-time.Minute, "a"), at(10*time.Second, "b"))
		tries := 0
		r.store.onSave = func() error {
			if tries++; tries > 10 {
				return nil // so that a Run that spins comes to rest
			}
			return errBroken
		}
		defer r.run()()
		require.Equal(t, 1, tries, "the clock stands still")
		require.EqualValues(t, 1, r.Stats().Errors)
		r.Wake()
		synctest.Wait()
		require.Equal(t, 1, tries, "a wake-up does not cut the wait")
		r.advance(20*time.Second-1, time.Second)
		require.Equal(t, 1, tries)
		require.Len(t, r.store.handled, 2)
		r.advance(1, time.Hour)
		require.Equal(t, 2, tries)
		r.store.onSave = nil
		r.advance(20*time.Second, time.Hour)
		require.Equal(t, []int64{at(35*time.Second, "").Deadline}, r.store.sweptTo())
		r.advance(59*time.Minute, time.Minute)
		require.Len(t, r.store.saved, 1, "nothing is left to be saved")
	})
}

// Where nothing was handled, progress that can't be saved waits for its next
// turn: a store that takes no writes is not asked every minute.
func TestIdleProgressBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigFrom(t, IndexOptions{}, Progress{}, SweeperOptions{FullPassEvery: -1})
		tries := 0
		r.store.onSave = func() error { tries++; return errBroken }
		defer r.run()()
		r.advance(59*time.Second, time.Second)
		require.Zero(t, tries)
		r.advance(time.Hour, time.Second)
		require.Equal(t, 1, tries)
		r.advance(time.Hour, time.Second)
		require.Equal(t, 2, tries)
	})
}
