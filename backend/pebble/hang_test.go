package pebble_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
)

// hangingDisk holds up operations of these kinds on the log until it is
// released.
type hangingDisk struct {
	kinds   []errorfs.OpKind
	release atomic.Pointer[chan struct{}] // nil: it does not hang
}

func (d *hangingDisk) String() string { return "hanging disk" }

func (d *hangingDisk) MaybeError(op errorfs.Op) error {
	if release := d.release.Load(); release != nil && suffix(".log")(op.Path) && slices.Contains(d.kinds, op.Kind) {
		<-*release
	}
	return nil
}

func (d *hangingDisk) hang() {
	c := make(chan struct{})
	d.release.Store(&c)
}

func (d *hangingDisk) answer() { close(*d.release.Swap(nil)) }

// within fails the test if call takes longer than d, and returns its result.
func within(t *testing.T, d time.Duration, call func() error) error {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- call() }()
	select {
	case err := <-result:
		return err
	case <-time.After(d):
		t.Fatal("the call waits for the disk")
		return nil
	}
}

// TestHangReported: when the disk has left commits without an answer for
// HangTimeout, those that wait end, though it is not known what becomes of
// them, and new ones are refused. Reads go on. When the disk answers, so does
// the store, and everything is there.
func TestHangReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		disk := &hangingDisk{kinds: syncs}
		s := open(t, errorfs.Wrap(mem, disk))
		require.NoError(t, put(t.Context(), s, 0, 0, backend.UpdateOptions{}))
		disk.hang()

		begin := time.Now()
		committed, waiting := make(chan error, 1), make(chan error, 1)
		go func() { committed <- put(t.Context(), s, 1, 0, backend.UpdateOptions{}) }()
		synctest.Wait()
		go func() { waiting <- s.Durable(t.Context(), scope(1)) }()
		// What does not wait for the disk does not hide that others do.
		buffered := make(chan int, 1)
		go func() {
			for n := 0; ; n++ {
				if err := put(t.Context(), s, 2, n, backend.UpdateOptions{Buffered: true}); err != nil {
					if !errors.Is(err, backend.ErrUnavailable) {
						t.Error(err)
					}
					buffered <- n
					return
				}
				time.Sleep(300 * time.Millisecond)
			}
		}()
		require.NoError(t, s.Ready())
		require.ErrorIs(t, <-committed, backend.ErrUnknownOutcome)
		require.GreaterOrEqual(t, time.Since(begin), 10*time.Second)
		require.LessOrEqual(t, time.Since(begin), 12*time.Second)
		require.ErrorIs(t, <-waiting, backend.ErrUnavailable)
		require.True(t, has(t, s, 1, 0), "it is visible")
		n := <-buffered
		require.Greater(t, n, 30)

		for range 3 { // it stays so
			require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
			for _, o := range []backend.UpdateOptions{{}, {Buffered: true}, {Reclaim: true}} {
				err := within(t, time.Millisecond, func() error { return put(t.Context(), s, 3, 0, o) })
				require.ErrorIs(t, err, backend.ErrUnavailable)
				require.NotErrorIs(t, err, backend.ErrUnknownOutcome)
			}
			err := within(t, time.Millisecond, func() error { return s.Durable(t.Context(), scope(2)) })
			require.ErrorIs(t, err, backend.ErrUnavailable)
			require.False(t, has(t, s, 3, 0))
			require.True(t, has(t, s, 0, 0))
			time.Sleep(time.Minute)
		}

		patient := make(chan error, 1)
		go func() { patient <- put(t.Context(), s, 4, 0, backend.UpdateOptions{Patient: true}) }()
		time.Sleep(time.Hour)
		require.Empty(t, patient)
		disk.answer()
		require.NoError(t, <-patient)
		time.Sleep(2 * time.Second)
		require.NoError(t, s.Ready())
		require.NoError(t, put(t.Context(), s, 3, 0, backend.UpdateOptions{}))
		require.NoError(t, s.Close())

		s = open(t, mem)
		require.True(t, has(t, s, 4, 0))
		require.True(t, has(t, s, 1, 0))
		for i := range n {
			require.True(t, has(t, s, 2, i))
		}
		require.True(t, has(t, s, 3, 0))
		require.NoError(t, s.Close())
	})
}

// slowDisk takes its time for operations of these kinds on files of a kind.
type slowDisk struct {
	files string
	kinds []errorfs.OpKind
	takes time.Duration
}

func (d slowDisk) String() string { return "slow disk" }

func (d slowDisk) MaybeError(op errorfs.Op) error {
	if suffix(d.files)(op.Path) && slices.Contains(d.kinds, op.Kind) {
		time.Sleep(d.takes)
	}
	return nil
}

// TestSlowFlushIsNoHang: a commit that waits for memtables to be written out does
// so for as long as that goes on.
func TestSlowFlushIsNoHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, errorfs.Wrap(vfs.NewMem(), slowDisk{".sst", []errorfs.OpKind{errorfs.OpFileWrite}, 5 * time.Second}))
		begin := time.Now()
		for n := 0; time.Since(begin) < 5*time.Minute; n++ {
			require.NoError(t, put(t.Context(), s, 0, n, backend.UpdateOptions{Buffered: true}))
		}
		require.NoError(t, s.Close())
	})
}

