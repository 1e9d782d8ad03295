package diskguard

import (
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS stands between Pebble and the file system. It sees the first failed write
// before Pebble does, records it, and keeps it from Pebble, for which such an
// error ends the process. From then on nothing on the disk is written, renamed
// or removed: what Pebble writes goes to a file system in memory, from which it
// is read back, and compactions wait. A call that waits for a commit looks at the
// failure after Pebble has reported success.
//
// Pebble v2.1.7: unnecessary when a failed write of the log, the manifest or a
// directory is an error of the commit, and of all later ones, rather than the end
// of the process (TestPebbleExitsOnFailedWrites).
type FS struct {
	vfs.FS // reads, names, locks and listings pass through
	*disk
	logs   logs
	newest newest
	dirs   dirs
	aside  aside
	loads  loads
}

var _ vfs.FS = (*FS)(nil)

// New returns a guard of the disk below, which records in fail what ends its
// use. It removes no file that keeper keeps.
func New(below vfs.FS, fail *Failure, keeper *Keeper) *FS {
	return &FS{FS: below, disk: newDisk(below, fail, keeper), logs: logs{lock: make(chan struct{}, 1)}}
}

// Keeper returns that of New.
func (g *FS) Keeper() *Keeper { return g.keeper }

// Unwrap implements vfs.FS.
func (g *FS) Unwrap() vfs.FS { return g.FS }

func (g *FS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if g.isAside(name) {
		return g.openApart(func() (vfs.File, error) { return g.FS.Create(name, category) })
	}
	if strings.HasPrefix(g.PathBase(name), "marker.") {
		// A crash must not leave the marker and take the file that it names,
		// which has just been made beside it.
		//
		// Pebble v2.1.7: unnecessary when atomicfs.Marker.Move syncs its directory
		// before it makes a marker (TestPebbleMakesMarkersEarly).
		g.syncDir(g.PathDir(name))
	}
	return g.create(name, kindOf(name, category), func() (vfs.File, error) { return g.FS.Create(name, category) })
}

// syncDir makes the names in dir durable. A failure is recorded.
func (g *FS) syncDir(dir string) {
	if d, err := g.OpenDir(dir); err != nil {
		g.failOn("open", dir, err)
	} else {
		_ = d.Sync() // recorded by the guard
		_ = d.Close()
	}
}

func (g *FS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return g.create(newname, kindOf(newname, category), func() (vfs.File, error) {
		return g.reuse(oldname, newname, category)
	})
}

func (g *FS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return g.create(name, kindOf(name, category), func() (vfs.File, error) {
		return g.FS.OpenReadWrite(name, category, opts...)
	})
}

func (g *FS) create(name string, kind fileKind, real func() (vfs.File, error)) (vfs.File, error) {
	if kind == kindCompaction {
		if err := g.waitCompaction(); err != nil {
			return nil, err
		}
	}
	if g.begin() {
		f, err := g.createReal(name, kind, real)
		g.end()
		if f != nil || err != nil {
			return f, err
		}
	}
	return g.overlay.Create(g.PathBase(name), vfs.WriteCategoryUnspecified)
}

// createReal makes a file on the disk. It returns neither a file nor an error where
// that has failed and Pebble is not to see it.
func (g *FS) createReal(name string, kind fileKind, real func() (vfs.File, error)) (vfs.File, error) {
	f, err := g.patiently(real)
	switch {
	case err == nil:
		guarded := &guardedFile{File: f, disk: g.disk, name: name, kind: kind}
		if isLog(name) {
			guarded.log = newLogRoom(f)
			g.logs.began(name)
			g.beganLog(name)
		}
		return guarded, nil
	case kind == kindCompaction:
		g.backoff.Store(true)
		return nil, err
	}
	g.failOn("create", name, err)
	return nil, nil
}

// inOverlay reports whether name was made after the failure.
func (g *FS) inOverlay(name string) bool {
	if !g.fail.Failed() {
		return false
	}
	_, err := g.overlay.Stat(g.PathBase(name))
	return err == nil
}

func (g *FS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if g.inOverlay(name) {
		return g.overlay.Open(g.PathBase(name), opts...)
	}
	if strings.HasSuffix(name, ".blob") {
		return openBlob(g.disk, name, opts)
	}
	return g.FS.Open(name, opts...)
}

func (g *FS) Stat(name string) (vfs.FileInfo, error) {
	if g.inOverlay(name) {
		return g.overlay.Stat(g.PathBase(name))
	}
	return g.FS.Stat(name)
}

func (g *FS) OpenDir(name string) (vfs.File, error) {
	if g.isAside(name) {
		f, err := g.openApart(func() (vfs.File, error) { return g.FS.OpenDir(name) })
		if err != nil {
			return nil, err
		}
		return asideDir{f, &g.aside}, nil
	}
	f, err := g.patiently(func() (vfs.File, error) { return g.dirs.get(g.FS, name) })
	if err != nil {
		return nil, err
	}
	return &guardedFile{File: f, disk: g.disk, name: name, kind: kindLog}, nil
}

func (g *FS) Link(oldname, newname string) error {
	if g.isAside(newname) {
		return g.apart(func() error { return g.FS.Link(oldname, newname) })
	}
	if g.isLoad(oldname) {
		return g.linkLoad(oldname, newname)
	}
	return g.change("link", newname, func() error { return g.FS.Link(oldname, newname) })
}

func (g *FS) Rename(oldname, newname string) error {
	if g.isAside(newname) {
		return g.apart(func() error { return g.FS.Rename(oldname, newname) })
	}
	return g.change("rename", newname, func() error { return g.FS.Rename(oldname, newname) })
}

func (g *FS) change(op, name string, real func() error) error {
	if !g.begin() {
		return nil
	}
	defer g.end()
	if err := real(); err != nil {
		g.failOn(op, name, err)
	}
	return nil
}

// Remove fails without consequence: Pebble leaves the file for later.
func (g *FS) Remove(name string) error {
	if g.isAside(name) || g.isLoad(name) {
		return g.apart(func() error { return g.FS.Remove(name) })
	}
	if g.inOverlay(name) {
		return g.overlay.Remove(g.PathBase(name))
	}
	if !g.begin() {
		return nil
	}
	defer g.end()
	if g.keeper.keep(name) {
		return nil
	}
	if isLog(name) {
		if err := g.letGo(name); err != nil {
			return err
		}
	}
	if err := g.FS.Remove(name); err != nil {
		return err
	}
	if isLog(name) {
		g.logs.removed(name)
	}
	return nil
}

func (g *FS) RemoveAll(name string) error {
	if g.isAside(name) {
		return g.apart(func() error { return g.FS.RemoveAll(name) })
	}
	if !g.begin() {
		return nil
	}
	defer g.end()
	return g.FS.RemoveAll(name)
}

func (g *FS) MkdirAll(dir string, perm os.FileMode) error {
	if g.isAside(dir) {
		return g.apart(func() error { return g.FS.MkdirAll(dir, perm) })
	}
	if !g.begin() {
		return nil
	}
	defer g.end()
	return g.FS.MkdirAll(dir, perm)
}

func (g *FS) Lock(name string) (io.Closer, error) { return g.FS.Lock(name) }
