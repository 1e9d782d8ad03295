package pebble

import (
	"sync"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
)

// permitEvery is how often it is looked whether a compaction that waits may run: how many
// may is Pebble's to say, and rises without a word.
const permitEvery = 100 * time.Millisecond

// compactionPermits lets as many compactions run at a time as Pebble allows itself.
//
// Pebble's own scheduler looks ten times a second for as long as the store is open, which
// was three quarters of what an idle store cost. A compaction waits only after it was
// refused (DB.maybeScheduleCompaction), so this one looks from then on until none waits.
//
// Pebble v2.1.7: unnecessary when ConcurrencyLimitScheduler has no ticker while nothing
// waits.
type compactionPermits struct {
	db crdb.DBForCompaction // set by Register, before all else

	// mu guards the rest. Pebble's locks may be held when it is taken, and are taken by
	// what offer calls: not below it.
	mu      sync.Mutex
	running int
	// waiting says that one was refused, and that none has been found to wait no more
	// since. refusals counts those that were.
	waiting  bool
	refusals uint64
	// offering is done by one goroutine at a time, once more if again is set; offered is
	// told of its end.
	offering, again bool
	offered         *sync.Cond
	closed          bool
	timer           *time.Timer // for the next look
}

var (
	_ crdb.CompactionScheduler   = (*compactionPermits)(nil)
	_ crdb.CompactionGrantHandle = (*compactionPermits)(nil)
)

func newCompactionPermits() *compactionPermits {
	c := new(compactionPermits)
	c.offered = sync.NewCond(&c.mu)
	return c
}

// Register implements crdb.CompactionScheduler.
func (c *compactionPermits) Register(_ int, db crdb.DBForCompaction) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.db = db
	c.timer = time.AfterFunc(permitEvery, c.offer)
	c.timer.Stop()
}

// Unregister implements crdb.CompactionScheduler. No call of Pebble is under way when it
// returns.
func (c *compactionPermits) Unregister() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.timer.Stop()
	for c.offering {
		c.offered.Wait()
	}
}

// TrySchedule implements crdb.CompactionScheduler.
func (c *compactionPermits) TrySchedule() (bool, crdb.CompactionGrantHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false, nil
	}
	if c.db.GetAllowedWithoutPermission() > c.running {
		c.running++
		return true, c
	}
	c.waiting = true
	c.refusals++
	c.timer.Reset(permitEvery)
	return false, nil
}

// UpdateGetAllowedWithoutPermission implements crdb.CompactionScheduler. Pebble holds
// locks.
func (c *compactionPermits) UpdateGetAllowedWithoutPermission() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting && !c.closed {
		c.timer.Reset(0)
	}
}

// Done implements crdb.CompactionGrantHandle.
func (c *compactionPermits) Done() {
	c.mu.Lock()
	c.running--
	c.mu.Unlock()
	c.offer()
}

// Started implements crdb.CompactionGrantHandle.
func (c *compactionPermits) Started() {}

// MeasureCPU implements crdb.CompactionGrantHandle.
func (c *compactionPermits) MeasureCPU(crdb.CompactionGoroutineKind) {}

// CumulativeStats implements crdb.CompactionGrantHandle.
func (c *compactionPermits) CumulativeStats(crdb.CompactionGrantHandleStats) {}

// offer has compactions that wait run, as far as they may, and is called again while
// others wait.
func (c *compactionPermits) offer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.offering || c.closed {
		c.again = true
		return
	}
	c.offering = true
	for c.again = true; c.again && !c.closed; {
		c.again = false
		c.offerFree()
	}
	c.offering = false
	c.offered.Broadcast()
	if c.waiting && !c.closed {
		c.timer.Reset(permitEvery)
	}
}

// offerFree offers the permits that are free, one after the other. mu is held, but not
// while Pebble is asked.
func (c *compactionPermits) offerFree() {
	for c.waiting && !c.closed && c.db.GetAllowedWithoutPermission() > c.running {
		c.running++ // nobody else may have it meanwhile
		refusals := c.refusals
		c.mu.Unlock()
		waits, _ := c.db.GetWaitingCompaction()
		taken := waits && c.db.Schedule(c)
		c.mu.Lock()
		if taken {
			continue
		}
		c.running--
		if c.refusals == refusals {
			c.waiting = false
			return
		}
		// One was refused since, perhaps for want of this permit.
	}
}
