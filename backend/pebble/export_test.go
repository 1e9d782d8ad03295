package pebble

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// SetTick has a channel drive what otherwise happens each second.
func (o *Options) SetTick(tick <-chan time.Time) { o.tick = tick }

// SetOpenTries says how often a file is tried to be opened where too many are.
func (o *Options) SetOpenTries(times int) { o.openTries = times }

// ReusingFS reuses files in two steps, both of which a file system that injects
// faults knows: errorfs hands out a file that is reused as it is, and none of what
// is done to that fails.
type ReusingFS struct{ vfs.FS }

// Unwrap implements vfs.FS.
func (f ReusingFS) Unwrap() vfs.FS { return f.FS }

// ReuseForWrite implements vfs.FS.
func (f ReusingFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return f.OpenReadWrite(newname, c)
}
