package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// identity is what a directory and the file of its lock were when they were
// locked. Both are held open, so that their inodes are not used again.
type identity struct {
	dir, lock os.FileInfo // nil on a file system that is not the operating system's
}

// lockFile is the file of Pebble's lock in a store's directory.
const lockFile = "LOCK"

// identify returns what dir is now.
func identify(fsys vfs.FS, dir string) (id identity, err error) {
	if !isSystem(fsys) {
		return id, nil
	}
	if id.dir, err = os.Stat(dir); err != nil {
		return id, err
	}
	id.lock, err = os.Stat(fsys.PathJoin(dir, lockFile))
	return id, err
}

// moved returns an error where the folder's name does not lead to what was
// opened: it was removed, moved or replaced, or emptied. An error of the look
// itself is none.
func (f *folder) moved() error {
	err := f.compare()
	for _, gone := range []error{errReplaced, fs.ErrNotExist, syscall.ENOTDIR, syscall.ESTALE} {
		if errors.Is(err, gone) {
			return fmt.Errorf("the folder %s is not the one that was opened: %w", f.dir, err)
		}
	}
	return nil
}

var errReplaced = errors.New("it was replaced")

func (f *folder) compare() error {
	if f.identity.dir == nil {
		_, err := f.fs.Stat(f.fs.PathJoin(f.dir, lockFile))
		return err
	}
	now, err := identify(f.fs, f.dir)
	if err == nil && (!os.SameFile(now.dir, f.identity.dir) || !os.SameFile(now.lock, f.identity.lock)) {
		err = errReplaced
	}
	return err
}

// isSystem reports whether fsys is the operating system's.
func isSystem(fsys vfs.FS) bool { return vfs.Root(fsys) == vfs.Default }
