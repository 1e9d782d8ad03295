package diskguard

import (
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// dirs are the directories that are open. Pebble opens that of a store five times
// to sync it, and holds on to all of them: a process with many stores would run
// out of files for that.
type dirs struct {
	mu   sync.Mutex // guards the rest; held while a directory is opened and closed
	open map[string]*sharedDir
}

// sharedDir is an open directory that several have.
type sharedDir struct {
	vfs.File
	dirs  *dirs
	name  string
	users int
}

// get opens a directory, or returns it as it is open. The result is closed as
// often as it was got.
func (d *dirs) get(fs vfs.FS, name string) (vfs.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.open[name]
	if s == nil {
		f, err := fs.OpenDir(name)
		if err != nil {
			return nil, err
		}
		s = &sharedDir{File: f, dirs: d, name: name}
		if d.open == nil {
			d.open = make(map[string]*sharedDir)
		}
		d.open[name] = s
	}
	s.users++
	return s, nil
}

// Close closes the directory unless it is still in use elsewhere.
func (s *sharedDir) Close() error {
	s.dirs.mu.Lock()
	defer s.dirs.mu.Unlock()
	if s.users--; s.users > 0 {
		return nil
	}
	delete(s.dirs.open, s.name)
	return s.File.Close()
}
