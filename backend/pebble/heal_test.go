package pebble

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// noRoom fails operations of some kinds on some files with an error, as long as it
// is on.
type noRoom struct {
	kinds []errorfs.OpKind
	files string // a part of the path
	errno syscall.Errno
	on    atomic.Bool
	hits  atomic.Int32
	hit   chan struct{} // gets a value at a hit
}

func newNoRoom(kinds []errorfs.OpKind, files string, errno syscall.Errno) *noRoom {
	return &noRoom{kinds: kinds, files: files, errno: errno, hit: make(chan struct{}, 1)}
}

func (n *noRoom) String() string { return "no room" }

func (n *noRoom) MaybeError(op errorfs.Op) error {
	if !n.on.Load() || !strings.Contains(op.Path, n.files) {
		return nil
	}
	for _, k := range n.kinds {
		if k == op.Kind {
			n.hits.Add(1)
			select {
			case n.hit <- struct{}{}:
			default:
			}
			return n.errno
		}
	}
	return nil
}

var (
	healWrites  = []errorfs.OpKind{errorfs.OpFileWrite}
	healSyncs   = []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}
	healCreates = []errorfs.OpKind{errorfs.OpCreate, errorfs.OpRename}
)

// healing is a store with ticks of the test's own.
type healing struct {
	*Store
	t     *testing.T
	ticks chan time.Time
	now   time.Time
}

func openHealing(t *testing.T, fs vfs.FS) *healing {
	h := &healing{t: t, ticks: make(chan time.Time), now: time.Unix(1e9, 0)}
	var err error
	h.Store, err = Open(t.Context(), "d", &Options{FS: ReusingFS{fs}, MemTableSize: minMemTableSize, CacheSize: 4 << 20, tick: h.ticks, openTries: 1})
	require.NoError(t, err)
	return h
}

// tickUntil gives ticks until done returns true.
func (h *healing) tickUntil(done func() bool) {
	for !done() {
		h.now = h.now.Add(watchEvery)
		h.ticks <- h.now
	}
}

func (h *healing) heal(generation uint64) {
	h.tickUntil(func() bool { return h.Generation() >= generation && h.Ready() == nil })
}

func healKey(w, n int) []byte { return fmt.Appendf(nil, "%02d/%06d", w, n) }

func putIn(ctx context.Context, s backend.Backend, w, n, size int, o backend.UpdateOptions) error {
	scopes := []backend.Scope{{Group: "g", Item: fmt.Sprint(w)}}
	return s.Update(ctx, scopes, o, func(_ context.Context, x backend.Txn) error {
		return x.Put(healKey(w, n), make([]byte, size))
	})
}

// countOf returns how many of a writer's keys are there: the first so many.
func countOf(t *testing.T, s backend.Reader, w int) (n int) {
	t.Helper()
	r := backend.Range{Start: healKey(w, 0), End: healKey(w, 999999)}
	for e, err := range s.Scan(t.Context(), r, backend.ScanOptions{KeysOnly: true}) {
		require.NoError(t, err)
		require.Equal(t, string(healKey(w, n)), string(e.Key), "one is missing before it")
		n++
	}
	return n
}

// TestHeals has every kind of write fail for want of room under load. The store
// heals by itself, what was acknowledged is there, and of each writer a prefix.
// Nothing else changes: it closes, is opened again, and holds the same.
//
// Each operation fails with one of the errors, and each error is that of one
// operation: what matters is what diskguard.Passes says of them.
func TestHeals(t *testing.T) {
	errnos := []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE}
	for i, c := range []struct {
		name  string
		kinds []errorfs.OpKind
		files string
		size  int // of values: large ones go to blob files
	}{
		{"log write", healWrites, ".log", 1000},
		{"log sync", healSyncs, ".log", 1000},
		{"log create", healCreates, ".log", 1000},
		{"manifest write", healWrites, "MANIFEST", 1000},
		{"manifest sync", healSyncs, "MANIFEST", 1000},
		{"table create", healCreates, ".sst", 1000},
		{"table write", healWrites, ".sst", 1000},
		{"blob create", healCreates, ".blob", 20_000},
		{"blob write", healWrites, ".blob", 20_000},
		{"blob sync", healSyncs, ".blob", 20_000},
		{"all writes", healWrites, "", 1000},
	} {
		errno := errnos[i%len(errnos)]
		t.Run(fmt.Sprintf("%s/%v", c.name, errno), func(t *testing.T) {
			t.Parallel()
			testHeals(t, newNoRoom(c.kinds, c.files, errno), c.size)
		})
	}
}

