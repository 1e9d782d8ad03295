package pebble_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
)

// contents returns the files of a directory with their bytes.
func contents(t *testing.T, fs vfs.FS, dir string) map[string]string {
	t.Helper()
	names, err := fs.List(dir)
	require.NoError(t, err)
	files := map[string]string{}
	for _, name := range names {
		f, err := fs.Open(fs.PathJoin(dir, name))
		require.NoError(t, err)
		info, err := f.Stat()
		require.NoError(t, err)
		if !info.IsDir() {
			data, err := io.ReadAll(f)
			require.NoError(t, err)
			files[name] = string(data)
		}
		require.NoError(t, f.Close())
	}
	return files
}

// crashed returns a file system with a store that a crash has left: some of it in
// tables, some in its log.
func crashed(t *testing.T) *vfs.MemFS {
	t.Helper()
	mem := vfs.NewCrashableMem()
	s := open(t, mem)
	for n := range 100 {
		require.NoError(t, put(t.Context(), s, 0, n, backend.UpdateOptions{}))
	}
	require.NoError(t, s.Close())
	s = open(t, mem)
	for n := range 100 {
		require.NoError(t, put(t.Context(), s, 1, n, backend.UpdateOptions{}))
	}
	after := mem.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, s.Close())
	return after
}

// requireReads uses a store that is open for reading.
func requireReads(t *testing.T, s *pebble.Store, because error) {
	t.Helper()
	require.True(t, s.Properties().ReadOnly)
	for n := range 100 {
		require.True(t, has(t, s, 0, n))
		require.True(t, has(t, s, 1, n))
	}
	snapshot, err := s.Snapshot(t.Context())
	require.NoError(t, err)
	require.True(t, has(t, snapshot, 1, 99))
	require.NoError(t, snapshot.Close())
	require.NoError(t, s.Durable(t.Context(), scope(1)))
	for _, o := range []backend.UpdateOptions{{}, {Buffered: true}, {Reclaim: true}, {Patient: true}} {
		ran := false
		err := s.Update(t.Context(), scope(0), o, func(context.Context, backend.Txn) error { ran = true; return nil })
		require.ErrorIs(t, err, backend.ErrReadOnly)
		require.ErrorIs(t, err, backend.ErrUnavailable)
		require.NotErrorIs(t, err, backend.ErrStopped, "no write has failed")
		require.False(t, ran)
	}
	require.ErrorIs(t, s.Reclaim(t.Context()), backend.ErrReadOnly)
	require.ErrorIs(t, s.Ready(), backend.ErrReadOnly)
	if because != nil {
		require.ErrorIs(t, s.Ready(), because)
	}
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Ready(), backend.ErrClosed)
}

// TestReadOnly: a store that was opened for reading shows everything, takes no
// writes, and leaves its directory as it is, byte for byte.
func TestReadOnly(t *testing.T) {
	mem := crashed(t)
	t.Run("closed", func(t *testing.T) {
		mem := crashed(t)
		require.NoError(t, open(t, mem).Close())
		before := contents(t, mem, dir)
		o := options(mem)
		o.ReadOnly = true
		s, err := pebble.Open(t.Context(), dir, o)
		require.NoError(t, err)
		requireReads(t, s, nil)
		require.Equal(t, before, contents(t, mem, dir))
	})
	var written atomic.Int32
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose {
			written.Add(1)
			return syscall.EROFS
		}
		return nil
	}))
	before := contents(t, mem, dir)
	o := options(fs)
	o.ReadOnly = true
	for range 2 {
		s, err := pebble.Open(t.Context(), dir, o)
		require.NoError(t, err)
		requireReads(t, s, nil)
	}
	require.Equal(t, before, contents(t, mem, dir))
	require.Zero(t, written.Load(), "something was tried")
}

// TestUnwritable: a store that can't be written is opened for reading, and says
// why. One that is not there is not.
func TestUnwritable(t *testing.T) {
	for _, cause := range []error{syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT, syscall.EACCES} {
		t.Run(cause.Error(), func(t *testing.T) {
			mem := crashed(t)
			fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				switch op.Kind {
				case errorfs.OpFileClose, errorfs.OpLock, errorfs.OpMkdirAll, errorfs.OpRemove:
					return nil
				}
				if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
					return cause
				}
				return nil
			}))
			s, err := pebble.Open(t.Context(), dir, options(fs))
			require.NoError(t, err)
			requireReads(t, s, cause)

			_, err = pebble.Open(t.Context(), "other", options(fs))
			require.ErrorIs(t, err, cause)

			s = open(t, mem) // it can be written again
			require.NoError(t, put(t.Context(), s, 2, 0, backend.UpdateOptions{}))
			require.True(t, has(t, s, 1, 99))
			require.NoError(t, s.Close())
		})
	}
}

