package pebble

import (
	"errors"
	"io/fs"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ballastName is the file that holds room.
const ballastName = "ballast"

// The size of the ballast: half of the store's, within bounds.
const (
	ballastShare      = 2
	minBallast        = 4 << 20
	reservePerBallast = 4 // it is no more than a quarter of the reserve
)

// ballastFor returns how much room a store of some bytes needs to turn deletions
// into free space: for their log and the memtable, which is written out, and for a
// compaction at a time, see reclaimer.parts. 0: the disk is not watched.
func ballastFor(bytes uint64, reserve int64) int64 {
	most := max(reserve, 0) / reservePerBallast
	return min(most, max(minBallast, int64(bytes/ballastShare)))
}

// ballast is a file in the store's directory that does nothing but take up room.
// The reserve keeps the store from filling its volume, but not others: what they may
// take includes the room that deletions need. Then the ballast is dropped, and
// deletions have it.
//
// The invariant: it is made only where the reserve is free beside it, and dropped
// before a deletion, or an opening, is refused for want of room, and not earlier:
// whatever fills the volume would take its room too. Nothing is read from the file, so no crash can harm
// it, and what is left of one that was being made is as good.
//
// vfs.File.Preallocate holds the room. Where that does nothing, as on systems other
// than Linux, or fails, there is no ballast.
type ballast struct {
	fs   vfs.FS
	path string
	log  *slog.Logger

	mu   sync.Mutex // guards what follows, and is held while the file is made or removed
	held bool
	size int64 // 0: not known, since an earlier opening made it
	vain bool  // it was made and held no room; it is not tried again
}

// newBallast looks for one that is there already.
func newBallast(f *folder, log *slog.Logger) *ballast {
	b := &ballast{fs: f.fs, path: f.fs.PathJoin(f.dir, ballastName), log: log}
	_, err := f.fs.Stat(b.path)
	b.held = err == nil
	return b
}

// useless reports whether there can be none here.
func (b *ballast) useless() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.vain
}

// drop gives its room to the store, and reports whether there was any to give.
func (b *ballast) drop() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.held {
		return false
	}
	if err := b.fs.Remove(b.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.log.Warn("backend/pebble: the room that is held for deletions can't be had", "error", err)
		return false
	}
	b.held = false
	b.log.Warn("backend/pebble: the room that was held for deletions is given to them")
	return true
}

// take holds room for deletions, or more of it where the store has grown to twice
// its size, if the reserve and as much again stay free. free asks the file system.
func (b *ballast) take(size, reserve int64, free func() (uint64, error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.vain || size == 0 || b.held && size < 2*b.size {
		return
	}
	if n, err := free(); err != nil || n < uint64(reserve)+2*uint64(size) {
		return
	}
	err := b.replace(size, free)
	b.held, b.size, b.vain = err == nil, size, err != nil
	if err != nil {
		b.log.Debug("backend/pebble: no room is held for deletions", "error", err)
		_ = b.fs.Remove(b.path)
	}
}

var errNoRoomHeld = errors.New("a file that was given room takes up none")

// replace makes the file anew, and returns an error where it takes up no room.
func (b *ballast) replace(size int64, free func() (uint64, error)) error {
	if err := b.fs.Remove(b.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	before, err := free()
	if err != nil {
		return err
	}
	file, err := b.fs.Create(b.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Preallocate(0, size), file.Close()); err != nil {
		return err
	}
	after, err := free()
	if err == nil && after+uint64(size)/2 > before {
		err = errNoRoomHeld
	}
	return err
}