func testHeals(t *testing.T, fault *noRoom, size int) {
	mem := vfs.NewCrashableMem()
	s := openHealing(t, errorfs.Wrap(mem, fault))
	const writers, rounds = 4, 2
	var acked [writers]int
	var told atomic.Uint64
	s.OnHeal(func(g uint64) { told.Store(g) })
	for round := range uint64(rounds) {
		var wg sync.WaitGroup
		var failed atomic.Int32
		for w := range writers {
			wg.Go(func() {
				first := acked[w]
				for n := first; ; n++ {
					if n == first+20 {
						fault.on.Store(true)
					}
					err := putIn(t.Context(), s, w, n, size, backend.UpdateOptions{Buffered: n%3 == 0})
					switch {
					case err == nil && n%3 != 0:
						acked[w] = max(acked[w], n+1)
					case err == nil:
					case errors.Is(err, backend.ErrUnknownOutcome), errors.Is(err, backend.ErrUnavailable):
						if errors.Is(err, backend.ErrStopped) {
							t.Errorf("it is stopped: %v", err)
						}
						failed.Add(1)
						return
					default:
						t.Error(err)
						return
					}
				}
			})
		}
		// A failed write to come, or the writers would go on for ever.
		wg.Wait()
		require.EqualValues(t, writers, failed.Load())
		require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
		require.ErrorIs(t, s.Ready(), fault.errno)
		require.NotErrorIs(t, s.Ready(), backend.ErrStopped)
		require.Equal(t, round, s.Generation())
		for w, n := range acked {
			require.GreaterOrEqual(t, countOf(t, s, w), n, "reads go on")
		}
		fault.on.Store(false)
		s.heal(round + 1)
		require.Equal(t, round+1, told.Load())
		for w, n := range acked {
			got := countOf(t, s, w)
			require.GreaterOrEqual(t, got, n, "writer %d", w)
			acked[w] = got
			// What another generation has read or waits for says nothing of this one.
			require.NoError(t, s.Durable(t.Context(), []backend.Scope{{Group: "g"}}))
		}
	}
	for w := range writers {
		require.NoError(t, putIn(t.Context(), s, w, acked[w], size, backend.UpdateOptions{}))
		acked[w]++
	}
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, s.Close())
	for _, disk := range []vfs.FS{mem, crashed} {
		again, err := Open(t.Context(), "d", &Options{FS: disk})
		require.NoError(t, err)
		for w, n := range acked {
			require.Equal(t, n, countOf(t, again, w))
		}
		require.NoError(t, again.Close())
	}
}

// TestOtherFailuresStay: an error of the disk that does not pass stops the store for
// good, also where it is met while another is under way that does. What Pebble
// complains of behind one that passes does not.
func TestOtherFailuresStay(t *testing.T) {
	for name, c := range map[string]struct {
		errnos []error
		heals  bool
	}{
		"alone":            {[]error{syscall.EIO}, false},
		"what comes of it": {[]error{syscall.ENOSPC, errors.New("made of it")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := openHealing(t, vfs.NewMem())
			require.NoError(t, putIn(t.Context(), s, 0, 0, 10, backend.UpdateOptions{}))
			for _, err := range c.errnos {
				s.turn.Load().fail.Fail(err)
			}
			if c.heals {
				s.heal(1)
				require.NoError(t, s.Close())
				return
			}
			for range 5 {
				s.healer.look()
			}
			require.ErrorIs(t, s.Ready(), backend.ErrStopped)
			require.Zero(t, s.Generation())
			require.ErrorIs(t, s.Close(), backend.ErrStopped)
		})
	}
}

