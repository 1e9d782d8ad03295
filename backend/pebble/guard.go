package pebble

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// nudgeEvery is how many bytes may be written between two looks at the free
// space.
const nudgeEvery = 4 << 20

var errStopping = errors.New("backend/pebble: closing")

// A fileKind says what a failed write to a file means.
type fileKind uint8

const (
	// kindLog is the write-ahead log, the manifest, its markers and the
	// directories: Pebble panics or exits, also later, when it meets an error
	// here. It gets none.
	kindLog fileKind = iota
	// kindBlob is a file of separated values, for which the same holds. Pebble
	// may also read it at once: after a failure it goes on in the overlay.
	kindBlob
	// kindFlush is a table made from a memtable, kindCompaction one made from
	// tables: Pebble takes an error here and tries again. The first fails the
	// store, since nothing else will empty the memtables, the second does not.
	kindFlush
	kindCompaction
)

func kindOf(name string, category vfs.DiskWriteCategory) fileKind {
	if strings.HasSuffix(name, ".blob") {
		return kindBlob
	}
	switch category {
	case "pebble-compaction", "pebble-blob-file-rewrite":
		return kindCompaction
	case "pebble-memtable-flush":
		return kindFlush
	}
	if strings.HasSuffix(name, ".sst") {
		return kindFlush
	}
	return kindLog
}

// guardFS stands between Pebble and the file system. It sees the first failed
// write before Pebble does, records it, and keeps it from Pebble, for which
// such an error ends the process. From then on nothing on the disk is written,
// renamed or removed: what Pebble writes goes to a file system in memory, from
// which it is read back, and compactions wait. Whoever waits for a commit looks
// at the failure after Pebble has reported success.
type guardFS struct {
	vfs.FS // reads, names, locks and listings pass through
	fail   *failure
	// overlay holds the files made after the failure, by their base names.
	overlay *vfs.MemFS
	// nudge asks the watcher for a look at the disk.
	nudge   chan struct{}
	written atomic.Int64
	// stopping is closed before Pebble is: compactions that wait end. Those
	// that run are finished: Pebble would begin them again, and wait for them,
	// when the store is opened next.
	stopping chan struct{}
	// retry is closed and replaced when compactions that failed may try again.
	retry atomic.Pointer[chan struct{}]
	// backoff tells that a compaction failed since.
	backoff atomic.Bool
	// unreadable tells that a blob file could not be read.
	unreadable atomic.Bool
	// answered counts what was written to the disk.
	answered atomic.Uint64
	// rewrites counts the blob files that are being written anew.
	rewrites atomic.Int32
	parked   parking
}

var _ vfs.FS = (*guardFS)(nil)

// parking says that a goroutine of Pebble is kept for good, and why.
type parking struct {
	cause atomic.Pointer[error]
	set   chan struct{}
}

func newGuardFS(fs vfs.FS, fail *failure) *guardFS {
	g := &guardFS{
		FS:       fs,
		fail:     fail,
		overlay:  vfs.NewMem(),
		nudge:    make(chan struct{}, 1),
		stopping: make(chan struct{}),
		parked:   parking{set: make(chan struct{})},
	}
	c := make(chan struct{})
	g.retry.Store(&c)
	return g
}

func (g *guardFS) isStopping() bool { return isDone(g.stopping) }

// poke wakes the watcher.
func (g *guardFS) poke() {
	select {
	case g.nudge <- struct{}{}:
	default:
	}
}

// resume lets compactions that failed try again.
func (g *guardFS) resume() {
	if g.backoff.CompareAndSwap(true, false) {
		c := make(chan struct{})
		close(*g.retry.Swap(&c))
	}
}

func (g *guardFS) failOn(op, name string, err error) {
	g.fail.fail(fmt.Errorf("%s %s: %w", op, name, err))
}

func (g *guardFS) Unwrap() vfs.FS { return g.FS }

func (g *guardFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(g.PathBase(name), "marker.") {
		// A crash must not leave the marker and take the file that it names,
		// which has just been made beside it.
		g.syncDir(g.PathDir(name))
	}
	return g.create(name, kindOf(name, category), func() (vfs.File, error) { return g.FS.Create(name, category) })
}

