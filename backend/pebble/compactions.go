package pebble

import (
	"sync"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
)

// compactionTick is how often it is looked whether more compactions may run, while
// one waits: how many may follows from what is to be compacted, of which Pebble says
// nothing when it grows.
const compactionTick = 100 * time.Millisecond

// compactions lets as many compactions of one DB run as Pebble wants. Pebble's own
// scheduler does the same, and looks ten times a second whether or not there is
// anything to compact: two thirds of the times that a store which is not in use
// would wake its process.
//
// Pebble v2.1.7: unnecessary when ConcurrencyLimitScheduler keeps still while no
// compaction waits.
type compactions struct {
	db    crdb.DBForCompaction
	tick  func() <-chan time.Time // once after compactionTick
	look  chan struct{}           // has room for one: there may be something to grant
	stop  chan struct{}
	ended chan struct{}

	// mu is taken below the locks of the DB, which are not taken while it is held.
	mu      sync.Mutex
	running int // compactions that were granted
}

var (
	_ crdb.CompactionScheduler   = (*compactions)(nil)
	_ crdb.CompactionGrantHandle = (*compactions)(nil)
)

func newCompactions() *compactions {
	return &compactions{
		tick:  func() <-chan time.Time { return time.After(compactionTick) },
		look:  make(chan struct{}, 1),
		stop:  make(chan struct{}),
		ended: make(chan struct{}),
	}
}

// Register implements crdb.CompactionScheduler. A DB that was opened calls it, and
// ends what it starts by Unregister.
func (c *compactions) Register(_ int, db crdb.DBForCompaction) {
	c.db = db
	go c.run()
}

// Unregister implements crdb.CompactionScheduler: nothing is granted any more.
func (c *compactions) Unregister() {
	close(c.stop)
	<-c.ended
}

// TrySchedule implements crdb.CompactionScheduler. The DB holds its locks.
func (c *compactions) TrySchedule() (bool, crdb.CompactionGrantHandle) {
	if c.begin() {
		return true, c
	}
	// From here on one waits. The look comes after that: it needs the locks.
	c.poke()
	return false, nil
}

// UpdateGetAllowedWithoutPermission implements crdb.CompactionScheduler.
func (c *compactions) UpdateGetAllowedWithoutPermission() { c.poke() }

// Done implements crdb.CompactionGrantHandle.
func (c *compactions) Done() {
	c.end()
	c.poke()
}

// Started, MeasureCPU and CumulativeStats implement crdb.CompactionGrantHandle.
func (*compactions) Started()                                          {}
func (*compactions) MeasureCPU(crdb.CompactionGoroutineKind)           {}
func (*compactions) CumulativeStats(_ crdb.CompactionGrantHandleStats) {}

// begin counts a compaction in, if another may run.
func (c *compactions) begin() bool {
	select {
	case <-c.stop:
		return false
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running >= c.db.GetAllowedWithoutPermission() {
		return false
	}
	c.running++
	return true
}

func (c *compactions) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
}

// poke has run look. It never waits.
func (c *compactions) poke() {
	select {
	case c.look <- struct{}{}:
	default:
	}
}

// run grants what waits until Unregister.
func (c *compactions) run() {
	defer close(c.ended)
	for {
		var tick <-chan time.Time
		if c.grant() {
			tick = c.tick()
		}
		select {
		case <-c.stop:
			return
		case <-c.look:
		case <-tick:
		}
	}
}

// grant lets compactions run that wait, and reports whether one may wait still.
func (c *compactions) grant() bool {
	for {
		if waits, _ := c.db.GetWaitingCompaction(); !waits {
			return false
		}
		if !c.begin() {
			return true
		}
		if !c.db.Schedule(c) {
			c.end()
			return true // if it has not gone meanwhile, which the next look shows
		}
	}
}
