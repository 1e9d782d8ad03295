package postgres

import (
	"context"
	"time"

	"github.com/shelflife-db/shelflife/backend"
)

// SetLongestRun changes how old a run may be that is sent. It is called before s is
// used.
func SetLongestRun(s *Store, d time.Duration) { s.longestRun = d }

// RaiseClock does what watch does now and then.
func RaiseClock(ctx context.Context, s *Store) error { return s.keepClock(ctx) }

// SetShipping changes how many shipments are on their way, and how long batches
// wait for one. It is called while s is not used.
func SetShipping(s *Store, onWay int, wait time.Duration) { s.maxOnWay, s.longestWait = onWay, wait }

// OnQuay returns how many batches wait for a shipment, and OnWay how many of those
// there are.
func OnQuay(s *Store) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.quay.waiting)
}

func OnWay(s *Store) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quay.onWay
}

// ItemLock returns the lock on the server that is the scope's alone.
func ItemLock(s *Store, scope backend.Scope) int64 {
	return s.lockNumber("i", scope.Group, scope.Item)
}

// Ask does what watch does, and returns what is then known.
func Ask(ctx context.Context, s *Store) error {
	s.ask(ctx, false)
	return s.Ready()
}

// LoseWrite has a write end without an answer that was sent so long after Open.
func LoseWrite(s *Store, err error, sent time.Duration) { s.lostWrite(err, sent) }
