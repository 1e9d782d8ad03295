package diskguard

import (
	"io"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

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

// guardedFile is a file that Pebble writes to, or a directory that it syncs.
type guardedFile struct {
	vfs.File
	disk *disk
	name string
	kind fileKind
	// written is how many bytes of a kindBlob are in File, rest the file in the
	// overlay that has these and all further ones, nil before a failure. Both
	// belong to the writer: Pebble has one at a time.
	written int64
	rest    vfs.File
	// log is the room of a log, nil for other files. It belongs to the writer.
	log *logRoom
}

var _ vfs.File = (*guardedFile)(nil)

// do runs a write, and returns what Pebble is to see of its error.
func (f *guardedFile) do(op string, write func() error) error {
	if !f.disk.begin() {
		// A table that is half on the disk is of no use.
		return f.visible(f.disk.fail.Unavailable())
	}
	defer f.disk.end()
	err := write()
	if err == nil {
		f.disk.answered.Add(1)
		return nil
	}
	if f.kind == kindCompaction {
		// Nothing is lost. The next one waits until there is a reason to try again.
		f.disk.backoff.Store(true)
		return err
	}
	// The failure is known before Pebble goes on: what it writes next goes to the
	// overlay, and no commit that rests on this write is acknowledged.
	f.disk.failOn(op, f.name, err)
	return f.visible(err)
}

// visible returns what Pebble may see of an error: nothing where it would end the
// process, see fileKind.
func (f *guardedFile) visible(err error) error {
	if f.kind == kindLog || f.kind == kindBlob {
		return nil
	}
	return err
}

func (f *guardedFile) Write(p []byte) (int, error) {
	n := len(p)
	f.disk.count(n)
	if f.log != nil && f.disk.begin() {
		f.log.reserve(f.File, n)
		f.disk.end()
	}
	done := false
	err := f.do("write", func() error { _, err := f.File.Write(p); done = err == nil; return err })
	// The nil of a blob file may hide a failure, behind which Pebble still reads
	// what it has written: then the overlay has to have all of it.
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
func (f *guardedFile) writeRest(p []byte) error {
	if f.rest == nil {
		from, err := f.disk.real.Open(f.name)
		if err != nil {
			return err
		}
		defer func() { _ = from.Close() }()
		rest, err := f.disk.overlay.Create(f.disk.real.PathBase(f.name), vfs.WriteCategoryUnspecified)
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

func (f *guardedFile) WriteAt(p []byte, off int64) (int, error) {
	n := len(p)
	f.disk.count(n)
	if err := f.do("write", func() error { _, err := f.File.WriteAt(p, off); return err }); err != nil {
		return 0, err
	}
	return n, nil
}

func (f *guardedFile) Sync() error     { return f.do("sync", f.File.Sync) }
func (f *guardedFile) SyncData() error { return f.do("sync", f.File.SyncData) }

func (f *guardedFile) SyncTo(length int64) (full bool, err error) {
	err = f.do("sync", func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, err
}

// Stat returns the size of a log that Pebble uses again: it would end the
// process if it could not have it. After a failure nothing is written to it, and
// it may as well be empty.
//
// Pebble v2.1.7: unnecessary, as FS is, when a log that can't be begun is an error
// of the commit.
func (f *guardedFile) Stat() (vfs.FileInfo, error) {
	info, err := f.File.Stat()
	if err == nil || f.kind != kindLog {
		return info, err
	}
	f.disk.failOn("stat", f.name, err)
	empty, err := f.disk.overlay.Create(f.disk.real.PathBase(f.name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	defer func() { _ = empty.Close() }()
	return empty.Stat()
}

// Preallocate helps only the speed of later writes, which report for
// themselves. Logs get their room as they are written, see logRoom.
func (f *guardedFile) Preallocate(offset, length int64) error {
	if f.log == nil && f.disk.begin() {
		_ = f.File.Preallocate(offset, length)
		f.disk.end()
	}
	return nil
}

func (f *guardedFile) Close() error {
	err := f.File.Close()
	if f.rest != nil {
		_ = f.rest.Close() // in memory
	}
	if err == nil || f.disk.fail.Failed() {
		return nil
	}
	return f.do("close", func() error { return err })
}
