package diskguard

import (
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// aside is the directory whose files are not the store's, see FS.Aside.
type aside struct {
	dir string
	mu  sync.Mutex // guards err
	err error      // the first failed sync of a directory since TakeAsideError
}

// Aside has what Pebble does in dir, a directory within the store's, go to the disk
// unguarded: a failure there is an error of the operation, and says nothing of the
// store. It is called before Pebble is opened. Where the store has failed nothing
// is begun there either.
//
// Errors of directories are held back for [FS.TakeAsideError].
//
// Pebble v2.1.7: unnecessary when atomicfs.Marker.Move returns an error where its
// directory can't be synced, rather than panic (TestPebblePanicsOnMarkers).
func (g *FS) Aside(dir string) { g.aside.dir = dir }

// TakeAsideError returns the first error that was held back since the last call.
func (g *FS) TakeAsideError() error {
	g.aside.mu.Lock()
	defer g.aside.mu.Unlock()
	err := g.aside.err
	g.aside.err = nil
	return err
}

// isAside reports whether name is the directory aside, or directly in it.
func (g *FS) isAside(name string) bool {
	return g.aside.dir != "" && (name == g.aside.dir || g.PathDir(name) == g.aside.dir)
}

// apart runs an operation aside.
func (g *FS) apart(operation func() error) error {
	if !g.begin() {
		return g.fail.Unavailable()
	}
	defer g.end()
	return operation()
}

// openApart opens or makes a file aside.
func (g *FS) openApart(open func() (vfs.File, error)) (f vfs.File, err error) {
	err = g.apart(func() (err error) { f, err = open(); return err })
	return f, err
}

// asideDir is a directory aside.
type asideDir struct {
	vfs.File
	aside *aside
}

// Sync holds an error back.
func (d asideDir) Sync() error {
	if err := d.File.Sync(); err != nil {
		d.aside.mu.Lock()
		defer d.aside.mu.Unlock()
		if d.aside.err == nil {
			d.aside.err = err
		}
	}
	return nil
}
