package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/shelflife-db/shelflife/catalog"
)

// noRoomFor is how long a disk has no room each time.
const noRoomFor = time.Second

// crowded is a disk that has no room now and then, as where another program fills it
// and clears it again.
type crowded struct {
	full  atomic.Bool
	times int // that it was full
}

// fs returns the disk, which the crowded one stands before.
func (d *crowded) fs() vfs.FS {
	return errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if d.full.Load() && (op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpCreate) {
			return syscall.ENOSPC
		}
		return nil
	}))
}

// crowd fills the disk for noRoomFor in each interval, until ctx is done.
func (d *crowded) crowd(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		d.times++
		d.full.Store(true)
		time.Sleep(noRoomFor)
		d.full.Store(false)
	}
}

// passes reports whether err is what a call may meet on a crowded disk.
func passes(err error) bool {
	return errors.Is(err, catalog.ErrUnavailable) || errors.Is(err, catalog.ErrUnknownOutcome)
}

// healed waits until the store takes writes again, as it must once there is room.
func healed(c *catalog.Catalog) error {
	for range 600 {
		if c.Ready() == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("the store has not healed within a minute: %w", c.Ready())
}
