package diskguard

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// newestName is the file that names the newest log of a store, with a checksum.
//
// A log that is missing looks like one that was flushed and removed: Pebble would
// open the store without the last writes. So the file names no log that is not there:
//
//   - It names a log when that has been begun, and before anything is written to it,
//     see [FS.beganLog].
//   - It goes before the log that it names does, see [FS.letGo]. An opening removes the
//     logs that it has read before it begins another; in between there is no file.
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

// newest is what the file is known to say.
type newest struct {
	mu    sync.Mutex // guards the rest and the file; taken below the lock of logs
	known bool       // the file was read, or written
	log   string     // the base name of the log that it names, "" if none
}

// beganLog notes that a log is the newest one, before Pebble has it to write to.
func (g *FS) beganLog(name string) {
	g.newest.mu.Lock()
	defer g.newest.mu.Unlock()
	// 1. The log's own name comes first: a crash must not take the log and leave the
	// file that calls for it.
	g.syncDir(g.PathDir(name))
	if g.fail.Failed() {
		return
	}
	// 2. Then the file, whole or not at all, under its name for good: Pebble may
	// remove the log before as soon as this one is in use, and the file must not call
	// for that one then.
	g.newest.known = true
	g.newest.log = g.PathBase(name)
	if err := g.writeNewest(name); err == nil {
		return
	}
	// 3. No file is better than one that calls for a log that will be removed. A full
	// disk has room for that. What is left of a file that can't be removed either goes
	// with the log that it names, or the store stops.
	if err := g.removeNewest(g.PathDir(name)); err != nil {
		g.failOn("remove", g.PathJoin(g.PathDir(name), newestName), err)
	}
}

// letGo is called before the name of a log goes. An error says that it must not.
func (g *FS) letGo(log string) error {
	g.newest.mu.Lock()
	defer g.newest.mu.Unlock()
	if !g.newest.known {
		name, err := NewestLog(g.FS, g.PathDir(log))
		if err != nil {
			return err
		}
		g.newest.known, g.newest.log = true, name
	}
	if g.newest.log != g.PathBase(log) {
		return nil
	}
	return g.removeNewest(g.PathDir(log))
}

// removeNewest removes the file for good, with newest.mu held.
func (g *FS) removeNewest(dir string) error {
	if err := g.FS.Remove(g.PathJoin(dir, newestName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	g.syncDir(dir)
	if err := g.fail.Unavailable(); err != nil {
		return err
	}
	g.newest.log = ""
	return nil
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
