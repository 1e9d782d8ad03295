package pebble

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

func putOne(t testing.TB, s *Store, key, value string) {
	t.Helper()
	require.NoError(t, s.Update(t.Context(), nil, backend.UpdateOptions{Buffered: true}, func(_ context.Context, x backend.Txn) error {
		return x.Put([]byte(key), []byte(value))
	}))
}

func getOne(t testing.TB, s *Store, key string) (value string, found bool) {
	t.Helper()
	found, err := s.Get(t.Context(), []byte(key), func(v []byte) error {
		value = string(v)
		return nil
	})
	require.NoError(t, err)
	return value, found
}

// keptIterators counts the iterators that are open between reads.
func keptIterators(s *Store) int { return len(s.points.readers()) }

// TestPointReadsKeepIterators: reads open an iterator when enough of them follow
// no commit, and none while commits keep coming.
func TestPointReadsKeepIterators(t *testing.T) {
	s, err := Open(t.Context(), "d", &Options{FS: vfs.NewMem(), tick: make(chan time.Time)})
	require.NoError(t, err)
	for i := range 10 * defaultKeepFrom {
		want := fmt.Sprint(i)
		putOne(t, s, "k", want)
		got, _ := getOne(t, s, "k")
		require.Equal(t, want, got)
	}
	require.Zero(t, keptIterators(s))

	// A race build's sync.Pool forgets some of what it is given.
	require.Eventually(t, func() bool {
		got, found := getOne(t, s, "k")
		require.True(t, found)
		require.Equal(t, fmt.Sprint(10*defaultKeepFrom-1), got)
		_, found = getOne(t, s, "none")
		require.False(t, found)
		return keptIterators(s) > 0
	}, time.Minute, time.Microsecond)

	// Nothing that is written meanwhile escapes a read.
	for i := range 1000 {
		want := fmt.Sprint("later ", i)
		putOne(t, s, "k", want)
		for range i % (2 * defaultKeepFrom) {
			got, _ := getOne(t, s, "k")
			require.Equal(t, want, got)
		}
	}
	require.NoError(t, s.Close())
}

// TestPointReadsLetGo: the watcher closes the iterators that are not at work,
// so that they hold on to nothing in a store that rests.
func TestPointReadsLetGo(t *testing.T) {
	tick := make(chan time.Time)
	s, err := Open(t.Context(), "d", &Options{FS: vfs.NewMem(), tick: tick, keepFrom: 1})
	require.NoError(t, err)
	putOne(t, s, "k", "v")
	getOne(t, s, "k")
	require.NotZero(t, keptIterators(s))

	begun, end := make(chan struct{}), make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		_, err := s.Get(context.Background(), []byte("k"), func(v []byte) error {
			close(begun)
			<-end
			if string(v) != "v" {
				return fmt.Errorf("the value became %q", v)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	tick <- time.Time{}
	tick <- time.Time{} // taken when the look before has ended
	require.LessOrEqual(t, keptIterators(s), 1, "that of the read which is at work")
	close(end)
	reading.Wait()
	tick <- time.Time{}
	tick <- time.Time{}
	require.Zero(t, keptIterators(s))
	require.Zero(t, s.Metrics().TableIters)
	require.NoError(t, s.Close())
}

// TestPointReadsAfterFault: an iterator that met an error is not used again.
func TestPointReadsAfterFault(t *testing.T) {
	mem := vfs.NewMem()
	s := openSeparated(t, mem)
	require.NoError(t, putSeparated(t.Context(), s, 0))
	require.NoError(t, s.Close())

	for _, suffix := range []string{".blob", ".sst"} {
		var fail atomic.Bool
		s, err := Open(t.Context(), "d", &Options{keepFrom: 1, FS: errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if fail.Load() && strings.HasSuffix(op.Path, suffix) && op.Kind.ReadOrWrite() == errorfs.OpIsRead {
				return syscall.EIO
			}
			return nil
		}))})
		require.NoError(t, err)
		fail.Store(true)
		for range 3 {
			found, err := s.Get(t.Context(), separatedKey(0, 0), func([]byte) error { t.Error("called with a value"); return nil })
			require.ErrorIs(t, err, syscall.EIO)
			require.False(t, found)
			require.Zero(t, keptIterators(s))
		}
		require.NoError(t, s.Close())
	}
}
