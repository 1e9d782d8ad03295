package pebble

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelflife-db/shelflife/backend"
)

// watchEvery is the interval between two looks at the free space while little
// is written.
const watchEvery = time.Second

// A spaceLevel tells which Updates the free space admits.
type spaceLevel int32

const (
	spaceEnough spaceLevel = iota
	spaceLow               // only those that reclaim space
	spaceNone
)

var errDiskFull = fmt.Errorf("%w: free disk space is below the reserve", backend.ErrUnavailable)

// watch is the store's goroutine: it looks at the free space and at the depth
// of level 0, and lets failed compactions try again.
func (s *Store) watch(tick <-chan time.Time) {
	for {
		select {
		case <-s.stopWatch:
			return
		case <-tick:
			s.guard.resume()
		case <-s.guard.nudge:
		}
		s.lookAtSpace()
		s.lookAtLevels()
	}
}

func (s *Store) lookAtSpace() {
	if s.reserve < 0 {
		return
	}
	u, err := s.guard.GetDiskUsage(s.dir)
	if err != nil {
		if !errors.Is(err, vfs.ErrUnsupported) {
			s.log.Debug("backend/pebble: free space is not known", "error", err)
		}
		return
	}
	level := spaceEnough
	switch reserve := uint64(s.reserve); {
	case u.AvailBytes < reserve/2:
		level = spaceNone
	case u.AvailBytes < reserve:
		level = spaceLow
	}
	if old := spaceLevel(s.space.Swap(int32(level))); old != level {
		if level == spaceEnough {
			s.log.Info("backend/pebble: disk space is back, writes are admitted", "available", u.AvailBytes)
		} else {
			s.log.Warn("backend/pebble: short of disk space, writes are refused", "available", u.AvailBytes, "reserve", s.reserve)
		}
	}
}

func (s *Store) lookAtLevels() {
	if !s.levelsChanged.CompareAndSwap(true, false) || s.fail.engine() != nil {
		return
	}
	deep := int(s.db.Metrics().Levels[0].Sublevels) >= stallSublevels
	switch stall := s.stall.Load(); {
	case deep && stall == nil:
		c := make(chan struct{})
		s.stall.Store(&c)
		s.log.Warn("backend/pebble: writes wait for compactions")
	case !deep && stall != nil:
		s.stall.Store(nil)
		close(*stall)
		s.log.Info("backend/pebble: writes no longer wait for compactions")
	}
}

// admit returns nil when an Update may start, after waiting for compactions if
// it must.
func (s *Store) admit(ctx context.Context, o backend.UpdateOptions) error {
	if err := s.ready(o.Reclaim); err != nil {
		return err
	}
	hung := s.hang.begunFor(o.Patient)
	if isDone(hung) {
		return errHanging
	}
	if stall := s.stall.Load(); stall != nil {
		select {
		case <-*stall:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.fail.set:
			return s.fail.unavailable()
		case <-hung:
			return errHanging
		case <-s.life.Closing():
			return backend.ErrClosed
		}
	}
	return nil
}

func (s *Store) ready(reclaim bool) error {
	if err := s.fail.unavailable(); err != nil {
		return err
	}
	switch spaceLevel(s.space.Load()) {
	case spaceNone:
		return errDiskFull
	case spaceLow:
		if !reclaim {
			return errDiskFull
		}
	}
	return nil
}
