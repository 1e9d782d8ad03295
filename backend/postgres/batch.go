package postgres

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/shelflife-db/shelflife/backend"
)

// Bounds of a batch. Its time is bounded by that of the commits before it.
const (
	maxMembers    = 256
	maxBatchBytes = 4 << 20
	// longestRun is that of a Store.
	longestRun = 30 * time.Second
)

type batchState uint8

const (
	gathering batchState = iota // Updates may join
	sent                        // the commit is on its way
	finished
)

// A batch is a commit of one or more Updates, in the order of their tickets.
// They join it after their callbacks have ended; it is sent when those before it
// have finished. So an Update that meets no other is sent at once, and those of one
// hot key gather while a commit is under way. Batches that have nothing to do with
// each other may be sent in one shipment.
//
// All or none of a batch commits. If something that one of its Updates read is
// not so any more, all run again.
//
// All fields are guarded by Store.mu while it gathers; afterwards those of the
// commit belong to run, and what the Updates need of the result is set before
// done is closed.
type batch struct {
	s       *Store
	seq     uint64 // batches wait for those with lower numbers only
	ver     int64  // of what it writes
	patient bool
	state   batchState
	deps    []*batch // that must finish before
	tickets []*ticket

	began   time.Time // the first run of its Updates
	members int
	scopes  map[backend.Scope]struct{}
	reads   map[string]int64 // versions before the batch
	ranges  []*readRange
	writes  overlay
	visible chan struct{} // closed when the last of the members' functions have run

	done     chan struct{}
	conflict bool
	err      error
}

// newVersion draws a version.
func newVersion() int64 { return rand.Int64N(1<<63-2) + 1 }

// member is an Update in a batch.
type member struct {
	b            *batch
	before, mine chan struct{} // closed when the functions of the one before, and its own, have run
}

// join puts a run into a batch and releases its ticket. Without writes it is
// only validated. Where it is the first of the batch this is the one to have it sent.
func (s *Store) join(t *ticket, x *txn, writes bool, o backend.UpdateOptions) member {
	m, first, follows := s.enlist(t, x, writes, o)
	switch {
	case first && follows:
		go m.b.run()
	case first:
		m.b.run()
	}
	return m
}

// enlist is join but for the sending. It reports whether the batch is a new one, and
// has to follow others.
func (s *Store) enlist(t *ticket, x *txn, writes bool, o backend.UpdateOptions) (m member, first, follows bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	deps := slices.DeleteFunc(slices.Clone(t.after), func(b *batch) bool { return b.state == finished })
	// The youngest of those that must come before is the only one that may be
	// joined: in an older one the run would come before what it has seen.
	var home *batch
	for _, d := range deps {
		if home == nil || d.seq > home.seq {
			home = d
		}
	}
	if home != nil && !home.takes(x, o) {
		home = nil
	}
	if home == nil {
		s.batches++
		home = &batch{
			s: s, seq: s.batches, ver: newVersion(), patient: o.Patient,
			scopes: make(map[backend.Scope]struct{}, len(t.scopes)), reads: make(map[string]int64, len(x.reads)), done: make(chan struct{}),
		}
		first = true
	}
	for _, d := range deps {
		if d != home && !slices.Contains(home.deps, d) {
			home.deps = append(home.deps, d)
		}
	}
	if home.members == 0 || x.began.Before(home.began) {
		home.began = x.began
	}
	home.members++
	for _, scope := range t.scopes {
		home.scopes[scope] = struct{}{}
	}
	// What the run read of this batch needs no validation: it commits with it.
	for k, r := range x.reads {
		if r.from != home {
			home.reads[k] = r.ver
		}
	}
	home.ranges = append(home.ranges, x.ranges...)
	m.b = home
	// The functions of OnVisible run in the order of the commits: each member's
	// wait for those of the one before, though all of a batch learn of its end at
	// once.
	if writes {
		if home.writes.empty() {
			home.writes = x.own // which the run needs no more
		} else {
			home.writes.add(&x.own)
		}
		if len(x.visible) > 0 {
			m.before, m.mine = home.visible, make(chan struct{})
			home.visible = m.mine
		}
	}
	// Last: the Updates that this one lets run see its writes in the batch.
	s.release(t, home)
	return m, first, len(home.deps) > 0
}

