package pebble

import (
	"sync"
	"sync/atomic"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shelflife-db/shelflife/backend/pebble/internal/diskguard"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/scopelock"
)

// durability knows how far the log is on the disk. A position is the sequence
// number of the last operation of a commit; the log is in their order.
type durability struct {
	*engine
	// upTo is the position up to which everything is durable, syncing the
	// highest one that a caller waits to be synced, and will report.
	upTo, syncing scopelock.Position

	waiting atomic.Int64
	// mu guards advanced, which is closed and replaced when upTo has risen
	// while a call was waiting. No other lock is taken while it is held.
	mu       sync.Mutex
	advanced chan struct{}
}

func newDurability(e *engine) *durability {
	return &durability{engine: e, advanced: make(chan struct{})}
}

// A pendingSync is a commit on its way to the disk.
type pendingSync struct {
	batch, marker *crdb.Batch
	pos           uint64
}

// commit applies b and returns when it is visible. durable says that the caller
// will settle the result, and must; without it the commit becomes durable with
// a later one. b belongs to durability from here on.
func (d *durability) commit(b *crdb.Batch, durable bool) (pendingSync, error) {
	count := uint64(b.Count())
	if !durable {
		err := d.apply(b, crdb.NoSync)
		pos := end(b, count)
		if err != nil {
			return pendingSync{}, err
		}
		_ = b.Close()
		if pos == 0 {
			s, err := d.mark(false)
			return s, err
		}
		return pendingSync{pos: pos}, nil
	}
	if err := d.apply(b, crdb.Sync); err != nil {
		return pendingSync{}, err
	}
	s := pendingSync{batch: b, pos: end(b, count)}
	if s.pos == 0 {
		m, err := d.mark(true)
		if err != nil {
			return pendingSync{}, err
		}
		s.marker, s.pos = m.batch, m.pos
	}
	d.syncing.Raise(s.pos)
	return s, nil
}

// end returns the position of an applied batch, 0 if Pebble took its bytes, as
// it does with those of large ones: then a mark behind it stands for it.
//
// Pebble v2.1.7: unnecessary when a large batch keeps its SeqNum once applied
// (TestPebbleTakesLargeBatches).
func end(b *crdb.Batch, count uint64) uint64 {
	if n := uint64(b.SeqNum()); n != 0 {
		return n + count - 1
	}
	return 0
}

// mark writes an empty record to the log, which stands for all before it.
func (d *durability) mark(durable bool) (pendingSync, error) {
	b := d.db.NewBatch()
	if err := b.LogData(nil, nil); err != nil {
		return pendingSync{}, err
	}
	o := crdb.NoSync
	if durable {
		o = crdb.Sync
	}
	if err := d.apply(b, o); err != nil {
		return pendingSync{}, err
	}
	// The record has the number of the operation that will follow it, in
	// Pebble v2.1.7: TestPositions says whether it still does.
	s := pendingSync{batch: b, pos: uint64(b.SeqNum()) - 1}
	if !durable {
		_ = b.Close()
		s.batch = nil
	}
	return s, nil
}

// apply hands b to Pebble, which reports a commit that it could not apply to
// its logger alone, see engineLogger.Fatalf.
func (d *durability) apply(b *crdb.Batch, o *crdb.WriteOptions) (err error) {
	if d.readOnly != nil {
		// Pebble v2.1.7 returns an error for this that is like one of the disk
		// (TestPebbleReportsWritesToWhatItReads).
		return d.readOnly
	}
	d.hang.Applies.Begin()
	defer d.hang.Applies.End()
	defer d.fail.OnPanic(&err)
	if o.Sync {
		err = d.db.ApplyNoSyncWait(b, o)
	} else {
		err = d.db.Apply(b, o)
	}
	if err != nil {
		d.fail.Fail(err)
	}
	if d.fail.Failed() {
		return d.fail.Unknown()
	}
	return nil
}

// settle waits until s is durable, or the call does not wait for it any more.
func (d *durability) settle(w diskguard.Wait, s pendingSync) error {
	if w.Patient() {
		return d.settlePatiently(s)
	}
	settled := make(chan error, 1)
	d.syncs.Go(func() { settled <- d.settlePatiently(s) })
	return w.Outcome(settled)
}

// settlePatiently waits until s is durable, however long that takes.
func (d *durability) settlePatiently(s pendingSync) error {
	d.hang.Syncs.Begin()
	defer d.hang.Syncs.End()
	for _, b := range [...]*crdb.Batch{s.batch, s.marker} {
		if b == nil {
			continue
		}
		if err := b.SyncWait(); err != nil {
			d.fail.Fail(err)
		}
		_ = b.Close()
	}
	// Pebble knows nothing of a failed disk, see diskguard.FS.
	if d.fail.Failed() {
		return d.fail.Unknown()
	}
	d.upTo.Raise(s.pos)
	if d.waiting.Load() > 0 {
		d.mu.Lock()
		close(d.advanced)
		d.advanced = make(chan struct{})
		d.mu.Unlock()
	}
	return nil
}

// wait returns when everything up to pos is durable. If no sync of it is under
// way, wait starts one.
func (d *durability) wait(w diskguard.Wait, pos uint64) error {
	if d.upTo.Load() >= pos {
		return nil
	}
	if d.syncing.Load() < pos {
		return d.syncWithin(w)
	}
	// In this order: a sync that ends now either finds this call waiting, and
	// closes advanced, or has raised upTo before it is looked at.
	d.waiting.Add(1)
	defer d.waiting.Add(-1)
	for {
		d.mu.Lock()
		advanced := d.advanced
		d.mu.Unlock()
		if d.upTo.Load() >= pos {
			return nil
		}
		if err := w.Until(advanced); err != nil {
			return err
		}
	}
}

// syncWithin is sync, but leaves it alone when the call does not wait for it any
// more.
func (d *durability) syncWithin(w diskguard.Wait) error {
	if err := w.Hanging(); err != nil {
		return err
	}
	result := make(chan error, 1)
	d.syncs.Go(func() { result <- d.sync() })
	err, ended := diskguard.For(w, result)
	if ended != nil {
		return ended
	}
	return err
}

// sync makes everything durable that is visible now.
func (d *durability) sync() error {
	if err := d.fail.Unavailable(); err != nil {
		return err
	}
	s, err := d.mark(true)
	if err == nil {
		d.syncing.Raise(s.pos)
		err = d.settlePatiently(s)
	}
	if err != nil {
		// Nothing was to be written but the mark.
		return d.fail.Unavailable()
	}
	return nil
}
