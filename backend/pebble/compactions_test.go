package pebble

import (
	"sync"
	"testing"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"
)

// compactingDB has compactions that wait, and lets so many run.
type compactingDB struct {
	mu               sync.Mutex
	allowed, waiting int
	scheduled        chan struct{} // one for each that was granted
	asked            chan struct{} // one for each question whether any waits
}

func (d *compactingDB) GetAllowedWithoutPermission() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.allowed
}

func (d *compactingDB) GetWaitingCompaction() (bool, crdb.WaitingCompaction) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked <- struct{}{}
	return d.waiting > 0, crdb.WaitingCompaction{}
}

func (d *compactingDB) Schedule(crdb.CompactionGrantHandle) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == 0 {
		return false
	}
	d.waiting--
	d.scheduled <- struct{}{}
	return true
}

func (d *compactingDB) set(allowed, waiting int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.allowed, d.waiting = allowed, waiting
}

// TestCompactionsRun: what waits runs when another has ended, or when more may run,
// of which nobody says anything.
func TestCompactionsRun(t *testing.T) {
	ticks, ticking := make(chan time.Time), make(chan struct{}, 100)
	c := newCompactions()
	c.tick = func() <-chan time.Time {
		ticking <- struct{}{}
		return ticks
	}
	db := &compactingDB{allowed: 1, scheduled: make(chan struct{}, 100), asked: make(chan struct{}, 100)}
	c.Register(2, db)
	<-db.asked // nothing waits
	require.Empty(t, ticking, "it keeps still")

	ok, first := c.TrySchedule()
	require.True(t, ok)
	ok, _ = c.TrySchedule()
	require.False(t, ok, "one may run")
	db.set(1, 2)
	c.UpdateGetAllowedWithoutPermission()
	<-ticking
	require.Empty(t, db.scheduled)

	first.Done()
	<-db.scheduled
	<-ticking // the other waits
	db.set(2, 1)
	ticks <- time.Time{}
	<-db.scheduled
	c.Unregister()
	for len(ticking) > 0 {
		<-ticking
	}
	first.Done()
	first.Done()
	db.set(5, 5)
	ok, _ = c.TrySchedule()
	require.False(t, ok, "its DB is closed")
	require.Empty(t, db.scheduled)
}