// takes reports whether a run may join. It needs Store.mu.
func (b *batch) takes(x *txn, o backend.UpdateOptions) bool {
	if b.state != gathering || b.patient != o.Patient || b.members >= maxMembers || b.writes.bytes+x.own.bytes > maxBatchBytes {
		return false
	}
	for k, r := range x.reads {
		if r.from == b {
			continue
		}
		if ver, ok := b.reads[k]; ok && ver != r.ver {
			return false // one of the two is out of date: not the other's business
		}
	}
	// A range is compared with the table as it is before the batch.
	for _, r := range x.ranges {
		if b.writes.touches(r.r) {
			return false
		}
	}
	return true
}

// run has the batch sent when its turn has come. Its Updates wait for it, so it ends
// before they do.
func (b *batch) run() {
	if err := b.turn(); err != nil {
		b.s.finish([]*batch{b}, []outcome{{err: err}})
		return
	}
	b.s.board(b)
}

// outcome is that of a batch: without an error and not ok it has read what is not so
// any more.
type outcome struct {
	ok  bool
	err error
}

// finish ends batches that were sent, or never will be.
func (s *Store) finish(all []*batch, outcomes []outcome) {
	for i, b := range all {
		ok := outcomes[i].ok
		b.conflict, b.err = outcomes[i].err == nil && !ok, outcomes[i].err
		// The cache comes before the state. Until a batch is finished, Updates read its
		// writes from it; afterwards they come from the cache, which must not have what
		// the commit replaced, nor what it could not validate.
		for k := range b.reads {
			if !ok {
				s.cache.drop(k)
			}
		}
		for k, w := range b.writes.keys {
			// Of much at once only what was looked at before is worth its place: nobody else
			// has looked at it so far.
			_, read := b.reads[k]
			if ok && !w.deleted && (read || len(b.writes.keys) <= maxSharedRows) {
				s.cache.put(k, row{w.value, b.ver})
			} else {
				s.cache.drop(k)
			}
		}
	}
	s.mu.Lock()
	for _, b := range all {
		b.state = finished
		for _, t := range b.tickets {
			t.after = slices.DeleteFunc(t.after, func(o *batch) bool { return o.state == finished })
			s.forget(t)
		}
		b.tickets = nil
	}
	s.mu.Unlock()
	for _, b := range all {
		close(b.done)
	}
}

// turn waits for the batches before. Until the batch is sent it gathers on.
func (b *batch) turn() error {
	var late <-chan time.Time
	for {
		b.s.mu.Lock()
		b.deps = slices.DeleteFunc(b.deps, func(d *batch) bool { return d.state == finished })
		if len(b.deps) == 0 {
			b.s.mu.Unlock()
			return nil
		}
		before := b.deps[0]
		b.s.mu.Unlock()
		if late == nil && !b.patient {
			t := time.NewTimer(b.s.o.CommitTimeout)
			defer t.Stop()
			late = t.C
		}
		select {
		case <-before.done:
		case <-late:
			b.s.mu.Lock()
			b.state = sent // no Update joins what has failed
			b.s.mu.Unlock()
			return fmt.Errorf("%w: postgres: a commit under the same scopes does not end", backend.ErrUnavailable)
		}
	}
}

// await returns the result of a member: whether it must run again, or why the
// batch failed. After a commit it runs fns in the member's turn.
func (m member) await(fns []func()) (again bool, err error) {
	<-m.b.done
	if m.mine != nil {
		// Closed whatever becomes of fns, or of this goroutine.
		defer close(m.mine)
	}
	if m.b.err != nil || m.b.conflict {
		return m.b.conflict, m.b.err
	}
	if m.before != nil {
		<-m.before
	}
	for _, fn := range fns {
		fn()
	}
	return false, nil
}

// reachable returns the unfinished batches that a run after those in after may
// see the writes of, the latest first. It needs Store.mu.
func reachable(after []*batch) []*batch {
	var all []*batch
	todo := slices.Clone(after)
	for len(todo) > 0 {
		b := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if b.state != finished && !slices.Contains(all, b) {
			all = append(all, b)
			todo = append(todo, b.deps...)
		}
	}
	slices.SortFunc(all, func(x, y *batch) int { return cmp.Compare(y.seq, x.seq) })
	return all
}

// sortedKeys returns the keys of overlays in r, ascending, each once.
func sortedKeys(r backend.Range, overlays ...*overlay) [][]byte {
	var keys [][]byte
	for _, o := range overlays {
		for k := range o.keys {
			if inRange(k, r) {
				keys = append(keys, []byte(k))
			}
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	return slices.CompactFunc(keys, bytes.Equal)
}
