package pebble

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shelflife-db/shelflife/backend/pebble/internal/reclaim"
)

const (
	// maxPart is about how much one compaction of a pass covers: it needs as much
	// free room for a while. partShare is its share of the reserve at most, or of the
	// ballast where the disk is short of room.
	maxPart   = 64 << 20
	minPart   = 1 << 20
	partShare = 4
	// passRate is how many bytes of tables a pass in the background works on
	// between two ticks.
	passRate = 16 << 20
)

// reclaimer gives back the room of what was deleted, and leaves nothing of it on
// the disk. The ledger says when, Pebble is told here.
//
// Deletions are noted in the ledger after they are visible. A pass takes the
// debt from it, and only then flushes: a deletion that the flush misses is in
// the next debt.
type reclaimer struct {
	*engine
	gate *gate
	// ticks has the latest tick, if the loop has not taken it.
	ticks chan time.Time
	// passing is held by the one pass that runs: it has room for one.
	passing chan struct{}

	// The loop's own.
	last     string    // the last log that was begun, as the loop knows
	lastAt   time.Time // when it saw that
	notUntil time.Time // when the next pass may begin, after one that failed
	garbage  time.Time // since when blob files hold much garbage; zero: they don't
	noted    string    // what the file of what is owed says, as far as the loop wrote it
}

func newReclaimer(e *engine, g *gate) *reclaimer {
	return &reclaimer{
		engine:  e,
		gate:    g,
		ticks:   make(chan time.Time, 1),
		passing: make(chan struct{}, 1),
	}
}

// pass deals with what is owed, at a pace that leaves the disk to others if paced
// is set.
func (r *reclaimer) pass(ctx context.Context, what reclaim.Pass, paced bool) (err error) {
	select {
	case r.passing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.passing }()
	if err := r.fail.Unavailable(); err != nil {
		return err
	}
	if err := r.guard.Parked(); err != nil {
		return err
	}
	defer r.fail.OnPanic(&err)

	debt := r.ledger.Begin()
	r.log.Debug("backend/pebble: giving back what was deleted", "ranges", len(debt.Ranges), "erase", what == reclaim.Erase)
	left, err := r.settle(ctx, what, paced, debt.Ranges)
	switch {
	case err != nil:
		r.ledger.Return(debt, true)
	case what == reclaim.Room:
		// Their room is there, but blob files may still hold some of them.
		r.ledger.Return(debt, false)
	default:
		debt.Ranges = left
		r.ledger.Return(debt, false)
	}
	return err
}

// settle does the work of a pass, and returns the ranges in which something may
// be left.
func (r *reclaimer) settle(ctx context.Context, what reclaim.Pass, paced bool, ranges []reclaim.Range) (left []reclaim.Range, err error) {
	target := roomShare
	if what == reclaim.Erase {
		target = 0
		// The log that the flush begins must not be one that is written over, and
		// those that it ends must not become the next.
		r.guard.FreshLogs(true)
		defer r.guard.FreshLogs(false)
	}
	if err := r.flushNow(ctx); err != nil {
		return nil, err
	}
	for _, owed := range ranges {
		for _, part := range r.parts(owed) {
			if err := r.compact(ctx, part.Range); err != nil {
				return nil, err
			}
			if err := r.pace(ctx, paced, part.bytes); err != nil {
				return nil, err
			}
		}
	}
	if what == reclaim.Erase {
		if left, err = r.force(ctx, paced, ranges); err != nil {
			return nil, err
		}
	}
	if err := r.rewriteBlobs(ctx, target, paced); err != nil {
		return nil, err
	}
	if what == reclaim.Erase {
		r.keepLogs(0)
	}
	return left, r.awaitRemoved(ctx)
}

