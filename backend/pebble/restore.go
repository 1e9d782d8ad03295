package pebble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/diskguard"
)

// restoringName is the file that says that a directory is being restored to. A
// store is not opened beside it.
const restoringName = "restoring"

// restoredName is the file that says that a store was made of a backup, until
// SettleRestored.
const restoredName = "restored"

// manifestMarker is what the name of the file begins with that makes a directory a
// store.
const manifestMarker = "marker.manifest."

// formatMarker begins the name of the file that names the format of a store.
const formatMarker = "marker.format-version."

var (
	// ErrNotEmpty is returned by Restore for a directory that has something in it.
	ErrNotEmpty = errors.New("backend/pebble: the directory is not empty")
	// ErrIncomplete is returned by Open for a directory to which a store was being
	// restored when the process ended. Restore begins anew there.
	ErrIncomplete = errors.New("backend/pebble: a store was not restored to its end: restore it again")
)

// Restore makes a store in dir of what [backend.Checkpoint] has written, and opens
// it to check it. dir is made if it is missing, and must be empty unless an
// earlier Restore to it was interrupted. Of the options only FS and Logger are
// used; nil means the defaults.
//
// Every byte is checked: Restore fails with ErrDamagedBackup where anything is
// missing, changed or added. After an error nothing is left in dir, and errors
// of r are returned as they are. A crash leaves a directory that Open refuses
// with ErrIncomplete.
func Restore(ctx context.Context, dir string, r io.Reader, o *Options) (info backend.BackupInfo, err error) {
	opts, err := o.withDefaults()
	if err != nil {
		return info, err
	}
	if err := requireVacant(opts.FS, dir); err != nil {
		return info, err
	}
	f, err := takeFolder(opts.FS, dir)
	if err != nil {
		return info, fmt.Errorf("backend/pebble: restore to %s: %w", dir, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.clear())
		}
		err = errors.Join(err, f.leave())
	}()
	if info, err = f.restore(ctx, r); err != nil {
		return info, err
	}
	return info, f.lookAt(opts)
}

// VerifyBackup reads a backup to its end and returns what it holds. Like [Restore]
// it fails at any byte that is not as it was written.
func VerifyBackup(ctx context.Context, r io.Reader) (backend.BackupInfo, error) {
	return readBackup(r, func(_ string, r io.Reader) error {
		_, err := io.Copy(io.Discard, contextReader{ctx, r})
		return err
	})
}

// requireVacant refuses a directory in which something is.
func requireVacant(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && slices.Contains(names, restoringName) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != "lost+found" {
			return fmt.Errorf("%w: %s has %q", ErrNotEmpty, dir, name)
		}
	}
	return nil
}

// restore makes the files of a store.
func (f *folder) restore(ctx context.Context, r io.Reader) (info backend.BackupInfo, err error) {
	// Where this file is there is no store. It comes first, and goes last.
	if err := f.makeFile(restoringName, strings.NewReader("")); err != nil {
		return info, err
	}
	if err := f.sync(); err != nil {
		return info, err
	}
	if err := f.clearFiles(); err != nil { // of a Restore that was interrupted
		return info, err
	}
	var markers []string
	info, err = readBackup(contextReader{ctx, r}, func(name string, r io.Reader) error {
		if strings.HasPrefix(name, manifestMarker) {
			// Without it there is no store, and its name is all that it says.
			markers = append(markers, name)
			_, err := io.Copy(io.Discard, r)
			return err
		}
		return f.makeFile(name, r)
	})
	if err != nil {
		return info, err
	}
	if len(markers) != 1 {
		return info, fmt.Errorf("%w: it has %d files %s*", ErrDamagedBackup, len(markers), manifestMarker)
	}
	if err := f.makeFile(restoredName, strings.NewReader("")); err != nil {
		return info, err
	}
	// The marker is made when what it names is on the disk for sure.
	if err := f.sync(); err != nil {
		return info, err
	}
	if err := f.makeFile(markers[0], strings.NewReader("")); err != nil {
		return info, err
	}
	if err := f.sync(); err != nil {
		return info, err
	}
	if err := f.fs.Remove(f.fs.PathJoin(f.dir, restoringName)); err != nil {
		return info, err
	}
	return info, f.sync()
}

// makeFile makes a file of the folder, durably but for its name.
func (f *folder) makeFile(name string, r io.Reader) error {
	file, err := f.fs.Create(f.fs.PathJoin(f.dir, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, r); err != nil {
		return errors.Join(err, file.Close())
	}
	return errors.Join(file.Sync(), file.Close())
}

// sync makes the names in the folder durable.
func (f *folder) sync() error {
	d, err := f.fs.OpenDir(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lookAt opens the folder's store for reading.
func (f *folder) lookAt(o Options) error {
	o.ReadOnly, o.CacheSize, o.MemTableSize, o.fitMemTable = true, checkpointCache, minMemTableSize, false
	o.MaxOpenFiles, o.Resources = minOpenFiles, nil
	look := &folder{dir: f.dir, fs: frozenFS{f.fs}, readOnly: errAsked}
	look.ballast = newBallast(look, o.Logger)
	e, err := openEngine(look, o, diskguard.NewKeeper(look.fs), true)
	if err != nil {
		return fmt.Errorf("backend/pebble: what was restored can't be opened: %w", err)
	}
	return e.close()
}

// clear removes what restore has made.
func (f *folder) clear() error {
	err := f.clearFiles()
	// Last, so that a crash in between leaves no half of a store.
	for _, name := range []string{restoredName, restoringName, lockFile} {
		if e := f.fs.Remove(f.fs.PathJoin(f.dir, name)); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// clearFiles removes the files of a store, the one first that makes it one.
func (f *folder) clearFiles() error {
	names, err := f.fs.List(f.dir)
	if err != nil {
		return err
	}
	slices.SortFunc(names, func(a, b string) int {
		first := func(name string) int {
			if strings.HasPrefix(name, manifestMarker) {
				return 0
			}
			return 1
		}
		return first(a) - first(b)
	})
	for _, name := range names {
		if backupName.MatchString(name) {
			err = errors.Join(err, f.fs.Remove(f.fs.PathJoin(f.dir, name)))
		}
	}
	return err
}

// WasRestored implements backend.Restored.
func (s *Store) WasRestored() bool {
	_, err := s.folder.fs.Stat(s.folder.fs.PathJoin(s.folder.dir, restoredName))
	return err == nil
}

// SettleRestored implements backend.Restored.
func (s *Store) SettleRestored() error {
	if s.folder.readOnly != nil {
		return s.folder.readOnly
	}
	err := s.folder.fs.Remove(s.folder.fs.PathJoin(s.folder.dir, restoredName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.folder.sync()
}

// contextReader is a reader that ends with a context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
