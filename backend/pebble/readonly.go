package pebble

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelflife-db/shelflife/backend"
)

// errAsked is why a store is open for reading where nothing keeps it from being
// written.
var errAsked = errors.New("as was asked for")

// unwritable reports whether err says that the directory can be read at best.
func unwritable(err error) bool {
	return isFull(err) || errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}

// isFull reports whether err says that there is no room.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// shareFolder locks dir for reading: others may do that at the same time, none
// may write. Where the file system is not the operating system's, or that offers
// no such lock, it does without, since a lock of Pebble's would be a file.
func shareFolder(fsys frozenFS, dir string, why error) (f *folder, err error) {
	f = &folder{dir: dir, fs: fsys, readOnly: fmt.Errorf("%w: %w", backend.ErrReadOnly, why)}
	if f.system, err = lockSystem(fsys, dir, false); err != nil {
		return nil, err
	}
	if f.pebble, err = crdb.LockDirectory(dir, fsys); err != nil {
		return nil, errors.Join(err, f.leave())
	}
	return f, nil
}

// frozenFS is a file system on which nothing can be changed. Its locks are none.
//
// Pebble v2.1.7: locks are needed here since Pebble makes its file of the lock
// when it opens a store for reading too (TestPebbleLocksWhatItReads).
type frozenFS struct{ vfs.FS }

var _ vfs.FS = frozenFS{}

// errFrozen never comes to light: Pebble writes nothing where it reads.
var errFrozen = &fs.PathError{Op: "write", Path: "a store that is open for reading", Err: fs.ErrPermission}

// Unwrap implements vfs.FS.
func (f frozenFS) Unwrap() vfs.FS { return f.FS }

// Lock implements vfs.FS.
func (frozenFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Create implements vfs.FS.
func (frozenFS) Create(string, vfs.DiskWriteCategory) (vfs.File, error) { return nil, errFrozen }

// OpenReadWrite implements vfs.FS.
func (frozenFS) OpenReadWrite(string, vfs.DiskWriteCategory, ...vfs.OpenOption) (vfs.File, error) {
	return nil, errFrozen
}

// ReuseForWrite implements vfs.FS.
func (frozenFS) ReuseForWrite(string, string, vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, errFrozen
}

// Link implements vfs.FS.
func (frozenFS) Link(string, string) error { return errFrozen }

// Remove implements vfs.FS.
func (frozenFS) Remove(string) error { return errFrozen }

// RemoveAll implements vfs.FS.
func (frozenFS) RemoveAll(string) error { return errFrozen }

// Rename implements vfs.FS.
func (frozenFS) Rename(string, string) error { return errFrozen }

// MkdirAll implements vfs.FS.
func (frozenFS) MkdirAll(string, os.FileMode) error { return errFrozen }
