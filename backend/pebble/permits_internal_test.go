package pebble

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// compactor is a crdb.DBForCompaction as Pebble is one: it waits only once it was refused.
type compactor struct {
	permits *compactionPermits

	allowed atomic.Int64
	slow    chan struct{} // what an answer waits for, nil for nothing
	after   func()        // what comes behind the next answer, before it is heard

	mu      sync.Mutex
	work    int // compactions to be run
	waiting bool
	handles []crdb.CompactionGrantHandle // of those that run
	asked   int
}

func (d *compactor) GetAllowedWithoutPermission() int { return int(d.allowed.Load()) }

func (d *compactor) GetWaitingCompaction() (bool, crdb.WaitingCompaction) {
	if d.slow != nil {
		<-d.slow
	}
	if after := d.after; after != nil {
		d.after = nil
		defer after()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	d.waiting = d.waiting && d.work > 0
	return d.waiting, crdb.WaitingCompaction{}
}

func (d *compactor) Schedule(h crdb.CompactionGrantHandle) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting = d.waiting && d.work > 0; d.waiting {
		d.run(h)
	}
	return d.waiting
}

func (d *compactor) run(h crdb.CompactionGrantHandle) {
	d.work--
	d.handles = append(d.handles, h)
}

// add has more to be run, and runs it as far as it may.
func (d *compactor) add(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.work += n; d.work > 0 && !d.waiting; {
		granted, h := d.permits.TrySchedule()
		if !granted {
			d.waiting = true
			return
		}
		d.run(h)
	}
}

func (d *compactor) end() {
	d.mu.Lock()
	h := d.handles[0]
	d.handles = d.handles[1:]
	d.mu.Unlock()
	h.Done()
}

// running returns how many run.
func (d *compactor) running() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.handles)
}

// looks returns how often it was asked.
func (d *compactor) looks() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

func newCompactor(allowed int) *compactor {
	d := &compactor{permits: newCompactionPermits()}
	d.allowed.Store(int64(allowed))
	d.permits.Register(2, d)
	d.permits.open()
	return d
}

// TestPermitsWhileOpening: no compaction begins before Pebble is open, and those that wait
// by then begin at once. Where Pebble could not be opened nobody looks for one.
func TestPermitsWhileOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &compactor{permits: newCompactionPermits()}
		d.allowed.Store(1)
		d.permits.Register(2, d)
		d.add(1)
		d.permits.UpdateGetAllowedWithoutPermission()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Zero(t, d.running())
		require.Zero(t, d.looks())
		d.permits.open()
		synctest.Wait()
		require.Equal(t, 1, d.running())
		d.end()
		d.permits.Unregister()

		failed := newCompactionPermits()
		failed.Unregister() // before Pebble knew it
		failed.load()
	})
}

// TestPermits: as many compactions run as may, one that waits runs when another has ended
// or when more may, and where none waits nobody looks.
func TestPermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newCompactor(1)
		defer d.permits.Unregister()
		d.add(3)
		require.Equal(t, 1, d.running())
		d.end()
		require.Equal(t, 1, d.running(), "the next has its permit")

		time.Sleep(3 * permitEvery)
		d.allowed.Store(2)
		time.Sleep(permitEvery)
		synctest.Wait()
		require.Equal(t, 2, d.running(), "more may, which nobody was told")
		d.end()
		d.end()
		require.Zero(t, d.running())

		asked := d.looks()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, asked, d.looks(), "nothing waits")

		d.allowed.Store(0)
		d.add(1)
		d.mu.Lock() // Pebble holds its locks when it says so
		d.allowed.Store(1)
		d.permits.UpdateGetAllowedWithoutPermission()
		d.mu.Unlock()
		synctest.Wait()
		require.Equal(t, 1, d.running())
		d.end()
	})
}

// TestPermitsBetweenLoads: compactions wait until enough loads have come, or none for a
// while, but not where they are pressed for.
func TestPermitsBetweenLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newCompactor(unpressed)
		defer d.permits.Unregister()
		for range 2 { // what has run begins the count anew
			for range loadsTogether - 1 {
				d.permits.load()
				d.add(1)
				time.Sleep(loadPause / 2)
				synctest.Wait()
				require.Zero(t, d.running())
			}
			d.permits.load()
			synctest.Wait()
			require.Equal(t, 1, d.running())
			d.mu.Lock()
			d.work = 0
			d.mu.Unlock()
			d.end()
		}

		d.permits.load()
		d.add(1)
		time.Sleep(loadPause)
		synctest.Wait()
		require.Equal(t, 1, d.running(), "no more loads have come")
		d.end()

		d.permits.load()
		d.add(1)
		time.Sleep(permitEvery)
		require.Zero(t, d.running())
		d.allowed.Store(unpressed + 1)
		time.Sleep(permitEvery)
		synctest.Wait()
		require.Equal(t, 1, d.running(), "it is pressed for")
		d.end()
	})
}

// TestLoadsHoldCompactions: an Update in bulk holds them back.
func TestLoadsHoldCompactions(t *testing.T) {
	s, err := Open(t.Context(), "store", &Options{FS: vfs.NewMem(), DiskReserve: -1})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	held := func() bool {
		p := s.turn.Load().opening.permits
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.loads > 0
	}
	for range 100 { // a slow machine may take longer than the pause, once
		err := s.Update(t.Context(), []backend.Scope{{Group: "g"}}, backend.UpdateOptions{Bulk: true}, func(_ context.Context, t backend.Txn) error {
			return t.Put([]byte("k"), []byte("v"))
		})
		require.NoError(t, err)
		if held() {
			return
		}
	}
	t.Fatal("they are not held back")
}

// TestPermitsRefusedMeanwhile: one that is refused for want of the permit that is being
// offered gets it.
func TestPermitsRefusedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newCompactor(1)
		defer d.permits.Unregister()
		d.add(2)
		d.work = 0 // what waited is not needed any more
		d.after = func() { d.add(1) }
		d.end()
		require.Equal(t, 1, d.running())
		d.end()
	})
}

// TestPermitsAtTheEnd: a store that closes gets no more permits, and none is being offered
// when that is so.
func TestPermitsAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newCompactor(1)
		d.slow = make(chan struct{})
		d.add(2)
		h := d.handles[0]
		go h.Done()
		synctest.Wait() // it offers, and waits for the store
		ended := make(chan struct{})
		go func() {
			d.permits.Unregister()
			close(ended)
		}()
		synctest.Wait()
		require.False(t, isDone(ended))
		close(d.slow)
		<-ended
		granted, _ := d.permits.TrySchedule()
		require.False(t, granted)
		asked := d.looks()
		h.Done()
		time.Sleep(time.Hour)
		require.Equal(t, asked, d.looks())
	})
}

// TestPermitsWithstandRaces: whatever happens at a time, all is run in the end, and never
// more than may.
func TestPermitsWithstandRaces(t *testing.T) {
	d := newCompactor(3)
	defer d.permits.Unregister()
	const each, workers = 500, 4
	var adders sync.WaitGroup
	for range workers {
		adders.Go(func() {
			for range each {
				d.add(1)
			}
		})
	}
	added := make(chan struct{})
	go func() { adders.Wait(); close(added) }()
	for ended := 0; ended < each*workers; {
		running := d.running()
		if running > 3 {
			t.Errorf("%d run", running)
			return
		}
		if running == 0 {
			time.Sleep(time.Millisecond)
			continue
		}
		d.end()
		ended++
	}
	<-added
	require.Zero(t, d.running())
}
