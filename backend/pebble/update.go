package pebble

import (
	"context"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/diskguard"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/reclaim"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/scopelock"
)

// outcome is what an Update has done under its locks, and waits for after them.
type outcome struct {
	// sync is the commit to be waited for, if it has a round.
	sync pendingSync
	// read is the position up to which the callback can have read.
	read uint64
	// err is the callback's.
	err error
}

// update is an Update that is counted.
func (o *opening) update(ctx context.Context, scopes []backend.Scope, u backend.UpdateOptions,
	fn func(context.Context, backend.Txn) error,
) error {
	w := o.hang.Wait(ctx, o.fail, u.Patient)
	if err := o.gate.admit(w, u.Reclaim); err != nil {
		return err
	}
	out, err := o.run(ctx, w, scopes, u, fn)
	if err != nil {
		return err
	}
	switch {
	case u.Buffered:
	case out.sync.round != nil:
		err = o.durable.outcome(w, out.sync)
	default:
		err = o.durable.wait(w, out.read)
	}
	if err != nil {
		return err
	}
	return out.err
}

// run calls fn under the scopes' locks and applies what it wrote. An error
// says that there is nothing to wait for.
func (o *opening) run(ctx context.Context, w diskguard.Wait, scopes []backend.Scope, u backend.UpdateOptions,
	fn func(context.Context, backend.Txn) error,
) (out outcome, err error) {
	var space [6]scopelock.Hold // enough for three scopes
	h, err := o.scopes.Acquire(w.Until, space[:0], scopes)
	if err != nil {
		return out, err
	}
	defer o.scopes.Release(h)
	// The store may have failed while this call waited.
	if err := o.fail.Unavailable(); err != nil {
		return out, err
	}
	t := &txn{db: o.db, whole: h.Whole()}
	if u.Bulk {
		o.loads.begin(t)
	}
	defer t.end()
	if out.err = fn(backend.MarkUpdate(ctx, o.store), t); out.err != nil {
		out.read = o.scopes.Last(h)
		return out, nil
	}
	if err := ctx.Err(); err != nil {
		return out, err
	}
	if t.empty() {
		out.read = o.scopes.Last(h)
	} else if out.sync, err = o.commit(ctx, w, h, t, u); err != nil {
		return out, err
	}
	for _, fn := range t.visible {
		fn() // should one panic, the sync is on its way nevertheless
	}
	return out, nil
}

// commit applies what t has written. Where the result has no round it is durable, or
// need not be.
func (o *opening) commit(ctx context.Context, w diskguard.Wait, h scopelock.Holds, t *txn, u backend.UpdateOptions) (sync pendingSync, err error) {
	if err := o.fail.Unavailable(); err != nil {
		return sync, err
	}
	o.dirty.Store(true)
	if t.inBulk() {
		pos, done, err := o.loads.load(ctx, w, h, t)
		if done || err != nil {
			return pendingSync{pos: pos}, err
		}
	}
	if err := o.loads.gate.pass(w); err != nil {
		return sync, err
	}
	defer o.loads.gate.leave()
	o.scopes.Begin(h)
	deleted, ranges := t.deletions(), t.ranges
	if sync, err = o.durable.commit(t.take(), !u.Buffered); err != nil {
		return sync, err
	}
	o.scopes.Applied(h, sync.pos)
	o.unflushed.Store(true)
	o.note(deleted, ranges) // now that they are visible, see reclaimer
	return sync, nil
}

// note has the ledger take deletions.
func (o *opening) note(keys []reclaim.Key, ranges []rangeDelete) {
	o.ledger.Deleted(keys...)
	for _, r := range ranges {
		n, _ := o.db.EstimateDiskUsage(r.start, r.end) // an estimate, or none
		o.ledger.DeletedRange(r.start, r.end, int64(n))
		o.ranged.Store(true)
	}
}

// makeDurable is Durable of the Store.
func (o *opening) makeDurable(ctx context.Context, scopes []backend.Scope) error {
	var pos uint64
	for _, c := range scopes {
		pos = max(pos, o.scopes.Visible(c))
	}
	w := o.hang.Wait(ctx, o.fail, false)
	if pos == scopelock.Applying {
		return o.durable.syncWithin(w)
	}
	return o.durable.wait(w, pos)
}