// TestLoopsAndSnapshotsEnd: what began before the store healed ends with a clear
// error, whatever it holds, and the files that it read are removed behind it.
func TestLoopsAndSnapshotsEnd(t *testing.T) {
	mem := vfs.NewMem()
	s := openHealing(t, mem)
	for n := range 100 {
		require.NoError(t, putIn(t.Context(), s, 0, n, 20_000, backend.UpdateOptions{}))
	}
	require.NoError(t, s.turn.Load().flush())
	snap, err := s.Snapshot(t.Context())
	require.NoError(t, err)
	steps := 0
	for e, err := range s.Scan(t.Context(), backend.Range{}, backend.ScanOptions{}) {
		if steps++; steps > 1 {
			require.ErrorIs(t, err, backend.ErrUnavailable)
			require.NotErrorIs(t, err, backend.ErrClosed)
			continue
		}
		require.NoError(t, err)
		s.turn.Load().fail.Fail(syscall.ENOSPC)
		s.heal(1)
		// Its body may write, though the store waits for it to close the old engine.
		require.NoError(t, putIn(t.Context(), s, 1, 0, 10, backend.UpdateOptions{}))
		require.Equal(t, string(healKey(0, 0)), string(e.Key))
		require.Len(t, e.Value, 20_000)
		require.NoError(t, s.Reclaim(t.Context()))
	}
	require.Equal(t, 2, steps)
	_, err = snap.Get(t.Context(), healKey(0, 0), func([]byte) error { return nil })
	require.ErrorIs(t, err, backend.ErrUnavailable)
	require.NotErrorIs(t, err, backend.ErrClosed)
	for _, err := range snap.Scan(t.Context(), backend.Range{}, backend.ScanOptions{}) {
		require.ErrorIs(t, err, backend.ErrUnavailable)
	}
	require.NoError(t, snap.Close())
	s.healer.leaving.Wait()
	require.Equal(t, 100, countOf(t, s, 0))
	require.NoError(t, s.Close())
}

// failAndHoldHealing has the store fail and heal, and returns when it tells the
// caller, which it goes on to do when goOn is closed.
func (h *healing) failAndHoldHealing() (goOn chan struct{}) {
	atWork, goOn := make(chan struct{}), make(chan struct{})
	h.OnHeal(func(uint64) {
		close(atWork)
		<-goOn
	})
	h.turn.Load().fail.Fail(syscall.ENOSPC)
	h.ticks <- h.now
	<-atWork
	return goOn
}

// TestCallsWaitForHealing: a call that comes while the store is opened anew waits
// for that, as long as its context does, and finds what the store holds then.
func TestCallsWaitForHealing(t *testing.T) {
	s := openHealing(t, vfs.NewMem())
	require.NoError(t, putIn(t.Context(), s, 0, 0, 10, backend.UpdateOptions{}))
	goOn := s.failAndHoldHealing()
	put, read := make(chan error, 1), make(chan error, 1)
	go func() { put <- putIn(t.Context(), s, 0, 1, 10, backend.UpdateOptions{}) }()
	go func() {
		_, err := s.Get(t.Context(), healKey(0, 0), func([]byte) error { return nil })
		read <- err
	}()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, putIn(ended, s, 0, 1, 10, backend.UpdateOptions{}), context.Canceled)
	require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
	require.EqualValues(t, 1, s.Generation(), "it is raised first")
	require.Empty(t, put)
	require.Empty(t, read)
	close(goOn)
	require.NoError(t, <-put)
	require.NoError(t, <-read)
	require.NoError(t, s.Close())
}

