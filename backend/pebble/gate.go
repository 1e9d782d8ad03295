package pebble

import (
	"errors"
	"sync/atomic"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelflife-db/shelflife/backend/pebble/internal/diskguard"
)

// watchEvery is the interval between two looks at the free space while little
// is written.
const watchEvery = time.Second

// gate says which Updates may start. It watches the free space and the depth of
// level 0.
type gate struct {
	*engine
	reserve int64
	space   atomic.Int32 // a spaceLevel
	// full says why it is not enough. It is set first, and stays.
	full atomic.Pointer[ReserveError]
	// usage is what the volume had when it was looked at last, nil if that is not
	// known, and metrics are Pebble's of the last tick.
	usage   atomic.Pointer[vfs.DiskUsage]
	metrics atomic.Pointer[crdb.Metrics]
	// need is the size of the ballast that the store should have.
	need atomic.Int64
	// ticked is told of each tick. It must not wait.
	ticked func(time.Time)
	// stall is closed when Updates need not wait for compactions any more, nil
	// while they need not.
	stall atomic.Pointer[chan struct{}]
	// stalls counts them.
	stalls atomic.Int64
}

func newGate(e *engine, reserve int64) *gate {
	g := &gate{engine: e, reserve: reserve}
	g.lookAtMetrics()
	if e.readOnly == nil {
		g.lookAtSize()
		g.lookAtSpace()
	}
	return g
}

// watch looks until stop is closed, and lets failed compactions try again.
func (g *gate) watch(tick <-chan time.Time, stop <-chan struct{}) {
	closing := g.closing
	for {
		select {
		case <-stop:
			return
		case <-closing:
			// Close waits for the Updates that wait for compactions.
			closing = nil
			g.levelsChanged.Store(true)
		case now := <-tick:
			g.guard.Resume()
			g.lookAtFolder()
			g.lookAtMetrics()
			g.lookAtSize()
			g.lookAtSpace() // before what follows the tick asks for it
			g.folder.ballast.take(g.need.Load(), g.reserve, g.free)
			g.ticked(now)
		case <-g.guard.Nudged():
		}
		g.lookAtSpace()
		g.lookAtLevels()
	}
}

func (g *gate) lookAtSpace() {
	if g.reserve < 0 {
		return
	}
	u, err := g.guard.GetDiskUsage(g.folder.dir)
	if err != nil {
		if !errors.Is(err, vfs.ErrUnsupported) {
			g.log.Debug("backend/pebble: free space is not known", "error", err)
		}
		return
	}
	g.usage.Store(&u)
	level, why := reserveLevel(u, uint64(g.reserve), g.floor())
	if why != nil {
		g.full.Store(why) // before the level, which it explains
	}
	if old := spaceLevel(g.space.Swap(int32(level))); old != level {
		if level == spaceEnough {
			g.log.Info("backend/pebble: disk space is back, writes are admitted", "available", u.AvailBytes)
		} else {
			g.log.Warn("backend/pebble: short of disk space, writes are refused", "available", u.AvailBytes, "reserve", g.reserve, "volume", u.TotalBytes)
		}
	}
}

// lookAtMetrics asks Pebble for its figures, which may wait for the disk.
func (g *gate) lookAtMetrics() {
	if g.fail.Engine() == nil {
		g.metrics.Store(g.db.Metrics())
	}
}

// lookAtSize looks at what the ballast should be, after the size of the store.
func (g *gate) lookAtSize() {
	m := g.metrics.Load()
	if g.reserve < 0 || m == nil || g.fail.Engine() != nil {
		return
	}
	// Not DiskSpaceUsage, which does not count the blob files that were there when
	// the store was opened.
	g.need.Store(ballastFor(m.WAL.PhysicalSize+m.Table.Local.LiveSize+m.BlobFiles.LiveSize, g.reserve))
}

// floor is how much free space deletions need, not counting the ballast.
func (g *gate) floor() uint64 {
	if g.folder.ballast.useless() {
		return uint64(g.reserve) / 2
	}
	return uint64(g.need.Load()) / 2
}

// makeRoom gives a deletion the ballast where it would be refused. Not before one
// asks: whatever fills the volume may still be at it, and would take that too.
func (g *gate) makeRoom() {
	if g.level() == spaceNone && g.folder.ballast.drop() {
		g.lookAtSpace()
	}
}

// free returns the free space.
func (g *gate) free() (uint64, error) {
	u, err := g.guard.GetDiskUsage(g.folder.dir)
	return u.AvailBytes, err
}

// lookAtFolder stops the store where its folder is not there any more, or is
// another: what is written then is lost, or mixed with what others write.
func (g *gate) lookAtFolder() {
	if err := g.folder.moved(); err != nil {
		g.fail.Fail(err)
	}
}

func (g *gate) lookAtLevels() {
	if !g.levelsChanged.CompareAndSwap(true, false) || g.fail.Engine() != nil {
		return
	}
	deep := !g.life.Closed() && int(g.db.Metrics().Levels[0].Sublevels) >= stallSublevels
	switch stall := g.stall.Load(); {
	case deep && stall == nil:
		c := make(chan struct{})
		g.stall.Store(&c)
		g.stalls.Add(1)
		g.log.Warn("backend/pebble: writes wait for compactions")
	case !deep && stall != nil:
		g.stall.Store(nil)
		close(*stall)
		g.log.Info("backend/pebble: writes no longer wait for compactions")
	}
}

func (g *gate) level() spaceLevel { return spaceLevel(g.space.Load()) }

// admit returns nil when an Update may start, after waiting for compactions if
// it must.
func (g *gate) admit(w diskguard.Wait, reclaim bool) error {
	if g.guard.LookDue() {
		// The watcher may not come to it for a while, and this call, and others
		// like it, may write what is left of a small volume.
		g.lookAtSpace()
	}
	if reclaim {
		g.makeRoom()
	}
	if err := g.ready(reclaim); err != nil {
		return err
	}
	if err := w.Hanging(); err != nil {
		return err
	}
	if stall := g.stall.Load(); stall != nil {
		if err := w.Until(*stall); err != nil {
			return err
		}
		if g.life.Closed() {
			return g.ended()
		}
	}
	return nil
}

// ready returns why no Update would be tried, nil if one would.
func (g *gate) ready(reclaim bool) error {
	if g.readOnly != nil {
		return g.readOnly
	}
	if err := g.fail.Unavailable(); err != nil {
		return err
	}
	switch spaceLevel(g.space.Load()) {
	case spaceNone:
		return g.full.Load()
	case spaceLow:
		if !reclaim {
			return g.full.Load()
		}
	}
	return nil
}
