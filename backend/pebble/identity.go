package pebble

import (
	"os"

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

// isSystem reports whether fsys is the operating system's.
func isSystem(fsys vfs.FS) bool { return vfs.Root(fsys) == vfs.Default }
