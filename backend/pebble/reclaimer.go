package pebble

import (
	"context"
	"time"

	"github.com/shelflife-db/shelflife/backend/pebble/internal/reclaim"
)

const (
	// retryPass is how long a pass that failed is left alone, and how long a disk
	// that is short of room is between two passes.
	retryPass = 30 * time.Second
	// logsRest is how long no log may have been begun before those that are kept
	// for use are removed: a store in which nothing happens needs none.
	logsRest = time.Minute
	// spareLogs is how many are kept for use otherwise.
	spareLogs = 2
)

// tick hands the time to the loop, and lets a pass look at what it waits for. It
// never waits.
func (r *reclaimer) tick(now time.Time) {
	now = now.Round(0) // the wall's: a machine may sleep, and stores outlive processes
	select {
	case <-r.ticks: // one that is overtaken
	default:
	}
	select {
	case r.ticks <- now:
	default:
	}
	r.blobs.refill()
	r.changed.poke()
}

// run works until ctx is done.
func (r *reclaimer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-r.ticks:
			r.look(ctx, now)
		}
	}
}

func (r *reclaimer) look(ctx context.Context, now time.Time) {
	if r.fail.Failed() || r.guard.Parked() != nil || r.hang.Err() != nil {
		return
	}
	short := r.gate.level() != spaceEnough
	if err := r.flushRanges(ctx); err != nil {
		return // the disk, or ctx
	}
	r.trimLogs(now, short)
	r.watchGarbage(now)
	pass := r.ledger.Due(now, r.liveBytes())
	if r.noted == "" {
		r.noteOwed(now)
	}
	if short {
		pass = r.dueWhenShort()
	}
	if pass == reclaim.None || now.Before(r.notUntil) && r.notUntil.Sub(now) <= retryPass {
		return
	}
	if short {
		// Of what is deleted meanwhile, a pass each second would give back little.
		r.notUntil = now.Add(retryPass / 6)
	}
	if err := r.pass(ctx, pass, true); err != nil && ctx.Err() == nil {
		r.notUntil = now.Add(retryPass)
		r.log.Warn("backend/pebble: the room of what was deleted could not be given back, it will be tried again", "error", err)
	}
	r.noteOwed(now)
}

// manyWrites is from how many bytes in the memtable the removal of a range is
// flushed.
const manyWrites = 1 << 20

// flushRanges has what was deleted as a range pass over quickly: readers step over
// single keys that are in the same memtable, or table, as the range that hides
// them, and only a flush leaves them out.
func (r *reclaimer) flushRanges(ctx context.Context) error {
	if !r.ranged.CompareAndSwap(true, false) || r.db.Metrics().WAL.Size < manyWrites {
		return nil
	}
	return r.flushNow(ctx)
}

// dueWhenShort returns what may give room to a disk that is short of it.
func (r *reclaimer) dueWhenShort() reclaim.Pass {
	if _, owed := r.ledger.Since(); owed || r.unflushed.Load() {
		return reclaim.Erase
	}
	return reclaim.None
}

// liveBytes returns the size of the tables and of what they refer to.
func (r *reclaimer) liveBytes() int64 {
	if _, owed := r.ledger.Since(); !owed {
		return 0 // it is not needed
	}
	m := r.db.Metrics()
	return int64(m.Table.Local.LiveSize + m.BlobFiles.ReferencedValueSize)
}

// trimLogs removes logs that Pebble keeps to use them again: all where the disk is
// short of room or nothing has happened for a while.
func (r *reclaimer) trimLogs(now time.Time, short bool) {
	newest := r.newestLog.Load()
	if newest == nil {
		return
	}
	if *newest != r.last || r.lastAt.After(now) {
		r.last, r.lastAt = *newest, now
	}
	keep := spareLogs
	if short || now.Sub(r.lastAt) >= logsRest {
		keep = 0
	}
	r.keepLogs(keep)
}

// watchGarbage has blob files written anew where they have held much garbage for
// a while, whatever it came from.
func (r *reclaimer) watchGarbage(now time.Time) {
	share := r.garbageShare()
	switch {
	case share <= garbageShare:
		r.garbage = time.Time{}
		r.blobs.watch(false)
	case r.garbage.IsZero() || r.garbage.After(now):
		r.garbage = now
	case now.Sub(r.garbage) >= garbageSettles:
		r.blobs.watch(true)
		r.wake()
	}
}

// noteOwed has the file follow the ledger. It need not: what it says is early
// enough already.
func (r *reclaimer) noteOwed(now time.Time) {
	since, owed := r.ledger.Since()
	if !owed || since.IsZero() {
		since = now
	}
	content := since.UTC().Format(time.RFC3339)
	if content == r.noted || r.fail.Failed() {
		return
	}
	if err := r.folder.writeOwed(content); err != nil {
		r.log.Debug("backend/pebble: what is owed could not be noted", "error", err)
		return
	}
	r.noted = content
}

// closeOwed leaves the file as the store is left. Pebble is closed.
func (e *engine) closeOwed() {
	since, owed := e.ledger.Since()
	switch {
	case e.fail.Failed():
	case !owed:
		_ = e.folder.writeOwed(owedNothing) // what it says already is early enough
	case !since.IsZero():
		_ = e.folder.writeOwed(since.UTC().Format(time.RFC3339))
	}
}
