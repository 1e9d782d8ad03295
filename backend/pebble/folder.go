package pebble

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// folder is a store's directory, locked until it is left.
type folder struct {
	dir      string
	fs       vfs.FS
	pebble   *crdb.Lock // Pebble's own lock
	system   io.Closer  // nil on a file system that is not the operating system's
	identity identity
	readOnly error // why nothing in it may be changed, nil if it may
	ballast  *ballast
}

// takeFolder creates dir where it is missing, and locks it.
func takeFolder(fsys vfs.FS, dir string) (f *folder, err error) {
	if isSystem(fsys) {
		fsys = privateFS{fsys}
	}
	if err := createDir(fsys, dir); err != nil {
		return nil, err
	}
	f = &folder{dir: dir, fs: fsys}
	if f.system, err = lockSystem(fsys, dir, true); err != nil {
		return nil, err
	}
	if f.pebble, err = crdb.LockDirectory(dir, fsys); err != nil {
		// Only the call that takes the lock fails with anything else than a
		// path's error. It does too where locks are not to be had.
		if path := (*fs.PathError)(nil); !errors.As(err, &path) && !errors.Is(err, syscall.ENOLCK) {
			err = fmt.Errorf("%w: %w", ErrLocked, err)
		}
		return nil, errors.Join(err, f.leave())
	}
	if f.identity, err = identify(fsys, dir); err != nil {
		return nil, errors.Join(err, f.leave())
	}
	return f, nil
}

// lockSystem takes the operating system's lock of dir, to be closed; none on
// another file system.
func lockSystem(fsys vfs.FS, dir string, exclusive bool) (io.Closer, error) {
	if !isSystem(fsys) {
		return nil, nil
	}
	lock, err := lockDir(dir, exclusive)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	}
	return lock, err
}

// unlocked is a file system on which locks are none: the folder is locked from the
// first opening of the engine to the last, whichever of them is open.
type unlocked struct{ vfs.FS }

// Unwrap implements vfs.FS.
func (f unlocked) Unwrap() vfs.FS { return f.FS }

// Lock implements vfs.FS.
func (unlocked) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// leave gives the locks back. It is called once.
func (f *folder) leave() (err error) {
	if f.pebble != nil {
		err = f.pebble.Close()
	}
	if f.system != nil {
		err = errors.Join(err, f.system.Close())
	}
	return err
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

// createDir creates dir and what is missing above it, durably.
func createDir(fsys vfs.FS, dir string) error {
	var missing []string
	for d := dir; ; d = fsys.PathDir(d) {
		_, err := fsys.Stat(d)
		if err == nil || d == fsys.PathDir(d) {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		missing = append(missing, d)
	}
	if len(missing) == 0 {
		return nil
	}
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range missing {
		parent, err := fsys.OpenDir(fsys.PathDir(d))
		if err != nil {
			return err
		}
		if err := errors.Join(parent.Sync(), parent.Close()); err != nil {
			return err
		}
	}
	return nil
}

// refuseIncomplete returns an error where there are fewer blob files than the
// engine uses: Pebble looks for its tables when it opens a store, but ends the
// process when it reads from a blob file that is missing. Blob files that are not
// in use any more, as a crash may leave, can hide that.
//
// Pebble v2.1.7: unnecessary when crdb.Open looks for blob files as it does for
// tables (TestPebbleMissesBlobFilesLate).
func (f *folder) refuseIncomplete(db *crdb.DB) error {
	const looks = 3 // Pebble is at work already, and may replace a file between two counts
	var used, present uint64
	for range looks {
		used, present = db.Metrics().BlobFiles.LiveCount, 0
		names, err := f.fs.List(f.dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if strings.HasSuffix(name, ".blob") {
				present++
			}
		}
		if present >= used {
			return nil
		}
	}
	return fmt.Errorf("damaged: %d blob files are in use, but there are only %d", used, present)
}
