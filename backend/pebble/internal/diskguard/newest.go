package diskguard

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// newestName is the file that names the newest log of a store, with a checksum.
//
// A log that is missing looks like one that was flushed and removed: Pebble would
// open the store without the last writes. But the newest log is never removed, whether
// the store is open, closed or crashed, so it must be there where the file says so. The
// file is written when a log has been begun and before anything is written to it, as
// follows; [FS.beganLog] has the steps.
//
//	what may be on the disk after a crash              the file names
//	old log                                            old log
//	old log, new log without a commit                  old log, new log
//	new log with commits, and old log unless flushed   new log
//
// A store without the file, such as a copy that Pebble has made, is taken as it is; so
// is one with a later log than the file names, which another program has begun.
const newestName = "newest.log.state"

// newestTemporary is what newestName is written as first. Pebble leaves it alone.
const newestTemporary = newestName + ".dbtmp"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// NewestLog returns the base name of the newest log of the store in dir, as it was
// noted; "" where nothing was, or nothing that can be read.
func NewestLog(fsys vfs.FS, dir string) (string, error) {
	f, err := fsys.Open(fsys.PathJoin(dir, newestName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, 128))
	_ = f.Close() // only read
	if err != nil {
		return "", err
	}
	name, _, _ := strings.Cut(string(text), " ")
	if string(text) != newestText(name) {
		return "", nil
	}
	return name, nil
}

func newestText(name string) string {
	return fmt.Sprintf("%s %08x\n", name, crc32.Checksum([]byte(name), castagnoli))
}

// beganLog notes that a log is the newest one, before Pebble has it to write to.
func (g *FS) beganLog(name string) {
	// 1. The log's own name comes first: a crash must not take the log and leave the
	// file that calls for it.
	g.syncDir(g.PathDir(name))
	if g.fail.Failed() {
		return
	}
	// 2. Then the file, whole or not at all, under its name for good: Pebble may
	// remove the log before as soon as this one is in use, and the file must not call
	// for that one then.
	err := g.writeNewest(name)
	if err == nil {
		return
	}
	// 3. No file is better than one that calls for a log that will be removed. A full
	// disk has room for that.
	newest := g.PathJoin(g.PathDir(name), newestName)
	if gone := g.FS.Remove(newest); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		g.failOn("write", newest, errors.Join(err, gone))
		return
	}
	g.syncDir(g.PathDir(name))
}

func (g *FS) writeNewest(log string) error {
	dir := g.PathDir(log)
	temporary := g.PathJoin(dir, newestTemporary)
	f, err := g.FS.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(newestText(g.PathBase(log))))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := g.FS.Rename(temporary, g.PathJoin(dir, newestName)); err != nil {
		return err
	}
	g.syncDir(dir)
	return nil
}
