package pebble

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelflife-db/shelflife/backend"
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
	// ticked is told of each tick. It must not wait.
	ticked func(time.Time)
	// stall is closed when Updates need not wait for compactions any more, nil
	// while they need not.
	stall atomic.Pointer[chan struct{}]
}

func newGate(e *engine, reserve int64) *gate {
	g := &gate{engine: e, reserve: reserve}
	if e.readOnly == nil {
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
			g.lookAtSpace() // before what follows the tick asks for it
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
	g.tight.Store(u.AvailBytes < tightReserves*uint64(g.reserve))
	level, why := reserveLevel(u, uint64(g.reserve))
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
			return backend.ErrClosed
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
