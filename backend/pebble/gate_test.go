package pebble

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// scripted is a file system that has as much free space as it is told.
type scripted struct {
	vfs.FS
	free  atomic.Uint64
	total uint64
	asked chan struct{}
}

func (f *scripted) GetDiskUsage(string) (vfs.DiskUsage, error) {
	select {
	case f.asked <- struct{}{}:
	default:
	}
	return vfs.DiskUsage{AvailBytes: f.free.Load(), TotalBytes: f.total}, nil
}

func TestDiskReserve(t *testing.T) {
	const mib = 1 << 20
	fs := &scripted{FS: vfs.NewMem(), total: 1 << 40, asked: make(chan struct{}, 1)}
	fs.free.Store(1000 * mib)
	tick := make(chan time.Time)
	s, err := Open(t.Context(), "d", &Options{FS: fs, DiskReserve: 100 * mib, tick: tick})
	require.NoError(t, err)
	ran := 0
	update := func(o backend.UpdateOptions) error {
		return s.Update(t.Context(), nil, o, func(_ context.Context, x backend.Txn) error {
			ran++
			return x.Put([]byte("k"), []byte("v"))
		})
	}
	for _, c := range []struct {
		free                 uint64
		any, reclaim, resume bool
	}{
		{free: 1000 * mib, any: true, reclaim: true},
		{free: 100 * mib, any: true, reclaim: true},
		{free: 100*mib - 1, reclaim: true},
		{free: 50 * mib, reclaim: true},
		{free: 50*mib - 1},
		{free: 0},
		{free: 60 * mib, reclaim: true},
		{free: 200 * mib, any: true, reclaim: true},
	} {
		fs.free.Store(c.free)
		// The second tick is taken when the first one's look has ended.
		tick <- time.Time{}
		tick <- time.Time{}
		for _, u := range []struct {
			o  backend.UpdateOptions
			ok bool
		}{
			{backend.UpdateOptions{}, c.any},
			{backend.UpdateOptions{Buffered: true}, c.any},
			{backend.UpdateOptions{Reclaim: true}, c.reclaim},
		} {
			ran = 0
			err := update(u.o)
			if u.ok {
				require.NoError(t, err, "%+v %+v", c, u)
				require.Equal(t, 1, ran)
				continue
			}
			require.ErrorIs(t, err, backend.ErrUnavailable, "%+v %+v", c, u)
			require.NotErrorIs(t, err, backend.ErrUnknownOutcome)
			require.Zero(t, ran, "the callback ran")
		}
		if c.any {
			require.NoError(t, s.Ready())
		} else {
			require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
		}
		found, err := s.Get(t.Context(), []byte("k"), func([]byte) error { return nil })
		require.NoError(t, err)
		require.True(t, found)
	}
	require.NoError(t, s.Close())
}

// TestDiskReserveIsLookedAtWhileWriting: much writing does not wait for the
// ticker.
func TestDiskReserveIsLookedAtWhileWriting(t *testing.T) {
	fs := &scripted{FS: vfs.NewMem(), total: 1 << 40, asked: make(chan struct{}, 1)}
	fs.free.Store(1 << 40)
	s, err := Open(t.Context(), "d", &Options{FS: fs, tick: make(chan time.Time)})
	require.NoError(t, err)
	fs.free.Store(0)
	value := make([]byte, 1<<20)
	for {
		err := s.Update(t.Context(), nil, backend.UpdateOptions{Buffered: true}, func(_ context.Context, x backend.Txn) error {
			return x.Put([]byte("k"), value)
		})
		if err != nil {
			require.ErrorIs(t, err, backend.ErrUnavailable)
			break
		}
	}
	require.NoError(t, s.Close())
}

// TestStall: Updates wait while level 0 is too deep, until it is not, the
// context ends, the store fails or closes.
func TestStall(t *testing.T) {
	stalled := func() (*Store, chan struct{}) {
		tick := make(chan time.Time)
		o := &Options{FS: vfs.NewMem(), tick: tick}
		s, err := Open(t.Context(), "d", o)
		require.NoError(t, err)
		require.NoError(t, s.Close()) // one that exists is opened without a flush
		s, err = Open(t.Context(), "d", o)
		require.NoError(t, err)
		tick <- time.Time{}
		tick <- time.Time{} // the watcher has looked at what opening did
		c := make(chan struct{})
		s.turn.Load().gate.stall.Store(&c)
		return s, c
	}
	update := func(ctx context.Context, s *Store) chan error {
		done := make(chan error, 1)
		go func() {
			done <- s.Update(ctx, nil, backend.UpdateOptions{}, func(context.Context, backend.Txn) error { return nil })
		}()
		return done
	}

	s, c := stalled()
	ctx, cancel := context.WithCancel(t.Context())
	cancelled, waiting := update(ctx, s), update(t.Context(), s)
	cancel()
	require.ErrorIs(t, <-cancelled, context.Canceled)
	require.Empty(t, waiting)
	s.turn.Load().levelsChanged.Store(true)
	s.turn.Load().guard.Nudge()
	require.NoError(t, <-waiting)
	<-c
	require.NoError(t, s.Close())

	s, _ = stalled()
	waiting = update(t.Context(), s)
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-waiting, backend.ErrClosed)

	s, _ = stalled()
	waiting = update(t.Context(), s)
	s.turn.Load().fail.Fail(context.DeadlineExceeded)
	require.ErrorIs(t, <-waiting, backend.ErrUnavailable)
	require.ErrorIs(t, s.Close(), backend.ErrUnavailable)
}
