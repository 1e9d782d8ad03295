package pebble

import (
	"context"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// crowdedFS has no file descriptor for the next so many files.
type crowdedFS struct {
	vfs.FS
	next, refused atomic.Int32
}

func (fs *crowdedFS) err() error {
	if fs.next.Add(-1) < 0 {
		return nil
	}
	fs.refused.Add(1)
	return syscall.EMFILE
}

func (fs *crowdedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.err(); err != nil {
		return nil, err
	}
	return fs.FS.Create(name, c)
}

func (fs *crowdedFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.err(); err != nil {
		return nil, err
	}
	return fs.FS.ReuseForWrite(oldname, newname, c)
}

func (fs *crowdedFS) OpenDir(name string) (vfs.File, error) {
	if err := fs.err(); err != nil {
		return nil, err
	}
	return fs.FS.OpenDir(name)
}

func (fs *crowdedFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if strings.HasSuffix(name, ".blob") {
		if err := fs.err(); err != nil {
			return nil, err
		}
	}
	return fs.FS.Open(name, opts...)
}

// A moment without file descriptors neither stops the writes for good nor the
// rewriting of blob files.
func TestOutOfFiles(t *testing.T) {
	fs := &crowdedFS{FS: vfs.NewMem()}
	s, err := Open(t.Context(), "d", &Options{FS: fs, CacheSize: 1 << 20, MemTableSize: 256 << 10, DiskReserve: -1})
	require.NoError(t, err)
	put := func(i int) {
		require.NoError(t, s.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
			return txn.Put([]byte{byte(i)}, make([]byte, 20<<10))
		}))
	}
	for i := range 100 {
		if i%25 == 0 {
			fs.next.Store(2)
		}
		put(i)
	}
	require.NoError(t, s.turn.Load().db.Flush())
	require.Positive(t, fs.refused.Load())
	require.NoError(t, s.Ready())

	fs.next.Store(1)
	var failed int
	for i := range 100 {
		if _, err := s.Get(t.Context(), []byte{byte(i)}, func([]byte) error { return nil }); err != nil {
			failed++
		}
	}
	require.LessOrEqual(t, failed, 1)
	require.False(t, s.turn.Load().guard.Unreadable())
	require.NoError(t, s.Close())
}