// syncDir makes the names in dir durable. A failure is recorded.
func (g *guardFS) syncDir(dir string) {
	if d, err := g.OpenDir(dir); err != nil {
		g.failOn("open", dir, err)
	} else {
		_ = d.Sync() // recorded by the guard
		_ = d.Close()
	}
}

func (g *guardFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return g.create(newname, kindOf(newname, category), func() (vfs.File, error) {
		return g.FS.ReuseForWrite(oldname, newname, category)
	})
}

func (g *guardFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return g.create(name, kindOf(name, category), func() (vfs.File, error) {
		return g.FS.OpenReadWrite(name, category, opts...)
	})
}

func (g *guardFS) create(name string, kind fileKind, real func() (vfs.File, error)) (vfs.File, error) {
	if kind == kindCompaction {
		if err := g.waitCompaction(); err != nil {
			return nil, err
		}
	}
	if !g.fail.failed() {
		f, err := g.patiently(real)
		switch {
		case err == nil:
			return &guardFile{File: f, g: g, name: name, kind: kind}, nil
		case kind == kindCompaction:
			g.backoff.Store(true)
			return nil, err
		}
		g.failOn("create", name, err)
	}
	return g.overlay.Create(g.PathBase(name), vfs.WriteCategoryUnspecified)
}

// The longest that the guard waits for a free file descriptor: nothing is lost
// so far, while the failure that would follow is for good.
const (
	outOfFilesPause = 50 * time.Millisecond
	outOfFilesTries = 200
)

// patiently opens a file, again and again while the process or the system has
// too many open.
func (g *guardFS) patiently(open func() (vfs.File, error)) (f vfs.File, err error) {
	for range outOfFilesTries {
		if f, err = open(); !isOutOfFiles(err) || g.isStopping() {
			break
		}
		select {
		case <-time.After(outOfFilesPause):
		case <-g.stopping:
		}
	}
	return f, err
}

func isOutOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// waitCompaction holds back a compaction that would fail, so that Pebble does
// not try again and again.
func (g *guardFS) waitCompaction() error {
	for {
		retry, set, failed := *g.retry.Load(), g.fail.set, g.fail.failed()
		switch {
		case !failed && !g.backoff.Load():
			return nil
		case g.isStopping():
			return errStopping
		case failed:
			retry, set = nil, nil
		}
		select {
		case <-g.stopping:
		case <-set:
		case <-retry:
		}
	}
}

// inOverlay tells whether name was made after the failure.
func (g *guardFS) inOverlay(name string) bool {
	if !g.fail.failed() {
		return false
	}
	_, err := g.overlay.Stat(g.PathBase(name))
	return err == nil
}

func (g *guardFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if g.inOverlay(name) {
		return g.overlay.Open(g.PathBase(name), opts...)
	}
	if strings.HasSuffix(name, ".blob") {
		return g.openBlob(name, opts)
	}
	return g.FS.Open(name, opts...)
}

func (g *guardFS) Stat(name string) (vfs.FileInfo, error) {
	if g.inOverlay(name) {
		return g.overlay.Stat(g.PathBase(name))
	}
	return g.FS.Stat(name)
}

func (g *guardFS) OpenDir(name string) (vfs.File, error) {
	f, err := g.patiently(func() (vfs.File, error) { return g.FS.OpenDir(name) })
	if err != nil {
		return nil, err
	}
	return &guardFile{File: f, g: g, name: name, kind: kindLog}, nil
}

func (g *guardFS) Link(oldname, newname string) error {
	return g.change("link", newname, func() error { return g.FS.Link(oldname, newname) })
}

func (g *guardFS) Rename(oldname, newname string) error {
	return g.change("rename", newname, func() error { return g.FS.Rename(oldname, newname) })
}

func (g *guardFS) change(op, name string, real func() error) error {
	if g.fail.failed() {
		return nil
	}
	if err := real(); err != nil {
		g.failOn(op, name, err)
	}
	return nil
}

// Remove fails without consequence: Pebble leaves the file for later.
func (g *guardFS) Remove(name string) error {
	if g.inOverlay(name) {
		return g.overlay.Remove(g.PathBase(name))
	}
	if g.fail.failed() {
		return nil
	}
	return g.FS.Remove(name)
}

