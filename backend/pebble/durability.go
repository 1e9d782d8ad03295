package pebble

import (
	"time"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shelflife-db/shelflife/backend/pebble/internal/diskguard"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/groupsync"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/scopelock"
)

// durability knows how far the log is on the disk. A position is the sequence
// number of the last operation of a commit; the log is in their order.
type durability struct {
	*engine
	// upTo is the position up to which everything is durable, syncing the
	// highest one of a sync that has begun.
	upTo, syncing scopelock.Position
	// rounds are the syncs that calls wait for.
	rounds *groupsync.Group
}

func newDurability(e *engine) *durability {
	d := &durability{engine: e}
	opened := time.Now() // for how long syncs take, which nothing else is judged by
	d.rounds = groupsync.New(d.sync, d.syncs.Go, func() time.Duration { return time.Since(opened) })
	return d
}

// A pendingSync is a commit on its way to the disk.
type pendingSync struct {
	round *groupsync.Round // nil if nobody waits for it
	pos   uint64
}

// commit applies b and returns when it is visible. With durable set, a sync of it is on
// its way too, which the caller may wait for; without, it becomes durable with a later
// one. b belongs to durability from here on.
func (d *durability) commit(b *crdb.Batch, durable bool) (pendingSync, error) {
	if durable {
		// A commit that is alone is synced as it is applied, which spares it the mark
		// that a round is synced by.
		if r := d.rounds.Lead(); r != nil {
			return d.lead(b, r)
		}
	}
	a, err := d.applyPlaced(b, crdb.NoSync)
	if err != nil {
		return pendingSync{}, err
	}
	a.close()
	s := pendingSync{pos: a.pos}
	if durable {
		s.round = d.rounds.Join() // once it is applied, so that the round's mark is behind it
	}
	return s, nil
}

// lead applies b, whose sync is that of r.
func (d *durability) lead(b *crdb.Batch, r *groupsync.Round) (pendingSync, error) {
	a, err := d.applyPlaced(b, crdb.Sync)
	if err == nil {
		d.syncing.Raise(a.pos)
	}
	// After an error too: others may have joined the round behind this one.
	d.rounds.Go(r, func() error {
		if err != nil {
			return err
		}
		return d.settle(a)
	})
	return pendingSync{round: r, pos: a.pos}, err
}

// applied is what Pebble has applied, up to a position. It is to be closed, and before
// that settled if it is to be synced.
type applied struct {
	batch *crdb.Batch
	mark  *crdb.Batch // behind batch, nil where that knows its position
	pos   uint64
}

func (a applied) each(fn func(*crdb.Batch)) {
	fn(a.batch)
	if a.mark != nil {
		fn(a.mark)
	}
}

func (a applied) close() {
	a.each(func(b *crdb.Batch) { _ = b.Close() })
}

// applyPlaced applies b, and a mark behind it if its position is not known else.
func (d *durability) applyPlaced(b *crdb.Batch, o *crdb.WriteOptions) (applied, error) {
	count := uint64(b.Count())
	if err := d.apply(b, o); err != nil {
		return applied{}, err
	}
	if pos := end(b, count); pos != 0 {
		return applied{batch: b, pos: pos}, nil
	}
	m, err := d.mark(o)
	if err != nil {
		return applied{}, err
	}
	return applied{b, m.batch, m.pos}, nil
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
func (d *durability) mark(o *crdb.WriteOptions) (applied, error) {
	b := d.db.NewBatch()
	if err := b.LogData(nil, nil); err != nil {
		return applied{}, err
	}
	if err := d.apply(b, o); err != nil {
		return applied{}, err
	}
	// The record has the number of the operation that will follow it, in
	// Pebble v2.1.7: TestPositions says whether it still does.
	return applied{batch: b, pos: uint64(b.SeqNum()) - 1}, nil
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

// settle waits for the sync of a, and closes it.
func (d *durability) settle(a applied) error {
	d.hang.Syncs.Begin()
	defer d.hang.Syncs.End()
	a.each(func(b *crdb.Batch) {
		if err := b.SyncWait(); err != nil {
			d.fail.Fail(err)
		}
		_ = b.Close()
	})
	// Pebble knows nothing of a failed disk, see diskguard.FS.
	if d.fail.Failed() {
		return d.fail.Unknown()
	}
	d.upTo.Raise(a.pos)
	return nil
}

// outcome waits until s, which has a round, is durable, or the call does not wait for
// it any more.
func (d *durability) outcome(w diskguard.Wait, s pendingSync) error {
	if err := w.Outcome(s.round.Done()); err != nil {
		return err
	}
	if s.round.Err() != nil {
		return d.fail.Unknown()
	}
	return nil
}

// wait returns when everything up to pos, which is visible, is durable. If no sync of
// it is under way, wait has one begin.
func (d *durability) wait(w diskguard.Wait, pos uint64) error {
	for d.upTo.Load() < pos {
		if err := w.Hanging(); err != nil {
			return err
		}
		// In this order: a sync that covers pos by the second look, and has not ended,
		// is that of the round which the first look found, or of a later one.
		r := d.rounds.Current()
		if r == nil || d.syncing.Load() < pos {
			r = d.rounds.Join()
		}
		if err := w.Until(r.Done()); err != nil {
			return err
		}
		if r.Err() != nil {
			return d.fail.Unavailable()
		}
	}
	return nil
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
	m, err := d.mark(crdb.Sync)
	if err == nil {
		d.syncing.Raise(m.pos)
		err = d.settle(m)
	}
	if err != nil {
		// Nothing was to be written but the mark.
		return d.fail.Unavailable()
	}
	return nil
}
