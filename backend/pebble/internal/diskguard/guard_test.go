package diskguard

import (
	"log/slog"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"
)

func newFailure() *Failure { return NewFailure(slog.New(slog.DiscardHandler)) }

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

// TestGuardAfterFailure: every way to change the disk is closed.
func TestGuardAfterFailure(t *testing.T) {
	fs := vfs.NewMem()
	require.NoError(t, fs.MkdirAll("d", 0o700))
	fail := newFailure()
	g := New(fs, fail, NewKeeper(fs))
	f, err := g.Create("d/000001.log", "pebble-wal")
	require.NoError(t, err)
	table, err := g.Create("d/000002.sst", "pebble-memtable-flush")
	require.NoError(t, err)
	for _, f := range []vfs.File{f, table} {
		_, err = f.Write([]byte("before"))
		require.NoError(t, err)
	}
	before := listing(t, fs)
	fail.Fail(syscall.EIO)

	_, err = f.Write([]byte("after"))
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	_, err = table.Write([]byte("after"))
	require.ErrorIs(t, err, syscall.EIO, "a table that is half on the disk")
	require.ErrorIs(t, table.Sync(), syscall.EIO)
	require.NoError(t, g.Remove("d/000001.log"))
	require.NoError(t, g.RemoveAll("d"))
	require.NoError(t, g.Rename("d/000001.log", "d/x"))
	require.NoError(t, g.Link("d/000001.log", "d/x"))
	require.NoError(t, g.MkdirAll("d/e", 0o700))
	_, err = g.ReuseForWrite("d/000001.log", "d/000003.log", "pebble-wal")
	require.NoError(t, err)
	_, err = g.OpenReadWrite("d/000001.log", "pebble-wal")
	require.NoError(t, err)
	again, err := g.Create("d/000002.sst", "pebble-memtable-flush")
	require.NoError(t, err)
	_, err = again.Write([]byte("in memory"))
	require.NoError(t, err)
	i, err := g.Stat("d/000002.sst")
	require.NoError(t, err)
	require.Equal(t, int64(len("in memory")), i.Size())
	require.Equal(t, before, listing(t, fs))
}

// TestCompactionsWaitAfterFailure: one that fails is not tried again at once,
// and all end when the store closes.
func TestCompactionsWaitAfterFailure(t *testing.T) {
	const name, category = "d/000009.sst", "pebble-compaction"
	create := func(g *FS) chan error {
		done := make(chan error, 1)
		go func() {
			_, err := g.Create(name, category)
			done <- err
		}()
		return done
	}
	fail := newFailure()
	g := New(vfs.NewMem(), fail, NewKeeper(nil))
	require.Error(t, <-create(g), "there is no directory")
	require.ErrorIs(t, <-create(g), errOpening, "Pebble waits for it before it is open")
	g.Opened()
	require.NoError(t, g.MkdirAll("d", 0o700))
	waiting := create(g)
	require.Empty(t, waiting)
	g.Resume()
	require.NoError(t, <-waiting)

	fail.Fail(syscall.EIO)
	waiting = create(g)
	g.Resume()
	require.Empty(t, waiting)
	g.Stop()
	require.ErrorIs(t, <-waiting, errStopping)
}

// TestRunningCompactionGoesOn: the store's closing ends no compaction that
// could go on.
func TestRunningCompactionGoesOn(t *testing.T) {
	g := New(vfs.NewMem(), newFailure(), NewKeeper(nil))
	g.Opened()
	const category = "pebble-compaction"
	first, err := g.Create("000001.sst", category)
	require.NoError(t, err)
	g.Stop()
	second, err := g.Create("000002.sst", category)
	require.NoError(t, err)
	for _, f := range []vfs.File{first, second} {
		_, err = f.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, f.Sync())
		require.NoError(t, f.Close())
	}
}

// TestSizeThatCannotBeHad: Pebble is told that the log is empty, and nothing is
// written to it any more.
func TestSizeThatCannotBeHad(t *testing.T) {
	mem := vfs.NewMem()
	fail := newFailure()
	g := New(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileStat {
			return syscall.EIO
		}
		return nil
	})), fail, NewKeeper(mem))
	f, err := g.Create("000001.log", "pebble-wal")
	require.NoError(t, err)
	_, err = f.Write([]byte("before"))
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	require.Zero(t, info.Size())
	require.ErrorIs(t, fail.Unavailable(), syscall.EIO)
}
