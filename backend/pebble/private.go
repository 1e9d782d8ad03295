package pebble

import (
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// privateFS is the operating system's file system, on which what is made is for
// the store's user alone.
//
// Pebble v2.1.7: unnecessary when vfs.Default takes the mode of new files
// (TestPebbleFilesAreForAll).
type privateFS struct{ vfs.FS }

var _ vfs.FS = privateFS{}

// privateFile is the mode of a store's files, privateDir that of its directory,
// where it is made.
const (
	privateFile = 0o600
	privateDir  = 0o700
)

// Unwrap implements vfs.FS.
func (f privateFS) Unwrap() vfs.FS { return f.FS }

// Create implements vfs.FS.
func (f privateFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, category)
	return f.own(name, file, err)
}

// OpenReadWrite implements vfs.FS.
func (f privateFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.OpenReadWrite(name, category, opts...)
	return f.own(name, file, err)
}

// ReuseForWrite implements vfs.FS.
func (f privateFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(oldname, newname, category)
	return f.own(newname, file, err)
}

// own gives the file its mode. A file system without modes has none to give.
func (privateFS) own(name string, file vfs.File, err error) (vfs.File, error) {
	if err == nil {
		_ = os.Chmod(name, privateFile)
	}
	return file, err
}

// Lock implements vfs.FS.
func (f privateFS) Lock(name string) (io.Closer, error) {
	lock, err := f.FS.Lock(name)
	if err == nil {
		_ = os.Chmod(name, privateFile)
	}
	return lock, err
}

// MkdirAll implements vfs.FS.
func (f privateFS) MkdirAll(dir string, _ os.FileMode) error { return f.FS.MkdirAll(dir, privateDir) }