func (g *guardFS) RemoveAll(name string) error {
	if g.fail.failed() {
		return nil
	}
	return g.FS.RemoveAll(name)
}

func (g *guardFS) MkdirAll(dir string, perm os.FileMode) error {
	if g.fail.failed() {
		return nil
	}
	return g.FS.MkdirAll(dir, perm)
}

func (g *guardFS) Lock(name string) (io.Closer, error) { return g.FS.Lock(name) }

// guardFile is a file that Pebble writes to, or a directory that it syncs.
type guardFile struct {
	vfs.File
	g    *guardFS
	name string
	kind fileKind
	// written is how many bytes of a kindBlob are in File, rest the file in the
	// overlay that has these and all further ones, nil before a failure. Both
	// belong to the writer: Pebble has one at a time.
	written int64
	rest    vfs.File
}

var _ vfs.File = (*guardFile)(nil)

// do runs a write, and returns what Pebble is to see of its error.
func (f *guardFile) do(op string, write func() error) error {
	if err := f.g.fail.unavailable(); err != nil {
		// A table that is half on the disk is of no use to anybody.
		return f.visible(err)
	}
	err := write()
	if err == nil {
		f.g.answered.Add(1)
		return nil
	}
	if f.kind == kindCompaction {
		f.g.backoff.Store(true)
		return err
	}
	f.g.failOn(op, f.name, err)
	return f.visible(err)
}

func (f *guardFile) visible(err error) error {
	if f.kind == kindLog || f.kind == kindBlob {
		return nil
	}
	return err
}

func (f *guardFile) count(n int) {
	if f.g.written.Add(int64(n)) >= nudgeEvery {
		f.g.written.Store(0)
		f.g.poke()
	}
}

func (f *guardFile) Write(p []byte) (int, error) {
	n := len(p)
	f.count(n)
	done := false
	err := f.do("write", func() error { _, err := f.File.Write(p); done = err == nil; return err })
	if err == nil && f.kind == kindBlob {
		if done {
			f.written += int64(n)
		} else {
			err = f.writeRest(p)
		}
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

// writeRest writes to the overlay what can't go to the disk any more, behind
// what is there.
func (f *guardFile) writeRest(p []byte) error {
	if f.rest == nil {
		from, err := f.g.FS.Open(f.name)
		if err != nil {
			return err
		}
		defer func() { _ = from.Close() }()
		rest, err := f.g.overlay.Create(f.g.PathBase(f.name), vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		f.rest = rest
		if _, err := io.Copy(rest, io.LimitReader(from, f.written)); err != nil {
			return err
		}
	}
	_, err := f.rest.Write(p)
	return err
}

func (f *guardFile) WriteAt(p []byte, off int64) (int, error) {
	n := len(p)
	f.count(n)
	if err := f.do("write", func() error { _, err := f.File.WriteAt(p, off); return err }); err != nil {
		return 0, err
	}
	return n, nil
}

func (f *guardFile) Sync() error     { return f.do("sync", f.File.Sync) }
func (f *guardFile) SyncData() error { return f.do("sync", f.File.SyncData) }

func (f *guardFile) SyncTo(length int64) (full bool, err error) {
	err = f.do("sync", func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, err
}

// Stat tells the size of a log that Pebble uses again: it would end the process
// if it could not be told. After a failure nothing is written to it, and it may
// as well be empty.
func (f *guardFile) Stat() (vfs.FileInfo, error) {
	info, err := f.File.Stat()
	if err == nil || f.kind != kindLog {
		return info, err
	}
	f.g.failOn("stat", f.name, err)
	empty, err := f.g.overlay.Create(f.g.PathBase(f.name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	defer func() { _ = empty.Close() }()
	return empty.Stat()
}

// Preallocate helps only the speed of later writes, which report for
// themselves.
func (f *guardFile) Preallocate(offset, length int64) error {
	if !f.g.fail.failed() {
		_ = f.File.Preallocate(offset, length)
	}
	return nil
}

func (f *guardFile) Close() error {
	err := f.File.Close()
	if f.rest != nil {
		_ = f.rest.Close() // in memory
	}
	if err == nil || f.g.fail.failed() {
		return nil
	}
	return f.do("close", func() error { return err })
}