// TestSlowIsNoHang: as long as commits are answered, others may wait for long.
func TestSlowIsNoHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, errorfs.Wrap(vfs.NewMem(), slowDisk{".log", syncs, 9 * time.Second}))
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				time.Sleep(time.Duration(w) * time.Second)
				for n := range 10 {
					if err := put(t.Context(), s, w, n, backend.UpdateOptions{}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		writers.Wait()
		require.NoError(t, s.Close())
	})
}

// TestHangWithinCommit: a commit that Pebble holds up while it applies it ends
// when the disk answers, but an Update that waits for its lock is told, and new
// ones are refused.
func TestHangWithinCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &hangingDisk{kinds: creates}
		s := open(t, errorfs.Wrap(vfs.NewMem(), disk))
		disk.hang()
		applied := make(chan error, 1)
		go func() {
			// A full memtable wants a new log.
			for n := range 10_000 {
				if err := put(t.Context(), s, 0, n, backend.UpdateOptions{Buffered: true}); err != nil {
					applied <- err
					return
				}
			}
			applied <- nil
		}()
		synctest.Wait()
		require.Empty(t, applied, "the disk was not asked for a log")
		err := within(t, time.Minute, func() error { return put(t.Context(), s, 0, 0, backend.UpdateOptions{}) })
		require.ErrorIs(t, err, backend.ErrUnavailable, "an Update that waits for the lock")
		err = within(t, time.Millisecond, func() error { return put(t.Context(), s, 1, 0, backend.UpdateOptions{}) })
		require.ErrorIs(t, err, backend.ErrUnavailable)
		require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
		require.True(t, has(t, s, 0, 0))
		require.Empty(t, applied)

		disk.answer()
		require.ErrorIs(t, <-applied, backend.ErrUnavailable, "of the commit after it")
		time.Sleep(2 * time.Second)
		require.NoError(t, s.Ready())
		require.NoError(t, put(t.Context(), s, 1, 0, backend.UpdateOptions{}))
		require.NoError(t, s.Close())
	})
}

// TestHangTimeout: as long as it is set to, forever where it is negative, and
// not while the disk is slow.
func TestHangTimeout(t *testing.T) {
	for name, c := range map[string]struct {
		timeout, hang time.Duration
		reported      bool
	}{
		"longer":  {time.Minute, 50 * time.Second, false},
		"over":    {time.Minute, 63 * time.Second, true},
		"never":   {-1, time.Hour, false},
		"tiny":    {1, 3 * time.Second, true},
		"default": {0, 8 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := &hangingDisk{kinds: syncs}
				s, err := pebble.Open(t.Context(), dir, &pebble.Options{FS: errorfs.Wrap(vfs.NewMem(), disk), HangTimeout: c.timeout})
				require.NoError(t, err)
				for range 3 {
					disk.hang()
					result := make(chan error, 1)
					go func() { result <- put(t.Context(), s, 0, 0, backend.UpdateOptions{}) }()
					time.Sleep(c.hang)
					if c.reported {
						require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
						require.ErrorIs(t, <-result, backend.ErrUnknownOutcome)
					} else {
						require.NoError(t, s.Ready())
						require.Empty(t, result)
					}
					disk.answer()
					if !c.reported {
						require.NoError(t, <-result)
					}
					time.Sleep(3 * time.Second)
				}
				require.NoError(t, s.Close())
			})
		})
	}
}

// TestHangingSync: a call that would have to sync a Buffered commit of another gets
// away when its context ends, though the disk hangs. Close waits for the disk,
// nothing is left behind and nothing is lost.
func TestHangingSync(t *testing.T) {
	read := func(_ context.Context, x backend.Txn) error {
		_, err := x.Get(context.Background(), key(0, 0), func([]byte) error { return nil })
		return err
	}
	for name, call := range map[string]func(context.Context, backend.Backend) error{
		"Durable": func(ctx context.Context, s backend.Backend) error { return s.Durable(ctx, scope(0)) },
		"Update": func(ctx context.Context, s backend.Backend) error {
			return s.Update(ctx, scope(0), backend.UpdateOptions{}, read)
		},
		"failed Update": func(ctx context.Context, s backend.Backend) error {
			return s.Update(ctx, scope(0), backend.UpdateOptions{}, func(context.Context, backend.Txn) error { return context.Canceled })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := vfs.NewMem()
				disk := &hangingDisk{kinds: syncs}
				s := open(t, errorfs.Wrap(mem, disk))
				require.NoError(t, put(t.Context(), s, 0, 0, backend.UpdateOptions{Buffered: true}))
				disk.hang()

				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				err := within(t, 2*time.Second, func() error { return call(ctx, s) })
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.NoError(t, s.Ready())

				closed := make(chan error, 1)
				go func() { closed <- s.Close() }()
				synctest.Wait()
				require.Empty(t, closed, "the log is not on the disk")
				disk.answer()
				require.NoError(t, <-closed)

				s = open(t, mem)
				require.True(t, has(t, s, 0, 0))
				require.NoError(t, s.Close())
			})
		})
	}
}
