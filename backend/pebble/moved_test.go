package pebble

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// removeAll removes a directory to which a store may add files meanwhile.
func removeAll(dir string) (err error) {
	for range 100 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
	}
	return err
}

// TestFolderGone: a store whose folder was removed, moved, replaced or emptied
// stops at the watcher's next look, as after a failed write. What it had
// acknowledged before is there where the folder went.
func TestFolderGone(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(dir string) error
		moved string // where the folder is now
	}{
		"removed": {do: removeAll},
		"moved":   {do: func(dir string) error { return os.Rename(dir, dir+"-away") }, moved: "-away"},
		"replaced": {do: func(dir string) error {
			return errors.Join(os.Rename(dir, dir+"-away"), os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, lockFile), nil, 0o600))
		}, moved: "-away"},
		"removed and made again": {do: func(dir string) error { return errors.Join(removeAll(dir), os.Mkdir(dir, 0o700)) }},
		"emptied": {do: func(dir string) error {
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			for _, f := range files {
				err = errors.Join(err, os.Remove(f))
			}
			return err
		}},
		"a file in its place": {do: func(dir string) error { return errors.Join(removeAll(dir), os.WriteFile(dir, nil, 0o600)) }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			tick := make(chan time.Time)
			s, err := Open(t.Context(), dir, &Options{tick: tick})
			require.NoError(t, err)
			put := func(o backend.UpdateOptions) error {
				return s.Update(t.Context(), nil, o, func(_ context.Context, x backend.Txn) error { return x.Put([]byte("k"), []byte("v")) })
			}
			require.NoError(t, put(backend.UpdateOptions{}))
			tick <- time.Time{}
			tick <- time.Time{}
			require.NoError(t, s.Ready(), "it is where it was")

			require.NoError(t, c.do(dir))
			// The second tick is taken when the first one's look has ended.
			tick <- time.Time{}
			tick <- time.Time{}
			require.ErrorIs(t, s.Ready(), backend.ErrStopped)
			require.ErrorContains(t, s.Ready(), dir)
			for _, o := range []backend.UpdateOptions{{}, {Buffered: true}, {Reclaim: true}} {
				require.ErrorIs(t, put(o), backend.ErrUnavailable)
			}
			found, err := s.Get(t.Context(), []byte("k"), func([]byte) error { return nil })
			require.NoError(t, err)
			require.True(t, found, "reads go on")
			require.ErrorIs(t, s.Close(), backend.ErrUnavailable)
			if c.moved == "" {
				return
			}
			s, err = Open(t.Context(), dir+c.moved, &Options{MustExist: true})
			require.NoError(t, err)
			found, err = s.Get(t.Context(), []byte("k"), func([]byte) error { return nil })
			require.NoError(t, err)
			require.True(t, found)
			require.NoError(t, s.Close())
		})
	}
}

// TestFolderGoneInMemory: other file systems have no inodes, but names.
func TestFolderGoneInMemory(t *testing.T) {
	mem := vfs.NewMem()
	tick := make(chan time.Time)
	s, err := Open(t.Context(), "d", &Options{FS: mem, tick: tick})
	require.NoError(t, err)
	tick <- time.Time{}
	tick <- time.Time{}
	require.NoError(t, s.Ready())
	require.NoError(t, mem.RemoveAll("d"))
	tick <- time.Time{}
	tick <- time.Time{}
	require.ErrorIs(t, s.Ready(), backend.ErrStopped)
	require.ErrorIs(t, s.Close(), backend.ErrUnavailable)
}