// TestReadersShare: several may read, while none writes.
func TestReadersShare(t *testing.T) {
	path := t.TempDir()
	reading := &pebble.Options{ReadOnly: true}
	writer, err := pebble.Open(t.Context(), path, nil)
	require.NoError(t, err)
	_, err = pebble.Open(t.Context(), path, reading)
	require.ErrorIs(t, err, pebble.ErrLocked)
	require.NoError(t, writer.Close())
	one, err := pebble.Open(t.Context(), path, reading)
	require.NoError(t, err)
	other, err := pebble.Open(t.Context(), path, reading)
	require.NoError(t, err)
	_, err = pebble.Open(t.Context(), path, nil)
	require.ErrorIs(t, err, pebble.ErrLocked)
	require.NoError(t, one.Close())
	require.NoError(t, other.Close())
}

// onDisk writes a store to a directory of the operating system.
func onDisk(t *testing.T, path string) map[string]string {
	t.Helper()
	mem := crashed(t)
	files := contents(t, mem, dir)
	require.NoError(t, os.MkdirAll(path, 0o700))
	for name, data := range files {
		require.NoError(t, os.WriteFile(filepath.Join(path, name), []byte(data), 0o600))
	}
	return files
}

// TestForeignFolder: a directory with other files is left as it is. What a volume
// has, or what stands beside a store, is no reason.
func TestForeignFolder(t *testing.T) {
	for name, c := range map[string]struct {
		files   []string
		foreign bool
	}{
		"a file":                  {[]string{"passwd"}, true},
		"one beside a volume's":   {[]string{"lost+found/", "notes.txt"}, true},
		"a folder":                {[]string{"home/"}, true},
		"a hidden one":            {[]string{".bashrc"}, true},
		"another engine's":        {[]string{"CURRENT", "LOCK", "MANIFEST-000001"}, true},
		"a fresh volume":          {[]string{"lost+found/"}, false},
		"what serve makes before": {[]string{"spool/"}, false},
		"a checkpoint":            {[]string{"checkpoint/"}, false},
		"an interrupted creation": {[]string{"LOCK", "MANIFEST-000001", "000002.dbtmp"}, false},
		"empty":                   {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			for _, file := range c.files {
				at := filepath.Join(path, file)
				if file[len(file)-1] == '/' {
					require.NoError(t, os.Mkdir(at, 0o755))
				} else {
					require.NoError(t, os.WriteFile(at, nil, 0o644))
				}
			}
			before := contents(t, vfs.Default, path)
			for _, o := range []*pebble.Options{{MustExist: true}, {ReadOnly: true}} {
				_, err := pebble.Open(t.Context(), path, o)
				if c.foreign {
					require.ErrorIs(t, err, pebble.ErrForeign)
				} else {
					require.ErrorIs(t, err, pebble.ErrNoStore)
				}
				require.ErrorContains(t, err, path)
			}
			require.Equal(t, before, contents(t, vfs.Default, path))
			s, err := pebble.Open(t.Context(), path, nil)
			if c.foreign {
				require.ErrorIs(t, err, pebble.ErrForeign)
				require.Equal(t, before, contents(t, vfs.Default, path))
				return
			}
			require.NoError(t, err)
			require.NoError(t, s.Close())
			s, err = pebble.Open(t.Context(), path, &pebble.Options{MustExist: true})
			require.NoError(t, err)
			require.NoError(t, s.Close())
		})
	}
}

// TestMustExist: a directory that is not there is not made.
func TestMustExist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "volume")
	for _, o := range []*pebble.Options{{MustExist: true}, {ReadOnly: true}} {
		_, err := pebble.Open(t.Context(), path, o)
		require.ErrorIs(t, err, pebble.ErrNoStore)
		require.NoDirExists(t, path)
	}
}

// TestHeadlessLog: a log without a marker is what is left of a store, and not to
// be replaced by a new one.
func TestHeadlessLog(t *testing.T) {
	path := t.TempDir()
	onDisk(t, path)
	for _, name := range slices.Collect(maps.Keys(contents(t, vfs.Default, path))) {
		if filepath.Ext(name) != ".log" {
			require.NoError(t, os.Remove(filepath.Join(path, name)))
		}
	}
	before := contents(t, vfs.Default, path)
	require.NotEmpty(t, before)
	_, err := pebble.Open(t.Context(), path, nil)
	require.ErrorContains(t, err, "damaged")
	require.Equal(t, before, contents(t, vfs.Default, path))
}

// TestFilesAreForTheirUserAlone, whatever the process's mask.
func TestFilesAreForTheirUserAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, err := pebble.Open(t.Context(), path, &pebble.Options{MemTableSize: 1 << 20})
	require.NoError(t, err)
	for n := range 4000 {
		require.NoError(t, put(t.Context(), s, 0, n, backend.UpdateOptions{Buffered: true}))
	}
	modes := func() {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
		entries, err := os.ReadDir(path)
		require.NoError(t, err)
		for _, e := range entries {
			// A compaction is at work: it removes files, and has made one a moment before
			// that is its user's alone, in a folder that is.
			require.Eventually(t, func() bool {
				info, err := os.Stat(filepath.Join(path, e.Name()))
				return errors.Is(err, os.ErrNotExist) || err == nil && info.Mode().Perm() == 0o600
			}, time.Minute, time.Millisecond, e.Name())
		}
	}
	modes()
	require.NoError(t, s.Close())
	modes()
}
