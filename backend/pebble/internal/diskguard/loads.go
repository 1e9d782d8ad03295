package diskguard

import (
	"bufio"
	"io/fs"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// loads is the directory of the tables that are written to be ingested, see FS.Loads.
type loads struct {
	dir    string
	linked atomic.Uint64
}

// Loads has the files in dir, a directory within the store's own, be tables that
// [FS.CreateLoad] makes and that Pebble ingests: it links them into the store, and
// removes these names of theirs. A failure on the way there loses nothing and is an
// error of the operation alone. It is called before Pebble is opened.
func (g *FS) Loads(dir string) { g.loads.dir = dir }

// CreateLoad makes a table in the directory of Loads. What fails in it says nothing
// of the store. Where the store has failed nothing is written to it any more.
func (g *FS) CreateLoad(name string) (vfs.File, error) {
	f, err := g.openApart(func() (vfs.File, error) { return g.FS.Create(name, "load") })
	if err != nil {
		return nil, err
	}
	return newLoadFile(f, g.disk), nil
}

// Linked counts the tables that Pebble has linked into the store to ingest them:
// where an ingestion failed without one, it has changed nothing.
func (g *FS) Linked() uint64 { return g.loads.linked.Load() }

func (g *FS) isLoad(name string) bool { return g.loads.dir != "" && g.PathDir(name) == g.loads.dir }

// NotLinkedError says that a table can't be linked into the store: the ingestion has
// changed nothing.
type NotLinkedError struct{ Cause error }

func (e *NotLinkedError) Error() string { return "table not linked: " + e.Cause.Error() }
func (e *NotLinkedError) Unwrap() error { return e.Cause }

// Is has the error pass for one of permission. Pebble would otherwise copy the table,
// into a file of the store's own, and a failure there is one of the store.
func (e *NotLinkedError) Is(target error) bool { return target == fs.ErrPermission }

// linkLoad links a table into the store.
func (g *FS) linkLoad(oldname, newname string) error {
	if err := g.apart(func() error { return g.FS.Link(oldname, newname) }); err != nil {
		return &NotLinkedError{err}
	}
	g.loads.linked.Add(1)
	return nil
}

// loadBuffer is how many bytes of a table are written at once.
const loadBuffer = 256 << 10

// loadFile is a table that is being written. Freeze waits for its operations, and a
// Hang takes them for answers of the disk.
type loadFile struct {
	vfs.File
	disk   *disk
	buffer *bufio.Writer // in front of File
}

func newLoadFile(f vfs.File, d *disk) *loadFile {
	l := &loadFile{File: f, disk: d}
	l.buffer = bufio.NewWriterSize(guardedLoad{l}, loadBuffer)
	return l
}

func (f *loadFile) Write(p []byte) (int, error) { return f.buffer.Write(p) }

func (f *loadFile) Sync() error {
	if err := f.buffer.Flush(); err != nil {
		return err
	}
	return f.do(f.File.Sync)
}

func (f *loadFile) do(operation func() error) error {
	if !f.disk.begin() {
		return f.disk.fail.Unavailable()
	}
	defer f.disk.end()
	err := operation()
	if err == nil {
		f.disk.answered.Add(1)
	}
	return err
}

// guardedLoad writes what a loadFile has collected.
type guardedLoad struct{ file *loadFile }

func (g guardedLoad) Write(p []byte) (n int, err error) {
	g.file.disk.count(len(p))
	err = g.file.do(func() (err error) { n, err = g.file.File.Write(p); return err })
	return n, err
}
