package postgres

import (
	"context"
	"time"
)

// SetLongestRun changes how old a run may be that is sent. It is called before s is
// used.
func SetLongestRun(s *Store, d time.Duration) { s.longestRun = d }

// RaiseClock does what watch does now and then.
func RaiseClock(ctx context.Context, s *Store) error { return s.keepClock(ctx) }
