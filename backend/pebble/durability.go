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
	pos, err := d.applyBuffered(b)
	if err != nil {
		return pendingSync{}, err
	}
	s := pendingSync{pos: pos}
	if durable {
		s.round = d.rounds.Join() // once it is applied, so that the round's mark is behind it
	}
	return s, nil
}

// applyBuffered applies b, closes it, and returns its position.
func (d *durability) applyBuffered(b *crdb.Batch) (uint64, error) {
	count := uint64(b.Count())
	err := d.apply(b, crdb.NoSync)
	pos := end(b, count)
	if err != nil {
		return 0, err
	}
	_ = b.Close()
	if pos != 0 {
		return pos, nil
	}
	m, err := d.mark(crdb.NoSync)
	if err != nil {
		return 0, err
	}
	_ = m.batch.Close()
	return m.pos, nil
}

// lead applies b, whose sync is that of r.
func (d *durability) lead(b *crdb.Batch, r *groupsync.Round) (pendingSync, error) {
	pos, batches, err := d.applyDurable(b)
	if err == nil {
		d.syncing.Raise(pos)
	}
	// After an error too: others may have joined the round behind this one.
	d.rounds.Go(r, func() error {
		if err != nil {
			return err
		}
		return d.settle(pos, batches)
	})
	return pendingSync{round: r, pos: pos}, err
}

// applyDurable applies b, and returns its position and what settle is to wait for.
func (d *durability) applyDurable(b *crdb.Batch) (pos uint64, batches []*crdb.Batch, err error) {
	count := uint64(b.Count())
	if err := d.apply(b, crdb.Sync); err != nil {
		return 0, nil, err
	}
	if pos = end(b, count); pos != 0 {
		return pos, []*crdb.Batch{b}, nil
	}
	m, err := d.mark(crdb.Sync)
	if err != nil {
		return 0, nil, err
	}
	return m.pos, []*crdb.Batch{b, m.batch}, nil
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

// A mark is an empty record in the log, which stands for all before it.
type mark struct {
	batch *crdb.Batch
	pos   uint64
}

// mark writes one. Its batch is to be closed, behind the sync if o asks for one.
func (d *durability) mark(o *crdb.WriteOptions) (mark, error) {
	b := d.db.NewBatch()
	if err := b.LogData(nil, nil); err != nil {
		return mark{}, err
	}
	if err := d.apply(b, o); err != nil {
		return mark{}, err
	}
	// The record has the number of the operation that will follow it, in
	// Pebble v2.1.7: TestPositions says whether it still does.
	return mark{b, uint64(b.SeqNum()) - 1}, nil
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

// settle waits for the syncs of batches, of which the last ends at pos, and closes them.
func (d *durability) settle(pos uint64, batches []*crdb.Batch) error {
	d.hang.Syncs.Begin()
	defer d.hang.Syncs.End()
	for _, b := range batches {
		if err := b.SyncWait(); err != nil {
			d.fail.Fail(err)
		}
		_ = b.Close()
	}
	// Pebble knows nothing of a failed disk, see diskguard.FS.
	if d.fail.Failed() {
		return d.fail.Unknown()
	}
	d.upTo.Raise(pos)
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
		err = d.settle(m.pos, []*crdb.Batch{m.batch})
	}
	if err != nil {
		// Nothing was to be written but the mark.
		return d.fail.Unavailable()
	}
	return nil
}
