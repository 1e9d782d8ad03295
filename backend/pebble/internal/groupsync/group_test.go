package groupsync

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// disk is a log whose syncs take a while.
type disk struct {
	written atomic.Int64
	synced  atomic.Int64
	syncs   atomic.Int64
	takes   time.Duration
	err     error
}

func (d *disk) sync() error {
	d.syncs.Add(1)
	upTo := d.written.Load()
	time.Sleep(d.takes)
	if d.err != nil {
		return d.err
	}
	d.synced.Store(max(d.synced.Load(), upTo))
	return nil
}

// open returns a Group of d. In a bubble of synctest a syncing goroutine that is left
// over fails the test.
func open(d *disk) *Group {
	begun := time.Now()
	return New(d.sync, func(f func()) { go f() }, func() time.Duration { return time.Since(begun) })
}

// write writes once, durably, and reports whether it has led a round.
func write(t *testing.T, g *Group, d *disk) (led bool) {
	t.Helper()
	r := g.Lead()
	n := d.written.Add(1)
	if led = r != nil; led {
		g.Go(r, d.sync)
	} else {
		r = g.Join()
	}
	<-r.Done()
	require.NoError(t, r.Err())
	require.GreaterOrEqual(t, d.synced.Load(), n, "its round has ended before a sync that covers it")
	return led
}

// TestRoundCoversItsMembers: whoever is answered is on the disk, however callers meet.
func TestRoundCoversItsMembers(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) {
			d := &disk{takes: time.Millisecond}
			g := open(d)
			var callers sync.WaitGroup
			for c := range uint64(8) {
				callers.Go(func() {
					random := rand.New(rand.NewPCG(seed, c))
					for range 200 {
						write(t, g, d)
						time.Sleep(time.Duration(random.IntN(3_000)) * time.Microsecond * time.Duration(random.IntN(2)))
					}
				})
			}
			callers.Wait()
			synctest.Wait()
			require.Nil(t, g.Current())
			require.False(t, g.busy)
			if t.Failed() {
				t.Logf("seed %d", seed)
			}
		})
	}
}

// TestRoundCoversItsMembersInParallel is the same by the clock of the machine, for the
// race detector.
func TestRoundCoversItsMembersInParallel(t *testing.T) {
	d := &disk{takes: 100 * time.Microsecond}
	var running sync.WaitGroup
	begun := time.Now()
	g := New(d.sync, running.Go, func() time.Duration { return time.Since(begun) })
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 100 {
				write(t, g, d)
			}
		})
	}
	callers.Wait()
	running.Wait()
	require.False(t, g.busy)
}

// TestCallersGather: callers who write again at once share every sync, where they would
// part into two halves else.
func TestCallersGather(t *testing.T) {
	const callers, writes = 4, 100
	synctest.Test(t, func(t *testing.T) {
		d := &disk{takes: time.Millisecond}
		g := open(d)
		var all sync.WaitGroup
		for c := range callers {
			all.Go(func() {
				for range writes {
					time.Sleep(time.Duration(c+1) * 100 * time.Microsecond)
					write(t, g, d)
				}
			})
		}
		all.Wait()
		// One more for the first, which nobody is known to follow, and for the last.
		require.LessOrEqual(t, d.syncs.Load(), int64(writes+2))
	})
}

// TestLoneCallerIsNotHeldUp: a caller that nobody is beside leads each of its rounds.
func TestLoneCallerIsNotHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{takes: time.Millisecond}
		g := open(d)
		begun := time.Now()
		for range 100 {
			require.True(t, write(t, g, d))
			synctest.Wait() // the round's goroutine ends
		}
		require.Equal(t, 100*d.takes, time.Since(begun))
	})
}

// TestStrangersAreNotAwaited: where callers come in pairs and never again, of which the
// second awaits the first in vain, rounds learn to await nobody.
func TestStrangersAreNotAwaited(t *testing.T) {
	const pairs = 1_000
	synctest.Test(t, func(t *testing.T) {
		d := &disk{takes: time.Millisecond}
		g := open(d)
		var heldUp int
		for range pairs {
			var pair sync.WaitGroup
			begun := time.Now()
			for range 2 {
				pair.Go(func() { write(t, g, d) })
			}
			pair.Wait()
			took := time.Since(begun)
			require.LessOrEqual(t, took, 3*d.takes, "two syncs, and no longer a wait than a third")
			if took > 2*d.takes {
				heldUp++
			}
			time.Sleep(5 * d.takes)
		}
		require.Positive(t, heldUp, "no round awaited anyone")
		require.Less(t, heldUp, 2*pairs/maxSkips+10, "a pair has two rounds")
	})
}

// TestSlowSyncMakesNobodyWait: a sync that hung does not become what others are
// awaited for.
func TestSlowSyncMakesNobodyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{takes: time.Millisecond}
		g := open(d)
		write(t, g, d)
		synctest.Wait()
		d.takes = time.Minute
		write(t, g, d)
		synctest.Wait()
		require.LessOrEqual(t, g.usual, 2*time.Millisecond)
		for range 1_000 {
			write(t, g, d)
			synctest.Wait()
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.ended = g.clock()
		require.LessOrEqual(t, g.wait(), maxWait)
	})
}

// TestErrorReachesAllMembers, and the round behind one that failed is synced.
func TestErrorReachesAllMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{takes: time.Millisecond, err: errors.New("broken")}
		g := open(d)
		leading := g.Lead()
		require.Nil(t, g.Lead(), "one leads")
		require.Same(t, leading, g.Current())
		a, b := g.Join(), g.Join()
		require.Same(t, a, b)
		require.NotSame(t, leading, a)
		g.Go(leading, func() error { return errors.New("led nowhere") })
		<-leading.Done()
		require.EqualError(t, leading.Err(), "led nowhere")
		<-a.Done()
		require.Equal(t, d.err, a.Err())
		require.Equal(t, int64(1), d.syncs.Load())
	})
}
