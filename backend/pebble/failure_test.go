package pebble

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// TestFatalf: what Pebble takes for the end of the process ends the store's
// writing alone.
func TestFatalf(t *testing.T) {
	s, err := Open(t.Context(), "d", &Options{FS: vfs.NewMem()})
	require.NoError(t, err)
	engineLogger{s.log, s.turn.Load().fail}.Fatalf("level %d is upside down", 3)
	require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
	require.ErrorContains(t, s.Ready(), "level 3 is upside down")
	require.ErrorIs(t, s.Close(), backend.ErrUnavailable)
}

// TestEnginePanic: a panic inside a commit leaves Pebble's locks in no known
// state. The store still reads, closes and can be opened again.
func TestEnginePanic(t *testing.T) {
	fs := vfs.NewMem()
	s, err := Open(t.Context(), "d", &Options{FS: fs})
	require.NoError(t, err)
	b := s.turn.Load().db.NewBatch()
	require.NoError(t, b.Set([]byte("k"), nil, nil))
	require.NoError(t, s.turn.Load().db.Apply(b, nil))
	d := s.turn.Load().durable
	alone := d.rounds.Lead()
	_, err = d.lead(b, alone) // Pebble panics at a batch that is applied twice.
	require.ErrorIs(t, err, backend.ErrUnknownOutcome)
	behind := d.rounds.Join()
	<-behind.Done() // rounds go on behind one that could not be led
	require.ErrorIs(t, behind.Err(), backend.ErrUnavailable)

	found, err := s.Get(t.Context(), []byte("k"), func([]byte) error { return nil })
	require.NoError(t, err)
	require.True(t, found)
	_, err = s.Snapshot(t.Context())
	require.ErrorIs(t, err, backend.ErrUnavailable)
	require.ErrorIs(t, s.Close(), backend.ErrUnavailable)

	s, err = Open(t.Context(), "d", &Options{FS: fs})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// TestDiskIsLeftAloneAfterFailure has Pebble go on after the failure, as it
// does in the background: it flushes, rotates its log and drops what it takes
// for obsolete, while the disk is well again. None of that may reach it.
func TestDiskIsLeftAloneAfterFailure(t *testing.T) {
	fs := vfs.NewMem()
	s, err := Open(t.Context(), "d", &Options{FS: fs, MemTableSize: minMemTableSize})
	require.NoError(t, err)
	const acked = 50
	for n := range acked {
		require.NoError(t, s.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
			return x.Put(fmt.Appendf(nil, "acked %d", n), []byte("v"))
		}))
	}
	s.turn.Load().fail.Fail(syscall.EIO)
	before := listing(t, fs)
	for n := range 10 {
		require.NoError(t, s.turn.Load().db.Set(fmt.Appendf(nil, "later %d", n), []byte("v"), nil))
		require.NoError(t, s.turn.Load().db.Flush())
	}
	found, err := s.Get(t.Context(), []byte("later 3"), func([]byte) error { return nil })
	require.NoError(t, err)
	require.True(t, found, "Pebble reads back what it wrote to memory")
	require.ErrorIs(t, s.Close(), backend.ErrUnavailable)
	require.Equal(t, before, listing(t, fs))

	s, err = Open(t.Context(), "d", &Options{FS: fs})
	require.NoError(t, err)
	for n := range acked {
		found, err := s.Get(t.Context(), fmt.Appendf(nil, "acked %d", n), func([]byte) error { return nil })
		require.NoError(t, err)
		require.True(t, found)
	}
	require.NoError(t, s.Close())
}

// listing returns the names and sizes of the files in the store's directory.
func listing(t *testing.T, fs vfs.FS) map[string]int64 {
	t.Helper()
	names, err := fs.List("d")
	require.NoError(t, err)
	sizes := make(map[string]int64)
	for _, name := range names {
		i, err := fs.Stat(fs.PathJoin("d", name))
		require.NoError(t, err)
		sizes[name] = i.Size()
	}
	return sizes
}

// TestWaitersLearnOfFailure: a call that waits for another's sync is told that it
// failed, and may give up before.
func TestWaitersLearnOfFailure(t *testing.T) {
	s, err := Open(t.Context(), "d", &Options{FS: vfs.NewMem(), tick: make(chan time.Time)})
	require.NoError(t, err)
	// A sync up to a position is under way, and will not end.
	hanging := s.turn.Load().durable.rounds.Lead()
	s.turn.Load().durable.syncing.Raise(1 << 40)
	waiting := make(chan error, 1)
	go func() {
		waiting <- s.turn.Load().durable.wait(s.turn.Load().hang.Wait(t.Context(), s.turn.Load().fail, false), 1<<40)
	}()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.turn.Load().durable.wait(s.turn.Load().hang.Wait(ctx, s.turn.Load().fail, false), 1<<40), context.Canceled)
	s.turn.Load().fail.Fail(syscall.EIO)
	require.ErrorIs(t, <-waiting, backend.ErrUnavailable)
	s.turn.Load().durable.rounds.Go(hanging, s.turn.Load().fail.Unknown)
	require.ErrorIs(t, s.Close(), backend.ErrUnavailable)
}
