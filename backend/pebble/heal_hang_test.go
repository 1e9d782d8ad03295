package pebble

import (
	"context"
	"strings"
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

// silence holds up operations on some files that change them, while it is on.
type silence struct {
	files  string                        // a part of the path
	answer atomic.Pointer[chan struct{}] // nil: the disk answers
	held   atomic.Int32
}

func (s *silence) String() string { return "silence" }

func (s *silence) MaybeError(op errorfs.Op) error {
	if answer := s.answer.Load(); answer != nil && strings.Contains(op.Path, s.files) && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		s.held.Add(1)
		<-*answer
	}
	return nil
}

func (s *silence) begin() {
	c := make(chan struct{})
	s.answer.Store(&c)
}

func (s *silence) end() { close(*s.answer.Swap(nil)) }

// TestDiskHangsWhileHealing: a store whose disk does not answer while it heals says
// that it is unavailable, in a bounded time, and reads on. It has healed when the
// disk answers.
func TestDiskHangsWhileHealing(t *testing.T) {
	for _, c := range []struct {
		name, files string
		// before says that the operation which hangs was under way when the write
		// failed, rather than one of the opening that is to take over.
		before bool
	}{
		{"late write", ".sst", true},
		{"recovery", "MANIFEST", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				testHangWhileHealing(t, c.files, c.before)
			})
		})
	}
}

func testHangWhileHealing(t *testing.T, files string, before bool) {
	mem := vfs.NewMem()
	quiet := &silence{files: files}
	s, err := Open(t.Context(), "d", &Options{FS: errorfs.Wrap(mem, quiet), MemTableSize: minMemTableSize})
	require.NoError(t, err)
	put := func(ctx context.Context, n int, o backend.UpdateOptions) error { return putIn(ctx, s, 0, n, 10, o) }
	require.NoError(t, put(t.Context(), 0, backend.UpdateOptions{}))
	quiet.begin()
	flushed := make(chan error, 1)
	if before {
		failing := s.turn.Load().opening
		require.NoError(t, failing.life.Enter()) // Pebble never ends a flush that is waited for when it is closed
		go func() {
			defer failing.life.Exit()
			flushed <- failing.flush()
		}()
		synctest.Wait()
		require.NotZero(t, quiet.held.Load())
	}
	s.turn.Load().fail.Fail(syscall.ENOSPC)
	synctest.Wait()
	require.NotZero(t, quiet.held.Load())
	require.Zero(t, s.Generation())

	begun := time.Now()
	err = put(t.Context(), 1, backend.UpdateOptions{})
	require.ErrorIs(t, err, backend.ErrUnavailable)
	require.NotErrorIs(t, err, backend.ErrStopped)
	require.LessOrEqual(t, time.Since(begun), 12*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, put(ctx, 1, backend.UpdateOptions{Patient: true}), context.DeadlineExceeded)
	for range 3 { // it stays so
		time.Sleep(time.Minute)
		begun = time.Now()
		require.ErrorIs(t, put(t.Context(), 1, backend.UpdateOptions{}), backend.ErrUnavailable)
		require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
		require.GreaterOrEqual(t, countOf(t, s, 0), 1, "reads go on")
		require.Zero(t, time.Since(begun), "no call waits for what is known to hang")
	}
	patient := make(chan error, 1)
	go func() { patient <- put(t.Context(), 1, backend.UpdateOptions{Patient: true}) }()
	time.Sleep(time.Hour)
	require.Empty(t, patient)
	require.Zero(t, s.Generation())

	quiet.end()
	require.NoError(t, <-patient)
	if before {
		require.NoError(t, <-flushed)
	}
	require.EqualValues(t, 1, s.Generation())
	time.Sleep(2 * time.Second)
	require.NoError(t, s.Ready())
	require.NoError(t, put(t.Context(), 2, backend.UpdateOptions{}))
	require.Equal(t, 3, countOf(t, s, 0))
	require.NoError(t, s.Close())
}
