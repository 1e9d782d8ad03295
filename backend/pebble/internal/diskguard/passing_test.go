package diskguard

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

func TestPasses(t *testing.T) {
	for errno, want := range map[syscall.Errno]bool{
		syscall.ENOSPC: true, syscall.EDQUOT: true, syscall.EMFILE: true, syscall.ENFILE: true,
		syscall.EIO: false, syscall.EROFS: false, syscall.EACCES: false, syscall.ESTALE: false,
	} {
		require.Equal(t, want, Passes(fmt.Errorf("write: %w", &fs.PathError{Op: "write", Err: errno})), "%v", errno)
		require.False(t, Passes(errors.New(errno.Error())), "it goes by the number")
	}
	require.False(t, Passes(nil))
}

// TestLaterErrorLasts: of several operations under way one may fail otherwise.
func TestLaterErrorLasts(t *testing.T) {
	fail := newFailure()
	d := newDisk(vfs.NewMem(), fail, NewKeeper(nil))
	require.False(t, fail.Passing())
	d.failOn("write", "000001.log", syscall.ENOSPC)
	require.True(t, fail.Passing())
	require.ErrorIs(t, fail.Unavailable(), backend.ErrUnavailable)
	require.NotErrorIs(t, fail.Unavailable(), backend.ErrStopped)
	fail.Fail(errors.New("what Pebble makes of it"))
	d.failOn("write", "000002.sst", syscall.EMFILE)
	require.True(t, fail.Passing())
	require.ErrorIs(t, fail.Cause(), syscall.ENOSPC, "the first")
	d.failOn("sync", "000001.log", syscall.EIO)
	require.False(t, fail.Passing())
	require.ErrorIs(t, fail.Unavailable(), backend.ErrStopped)
	require.ErrorIs(t, fail.Cause(), syscall.EIO)
	d.failOn("write", "000002.sst", syscall.ENOSPC)
	require.False(t, fail.Passing())
}

// TestFreezeWaits: what was under way when another operation failed may still
// reach the disk, and nothing behind it.
func TestFreezeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		answer := make(chan struct{})
		fail := newFailure()
		g := New(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFileWrite && isLog(op.Path) {
				<-answer
			}
			return nil
		})), fail, NewKeeper(mem))
		f, err := g.Create("000001.log", "pebble-wal")
		require.NoError(t, err)
		go func() { _, _ = f.Write([]byte("late")) }()
		synctest.Wait()
		fail.Fail(syscall.ENOSPC)
		frozen := make(chan struct{})
		go func() {
			g.Freeze()
			close(frozen)
		}()
		synctest.Wait()
		require.False(t, isDone(frozen))
		close(answer)
		<-frozen
		_, err = f.Write([]byte("never"))
		require.NoError(t, err, "Pebble is not told")
		require.NoError(t, g.Remove("000001.log"))
		info, err := mem.Stat("000001.log")
		require.NoError(t, err)
		require.EqualValues(t, 4, info.Size())
	})
}

// TestKeeper: tables and blob files stay as long as they have readers, logs do
// not.
func TestKeeper(t *testing.T) {
	mem := vfs.NewMem()
	k := NewKeeper(mem)
	g := New(mem, newFailure(), k)
	there := func(name string) bool {
		_, err := mem.Stat(name)
		return err == nil
	}
	make := func(name string) {
		f, err := mem.Create(name, vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	for _, name := range []string{"1.sst", "2.blob", "3.log", "4.sst"} {
		make(name)
	}
	k.Hold()
	k.Hold()
	for _, name := range []string{"1.sst", "2.blob", "3.log"} {
		require.NoError(t, g.Remove(name))
	}
	require.True(t, there("1.sst") && there("2.blob"))
	require.False(t, there("3.log"))
	k.Release()
	require.True(t, there("1.sst"))
	k.Release()
	require.False(t, there("1.sst") || there("2.blob"))
	require.True(t, there("4.sst"), "it was not removed")
	require.NoError(t, g.Remove("4.sst"))
	require.False(t, there("4.sst"))
}
