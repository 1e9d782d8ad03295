package diskguard

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// logStep is how much room a log is given at a time. Pebble asks for more than a
// memtable's worth at once, which a small store never fills.
//
// Pebble v2.1.7: unnecessary when an option says how much
// (TestPebblePreallocatesLogs).
const logStep = 1 << 20

func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

// logs are the write-ahead logs that Pebble has begun and not removed. It keeps
// old ones and writes over them, since a sync of a file that grows costs about
// twice as much: until it does, they hold what was written long ago.
//
// Pebble v2.1.7: unnecessary when Pebble removes those that it keeps when it is
// told to (TestPebbleKeepsLogs).
type logs struct {
	// lock has room for one holder, and guards the rest. It is held while a log is
	// renamed, to be used again, or removed, so that one that is dropped is not used again and one that
	// is used again is not dropped. Nothing else is locked below it.
	lock chan struct{}
	// names are those of the logs, in the order of their numbers.
	names []string
	// spare are those of names that Pebble keeps only to use them again, as far as
	// KeepLogs was told.
	spare []string
	// dropped are those of which Pebble does not know that they are gone.
	dropped map[string]struct{}
	// fresh says that none is to be used again.
	fresh bool
}

// Logs returns the logs that Pebble has begun and not removed, oldest first. The
// last ones are in use.
func (g *FS) Logs() []string {
	g.logs.lock <- struct{}{}
	defer func() { <-g.logs.lock }()
	return slices.Clone(g.logs.names)
}

// FreshLogs says whether the next logs are to be new files rather than old ones
// that are written over.
func (g *FS) FreshLogs(fresh bool) {
	g.logs.lock <- struct{}{}
	defer func() { <-g.logs.lock }()
	g.logs.fresh = fresh
}

// KeepLogs is told which logs Pebble keeps only to use them again, oldest first: it
// must need nothing of what is in them. The first keep of them stay, and the others
// are removed. Logs that it has begun to use again are left alone, and so are those
// that can't be removed.
func (g *FS) KeepLogs(names []string, keep int) {
	if !g.begin() {
		return
	}
	defer g.end()
	g.logs.lock <- struct{}{}
	defer func() { <-g.logs.lock }()
	g.logs.spare = g.logs.spare[:0]
	for _, name := range names {
		at := slices.Index(g.logs.names, name)
		if at < 0 || g.fail.Failed() {
			continue
		}
		if len(g.logs.spare) < keep {
			g.logs.spare = append(g.logs.spare, name)
			continue
		}
		if g.letGo(name) != nil {
			continue
		}
		if err := g.FS.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		g.logs.names = slices.Delete(g.logs.names, at, at+1)
		g.logs.drop(name)
	}
}

// reuse gives Pebble the log newname, for which it may write over oldname. Where that
// was dropped and a spare one was not, it writes over the spare one instead, and notes
// that as dropped. Pebble asks for the oldest first and has room for more than are kept:
// else each that it asks for would have been dropped by then, and no log would ever be
// used again.
func (g *FS) reuse(oldname, newname string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	g.logs.lock <- struct{}{}
	defer func() { <-g.logs.lock }()
	from := oldname
	if _, gone := g.logs.dropped[oldname]; gone {
		if g.logs.fresh || len(g.logs.spare) == 0 {
			if f, err = g.FS.Create(newname, category); err == nil {
				delete(g.logs.dropped, oldname)
			}
			return f, err
		}
		from = g.logs.spare[0]
	}
	if err := g.letGo(from); err != nil {
		return nil, err
	}
	if !g.logs.fresh {
		f, err = g.FS.ReuseForWrite(from, newname, category)
		if errors.Is(err, fs.ErrNotExist) {
			// An attempt before this has renamed it and could not open it, for want of
			// descriptors, or Pebble is just removing it.
			f, err = g.FS.Create(newname, category)
		}
		if err == nil {
			g.logs.forget(from)
			if from != oldname {
				delete(g.logs.dropped, oldname)
				g.logs.drop(from)
			}
		}
		return f, err
	}
	if f, err = g.FS.Create(newname, category); err == nil && g.FS.Remove(oldname) == nil {
		g.logs.forget(oldname)
	}
	return f, err
}

// began notes a log that Pebble has begun.
func (l *logs) began(name string) {
	l.lock <- struct{}{}
	defer func() { <-l.lock }()
	l.names = append(l.names, name)
}

// removed notes a log that Pebble has removed.
func (l *logs) removed(name string) {
	l.lock <- struct{}{}
	defer func() { <-l.lock }()
	l.forget(name)
}

// forget is called with the lock held.
func (l *logs) forget(name string) {
	for _, list := range []*[]string{&l.names, &l.spare} {
		if at := slices.Index(*list, name); at >= 0 {
			*list = slices.Delete(*list, at, at+1)
		}
	}
}

// drop notes, with the lock held, that a log is gone which Pebble will ask for.
func (l *logs) drop(name string) {
	if l.dropped == nil {
		l.dropped = make(map[string]struct{})
	}
	l.dropped[name] = struct{}{}
}

// logRoom is what a log has of the disk.
type logRoom struct {
	written, reserved int64
}

// reserve makes room for the next n bytes of f, in steps. Whether it can matters
// for nothing but the speed of writing.
func (r *logRoom) reserve(f vfs.File, n int) {
	r.written += int64(n)
	if r.written > r.reserved {
		more := (r.written - r.reserved + logStep - 1) / logStep * logStep
		_ = f.Preallocate(r.reserved, more)
		r.reserved += more
	}
}

// newLogRoom returns the room of a log that is written from its start, over
// what it holds.
func newLogRoom(f vfs.File) *logRoom {
	r := new(logRoom)
	if info, err := f.Stat(); err == nil {
		r.reserved = info.Size()
	}
	return r
}