// TestUpdatesEndBeforeHealing: the caller is not told of a new generation while an
// Update of the one before may still call its OnVisible functions.
func TestUpdatesEndBeforeHealing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openHealing(t, vfs.NewMem())
		var told atomic.Bool
		s.OnHeal(func(uint64) { told.Store(true) })
		atWork, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- s.Update(t.Context(), []backend.Scope{{Group: "g"}}, backend.UpdateOptions{Buffered: true}, func(_ context.Context, x backend.Txn) error {
				x.OnVisible(func() {
					close(atWork)
					<-goOn
				})
				return x.Put(healKey(0, 0), nil)
			})
		}()
		<-atWork
		s.turn.Load().fail.Fail(syscall.ENOSPC)
		s.ticks <- s.now
		synctest.Wait()
		require.False(t, told.Load())
		require.Zero(t, s.Generation())
		close(goOn)
		require.NoError(t, <-ended)
		synctest.Wait()
		require.True(t, told.Load())
		require.NoError(t, s.Close())
	})
}

// TestCloseWhileHealing: Close ends the calls that wait, and comes after the try.
func TestCloseWhileHealing(t *testing.T) {
	mem := vfs.NewMem()
	s := openHealing(t, mem)
	require.NoError(t, putIn(t.Context(), s, 0, 0, 10, backend.UpdateOptions{}))
	goOn := s.failAndHoldHealing()
	put, closed := make(chan error, 1), make(chan error, 1)
	go func() { put <- putIn(t.Context(), s, 0, 1, 10, backend.UpdateOptions{}) }()
	go func() { closed <- s.Close() }()
	require.ErrorIs(t, <-put, backend.ErrClosed)
	require.Empty(t, closed)
	close(goOn)
	require.NoError(t, <-closed)
	again, err := Open(t.Context(), "d", &Options{FS: mem})
	require.NoError(t, err)
	require.Equal(t, 1, countOf(t, again, 0))
	require.NoError(t, again.Close())
}

// TestHealsLater: while there is no room the tries get rarer, reads go on, and the
// first with room succeeds. Close does not wait for one.
func TestHealsLater(t *testing.T) {
	mem := vfs.NewMem()
	fault := newNoRoom(append(healCreates, healWrites...), "", syscall.ENOSPC)
	s := openHealing(t, errorfs.Wrap(mem, fault))
	require.NoError(t, putIn(t.Context(), s, 0, 0, 10, backend.UpdateOptions{}))
	fault.on.Store(true)
	require.ErrorIs(t, putIn(t.Context(), s, 0, 1, 10, backend.UpdateOptions{}), backend.ErrUnknownOutcome)
	for range 200 {
		s.healer.look()
	}
	require.LessOrEqual(t, s.healer.interval, maxHealInterval)
	require.Zero(t, s.Generation())
	require.ErrorIs(t, s.Ready(), syscall.ENOSPC)
	require.ErrorIs(t, putIn(t.Context(), s, 0, 1, 10, backend.UpdateOptions{}), backend.ErrUnavailable)
	found, err := s.Get(t.Context(), healKey(0, 0), func([]byte) error { return nil })
	require.NoError(t, err)
	require.True(t, found)
	require.ErrorIs(t, s.Reclaim(t.Context()), backend.ErrUnavailable)
	fault.on.Store(false)
	for s.Generation() == 0 {
		s.healer.look()
	}
	require.NoError(t, s.Ready())
	require.GreaterOrEqual(t, countOf(t, s, 0), 1)
	require.NoError(t, putIn(t.Context(), s, 0, 1, 10, backend.UpdateOptions{}))
	fault.on.Store(true)
	require.ErrorIs(t, putIn(t.Context(), s, 0, 2, 10, backend.UpdateOptions{}), backend.ErrUnknownOutcome)
	require.ErrorIs(t, s.Close(), syscall.ENOSPC)
	fault.on.Store(false)
	again, err := Open(t.Context(), "d", &Options{FS: mem})
	require.NoError(t, err)
	require.GreaterOrEqual(t, countOf(t, again, 0), 2)
	require.NoError(t, again.Close())
}
