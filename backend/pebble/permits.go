package pebble

import (
	"sync"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
)

// permitEvery is how often it is looked whether a compaction that waits may run: how many
// may is Pebble's to say, and rises without a word.
const permitEvery = 100 * time.Millisecond

// What is loaded in bulk has a table of expiry entries in each chunk, which lie between
// those of all others: a compaction after each chunk would merge all that was loaded
// before with it, again and again, which took a quarter of the processor time of a load
// of a million products. So compactions wait after a load until loadsTogether have come,
// or none has for loadPause. They do not where Pebble would allow itself more than
// unpressed: somebody waits for one, or level 0 has grown deep.
const (
	loadsTogether = 8
	loadPause     = time.Second
	unpressed     = 1
)

// compactionPermits lets as many compactions run at a time as Pebble allows itself, and
// holds them back between loads, and while Pebble is being opened: where that fails behind
// a compaction's beginning, Pebble closes what the compaction reads, and the process
// panics. (Open itself waits for compactions only to raise the format of a store that has
// tables marked for them, which none of ours has.)
//
// Pebble's own scheduler looks ten times a second for as long as the store is open, which
// was three quarters of what an idle store cost. A compaction waits only after it was
// refused (DB.maybeScheduleCompaction), so this one looks from then on until none waits.
//
// Pebble v2.1.7: unnecessary when ConcurrencyLimitScheduler has no ticker while nothing
// waits, and Open waits for compactions before it fails.
type compactionPermits struct {
	db crdb.DBForCompaction // set by Register, before all else

	// mu guards the rest. Pebble's locks may be held when it is taken, and are taken by
	// what offer calls: not below it.
	mu      sync.Mutex
	running int
	// opened says that Pebble is open.
	opened bool
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
	// loads counts those that compactions wait behind, until more come or loading fires.
	loads   int
	loading *time.Timer
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
	c.loading = time.AfterFunc(loadPause, c.endLoads)
	c.loading.Stop()
}

// open lets compactions run: Pebble is open.
func (c *compactionPermits) open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened = true
	if c.waiting {
		c.timer.Reset(0)
	}
}

// Unregister implements crdb.CompactionScheduler. No call of Pebble is under way when it
// returns. Pebble does not call it where it could not be opened.
func (c *compactionPermits) Unregister() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.db == nil {
		return // Register was not called
	}
	c.timer.Stop()
	c.loading.Stop()
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
	if c.mayRun() {
		c.running++
		c.begun()
		return true, c
	}
	c.waiting = true
	c.refusals++
	if c.opened {
		c.timer.Reset(permitEvery)
	}
	return false, nil
}

// mayRun reports whether one more compaction may run. mu is held.
func (c *compactionPermits) mayRun() bool {
	if !c.opened {
		return false
	}
	allowed := c.db.GetAllowedWithoutPermission()
	return allowed > c.running && (c.loads == 0 || c.loads >= loadsTogether || allowed > unpressed)
}

// begun notes that one runs: others wait for the next loads. mu is held.
func (c *compactionPermits) begun() {
	if c.loads >= loadsTogether {
		c.loads = 0
	}
}

// load holds compactions back: tables are about to be ingested.
func (c *compactionPermits) load() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.loads++
	c.loading.Reset(loadPause)
	if c.waiting && c.loads >= loadsTogether {
		c.timer.Reset(0)
	}
}

// endLoads has compactions wait for no more loads.
func (c *compactionPermits) endLoads() {
	c.mu.Lock()
	c.loads = 0
	c.mu.Unlock()
	c.offer()
}

// UpdateGetAllowedWithoutPermission implements crdb.CompactionScheduler. Pebble holds
// locks.
func (c *compactionPermits) UpdateGetAllowedWithoutPermission() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting && c.opened && !c.closed {
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
	for c.waiting && !c.closed && c.mayRun() {
		c.running++ // nobody else may have it meanwhile
		refusals := c.refusals
		c.mu.Unlock()
		waits, _ := c.db.GetWaitingCompaction()
		taken := waits && c.db.Schedule(c)
		c.mu.Lock()
		if taken {
			c.begun()
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
