package pebble

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelflife-db/shelflife/backend"
)

// A ReserveError says that the free disk space is below the reserve. It matches
// backend.ErrUnavailable. Updates are admitted again when there is more.
type ReserveError struct {
	// Free is the free space, Reserve that which must be left, see
	// Options.DiskReserve, and Volume the size of the file system, in bytes.
	Free, Reserve, Volume uint64
}

// Error implements error.
func (e *ReserveError) Error() string {
	return fmt.Sprintf("%v: %s of disk space are free, less than the reserve of %s, on a volume of %s",
		backend.ErrUnavailable, mib(e.Free), mib(e.Reserve), mib(e.Volume))
}

// Unwrap returns backend.ErrUnavailable.
func (e *ReserveError) Unwrap() error { return backend.ErrUnavailable }

func mib(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// The shares of its volume that a store takes for its reserve and for a memtable
// at most, unless it is told: a small volume must not be all reserve, and what is
// in the memtables must fit into it, and a compaction.
const (
	reserveShare    = 10
	smallReserve    = 16 << 20 // is taken where it is no more than
	maxReserveShare = 4
	memTableShare   = 64
)

// reserveOf returns Options.DiskReserve for a store on a volume of so many
// bytes, if it is not set.
func reserveOf(volume uint64) int64 {
	return int64(min(max(volume/reserveShare, smallReserve), volume/maxReserveShare, defaultDiskReserve))
}

// fit sets the defaults that depend on the volume.
func (o *Options) fit(dir string) {
	volume := uint64(1) << 62
	if u, err := o.FS.GetDiskUsage(dir); err == nil && u.TotalBytes > 0 {
		volume = u.TotalBytes
	}
	if o.DiskReserve == 0 {
		o.DiskReserve = reserveOf(volume)
	}
	if o.fitMemTable {
		o.MemTableSize = max(minMemTableSize, min(o.MemTableSize, int64(volume/memTableShare)))
	}
}

// A spaceLevel says which Updates the free space admits.
type spaceLevel int32

const (
	spaceEnough spaceLevel = iota
	spaceLow               // only those that reclaim space
	spaceNone
)

// reserveLevel judges the free space, of which deletions need floor, and returns an
// error that says so where it is not enough.
func reserveLevel(u vfs.DiskUsage, reserve, floor uint64) (spaceLevel, *ReserveError) {
	if u.AvailBytes >= reserve {
		return spaceEnough, nil
	}
	err := &ReserveError{Free: u.AvailBytes, Reserve: reserve, Volume: u.TotalBytes}
	if u.AvailBytes < floor {
		return spaceNone, err
	}
	return spaceLow, err
}