// flushNow writes the memtables out, or returns when ctx is done.
func (r *reclaimer) flushNow(ctx context.Context) error {
	// Before: what comes meanwhile is flushed or sets it again.
	r.unflushed.Store(false)
	r.ranged.Store(false)
	flushed, err := r.db.AsyncFlush()
	if err == nil {
		select {
		case <-flushed:
		case <-r.fail.Happened():
			return r.fail.Unavailable()
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		r.unflushed.Store(true)
	}
	return err
}

// compact has everything between two keys, both included, sink to the lowest
// level that there is. A deletion meets there what it hides.
func (r *reclaimer) compact(ctx context.Context, part reclaim.Range) error {
	return r.db.Compact(ctx, part.Start, keyBehind(part.End), false)
}

func keyBehind(key []byte) []byte { return append(bytes.Clone(key), 0) }

// part is keys whose tables are worked on at once.
type part struct {
	reclaim.Range
	bytes int64
}

// parts splits a range by the sizes of its tables.
func (r *reclaimer) parts(owed reclaim.Range) (parts []part) {
	type table struct {
		largest []byte
		size    int64
	}
	var tables []table
	for _, level := range r.tables(owed) {
		for _, t := range level {
			tables = append(tables, table{t.Largest.UserKey, int64(t.Size)})
		}
	}
	slices.SortFunc(tables, func(a, b table) int { return bytes.Compare(a.largest, b.largest) })
	partBytes := int64(maxPart)
	if reserve := r.gate.reserve; reserve > 0 {
		partBytes = max(minPart, min(maxPart, reserve/partShare))
	}
	if r.gate.level() != spaceEnough {
		partBytes = max(minPart, min(partBytes, r.gate.need.Load()/partShare))
	}
	next := part{Range: owed}
	for _, t := range tables {
		if next.bytes += t.size; next.bytes >= partBytes && bytes.Compare(t.largest, owed.End) < 0 && bytes.Compare(t.largest, next.Start) > 0 {
			next.End = t.largest
			parts = append(parts, next)
			next = part{Range: reclaim.Range{Start: t.largest, End: owed.End}}
		}
	}
	return append(parts, next)
}

// tables returns the tables that may hold keys of a range, by level.
func (r *reclaimer) tables(owed reclaim.Range, o ...crdb.SSTablesOption) [][]crdb.SSTableInfo {
	levels, err := r.db.SSTables(append(o, crdb.WithKeyRangeFilter(owed.Start, keyBehind(owed.End)))...)
	if err != nil {
		r.log.Debug("backend/pebble: tables can't be listed", "error", err)
	}
	return levels
}

// force writes those tables anew that still hold what was deleted before the
// pass, though there is nothing below that would have made them sink: a table
// that Pebble moved to the lowest level as it was, or one that was made while a
// snapshot was open. It returns the ranges of those that a snapshot keeps so.
//
// Pebble v2.1.7: unnecessary when DB.Compact can be told to write the tables of the
// lowest level anew too (TestPebbleLeavesTheLowestTables).
func (r *reclaimer) force(ctx context.Context, paced bool, ranges []reclaim.Range) ([]reclaim.Range, error) {
	before, err := r.position()
	if err != nil {
		return nil, err
	}
	for _, t := range r.holding(ranges, before) {
		// A table without entries of its own, that has the other's bounds: a
		// compaction must take both, and drops it at the end. There are no range
		// keys in a store but these.
		b := r.db.NewBatch()
		err := b.RangeKeyDelete(t.Start, keyBehind(t.End), nil)
		if err == nil {
			err = r.db.Apply(b, crdb.NoSync)
		}
		_ = b.Close()
		if err == nil {
			err = r.flushNow(ctx)
		}
		if err == nil {
			err = r.compact(ctx, t.Range)
		}
		if err == nil {
			err = r.pace(ctx, paced, t.bytes)
		}
		if err != nil {
			return nil, err
		}
	}
	var left []reclaim.Range
	for _, t := range r.holding(ranges, before) {
		left = append(left, t.Range)
	}
	return left, nil
}

// holding returns where there are tables with entries that are hidden by others,
// or hide others, and with entries from before a position.
func (r *reclaimer) holding(ranges []reclaim.Range, before uint64) (found []part) {
	for _, owed := range ranges {
		for _, level := range r.tables(owed, crdb.WithProperties()) {
			for _, t := range level {
				p := t.Properties
				if p == nil || uint64(t.SmallestSeqNum) > before {
					continue
				}
				if p.SnapshotPinnedKeys > 0 || p.NumDeletions > 0 && p.NumEntries > p.NumDeletions {
					found = append(found, part{reclaim.Range{Start: bytes.Clone(t.Smallest.UserKey), End: bytes.Clone(t.Largest.UserKey)}, int64(t.Size)})
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b part) int {
		return cmp.Or(bytes.Compare(a.Start, b.Start), bytes.Compare(a.End, b.End))
	})
	return slices.CompactFunc(found, func(a, b part) bool { return bytes.Equal(a.Start, b.Start) && bytes.Equal(a.End, b.End) })
}

// position returns the sequence number of the next operation.
func (r *reclaimer) position() (uint64, error) {
	b := r.db.NewBatch()
	defer func() { _ = b.Close() }()
	if err := b.LogData(nil, nil); err != nil {
		return 0, err
	}
	if err := r.db.Apply(b, crdb.NoSync); err != nil {
		return 0, err
	}
	return uint64(b.SeqNum()), nil
}

// pace waits for as many ticks as n bytes are worth.
func (r *reclaimer) pace(ctx context.Context, paced bool, n int64) error {
	for ; paced && n >= passRate && r.gate.level() == spaceEnough; n -= passRate {
		select {
		case <-r.ticks:
		case <-r.fail.Happened():
			return r.fail.Unavailable()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// until waits until done returns true, which is asked whenever Pebble has done
// something, and at each tick.
func (r *reclaimer) until(ctx context.Context, done func() bool) error {
	for !done() {
		select {
		case <-r.changed:
		case <-r.fail.Happened():
			return r.fail.Unavailable()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// awaitRemoved returns when the files that are no longer part of the store are
// gone, except for those with readers.
func (r *reclaimer) awaitRemoved(ctx context.Context) error {
	return r.until(ctx, func() bool {
		m := r.db.Metrics()
		return m.Table.ObsoleteCount == 0 && m.BlobFiles.ObsoleteCount == 0
	})
}

// garbageShare returns how much of the values in blob files nothing refers to.
func (r *reclaimer) garbageShare() float64 {
	m := r.db.Metrics()
	if m.BlobFiles.ValueSize <= m.BlobFiles.ReferencedValueSize {
		return 0
	}
	return float64(m.BlobFiles.ValueSize-m.BlobFiles.ReferencedValueSize) / float64(m.BlobFiles.ValueSize)
}

var errInVain = errors.New("backend/pebble: blob files can't be written anew")

// rewriteBlobs returns when no more than a share of the values in blob files is
// garbage.
func (r *reclaimer) rewriteBlobs(ctx context.Context, share float64, paced bool) error {
	r.blobs.aim(share, paced)
	defer r.blobs.rest()
	var err error
	waited := r.until(ctx, func() bool {
		switch {
		case r.garbageShare() <= share:
			return true
		case r.guard.Unreadable() || r.blobs.passInVain():
			err = errInVain
			return true
		}
		r.wake()
		return false
	})
	return errors.Join(waited, err)
}

// wake has Pebble look for work. It does by itself when something was written, or
// when the earliest snapshot is closed.
//
// Pebble v2.1.7: unnecessary, as blobRewrites is, when a call writes blob files
// anew, or Pebble looks again by itself (TestPebbleSleepsOnGarbage).
func (r *reclaimer) wake() {
	if r.db.Metrics().Snapshots.Count == 0 {
		_ = r.db.NewSnapshot().Close()
		return
	}
	_, _ = r.db.AsyncFlush()
}
