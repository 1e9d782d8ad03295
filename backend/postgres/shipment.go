package postgres

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/shelflife-db/shelflife/backend"
)

// A shipment is one call of the server that commits several batches, each for
// itself: they have nothing to do with each other, and one that has read what is
// not so any more leaves the others alone. A call, a transaction and its sync cost
// as much as twenty edits, and so many Updates share them when they come together.
//
// There are few shipments on their way at a time. A batch that comes meanwhile
// waits on the quay with others, for a moment: a call that is held up must not
// hold up what has nothing to do with it. For the same reason a shipment waits for
// no locks. A batch whose locks another process holds is sent again alone, and
// waits there; so are those of a shipment that surely had no effect, as the server
// may have refused it for one of them.
const (
	// maxOnWay is how many shipments are on their way before batches wait.
	maxOnWay = 2
	// longestWait is how long a batch waits for one of them to come back.
	longestWait = 500 * time.Microsecond
	// Bounds of a batch that shares a call, and of the call. A larger one is sent
	// alone, at once.
	maxSharedRows  = 32
	maxSharedBytes = 64 << 10
	maxCallBytes   = 512 << 10
)

// A quay is where batches wait whose turn has come. Store.mu guards it.
type quay struct {
	waiting []*batch
	onWay   int         // calls of sail
	late    *time.Timer // runs out for the first of those that wait
}

// board has b sent: at once, or with others after a moment.
func (s *Store) board(b *batch) {
	s.mu.Lock()
	if s.portable || b.patient || !b.shares() {
		b.state = sent
		s.mu.Unlock()
		s.sendNow(b)
		return
	}
	s.quay.waiting = append(s.quay.waiting, b)
	free := s.quay.onWay < s.maxOnWay
	if free {
		s.quay.onWay++
	} else if len(s.quay.waiting) == 1 {
		s.expectLate()
	}
	s.mu.Unlock()
	// In this goroutine, which saves what it costs to have another begin. What comes
	// meanwhile is not its business.
	if free && s.sail() {
		go s.sailOn()
	}
}

// expectLate is called when there are batches that wait for a shipment to come
// back. It needs Store.mu.
func (s *Store) expectLate() {
	if s.quay.late == nil {
		s.quay.late = time.AfterFunc(s.longestWait, s.sailLate)
	} else {
		s.quay.late.Reset(s.longestWait)
	}
}

// sailLate sends what has waited for long enough.
func (s *Store) sailLate() {
	s.mu.Lock()
	s.quay.onWay++
	s.mu.Unlock()
	s.sailOn()
}

// sailOn sends shipments until nothing waits.
func (s *Store) sailOn() {
	for s.sail() {
	}
}

// sail sends a shipment, and reports whether there may be another. If not it is not
// on its way any more.
func (s *Store) sail() (more bool) {
	// The Updates that the last shipment has brought back, and those that came with
	// the first batch of this one, run until they wait themselves: what they write is
	// to come along. It takes no time where nothing else runs.
	runtime.Gosched()
	s.mu.Lock()
	load, alone := s.quay.take()
	if len(s.quay.waiting) > 0 {
		s.expectLate()
	}
	s.mu.Unlock()
	for _, b := range alone {
		go s.sendNow(b)
	}
	switch len(load) {
	case 0:
	case 1:
		s.sendNow(load[0])
	default:
		s.sendTogether(load)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if more = len(s.quay.waiting) > 0; !more {
		s.quay.onWay--
	}
	return more
}

// take takes what is sent next: together, and alone what has grown meanwhile.
func (q *quay) take() (load, alone []*batch) {
	bytes, locks := 0, 0
	for len(q.waiting) > 0 {
		b := q.waiting[0]
		if b.shares() {
			bytes, locks = bytes+b.writes.bytes, locks+2*len(b.scopes)+1
			if len(load) > 0 && (bytes > maxCallBytes || locks > maxLocks) {
				break
			}
			load = append(load, b)
		} else {
			alone = append(alone, b)
		}
		b.state = sent
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
	}
	return load, alone
}

// shares reports whether a batch is small enough to share a call.
func (b *batch) shares() bool {
	return len(b.ranges)+len(b.writes.ranges) == 0 && len(b.reads)+len(b.writes.keys) <= maxSharedRows &&
		b.writes.bytes <= maxSharedBytes && len(b.scopes) <= maxItemLocks
}

// sendNow commits a batch alone.
func (s *Store) sendNow(b *batch) {
	retry, cancel := s.retryContext(b.patient)
	defer cancel()
	s.sendAlone(retry, b)
}

// sendAlone commits a batch. What surely had no effect is sent again until retry
// ends.
func (s *Store) sendAlone(retry context.Context, b *batch) {
	var o outcome
	if !s.outOfDate(b) {
		o.ok, o.err = s.commit(retry, b)
	}
	s.finish([]*batch{b}, []outcome{o})
}

// outOfDate reports whether the process stood still since a run of b began: whatever
// that has read, it counts no more.
func (s *Store) outOfDate(b *batch) bool {
	return !b.patient && time.Since(b.began) >= s.longestRun
}

// sendTogether commits batches in one call.
func (s *Store) sendTogether(all []*batch) {
	retry, cancel := s.retryContext(false)
	defer cancel()
	u := newUnion(s, all)
	err := s.callTogether(retry, u)
	var ended []*batch
	var outcomes []outcome
	for i, b := range all {
		switch state := u.states[i]; {
		case state == unitConflict: // found by the server, or before it was asked
			ended, outcomes = append(ended, b), append(outcomes, outcome{})
		case errors.Is(err, backend.ErrUnknownOutcome):
			ended, outcomes = append(ended, b), append(outcomes, outcome{err: err})
		case err != nil, state == unitBusy:
			s.resends.Add(1)
			go func() {
				until, _ := retry.Deadline()
				retry, cancel := context.WithDeadline(context.Background(), until)
				defer cancel()
				s.sendAlone(retry, b)
			}()
		default:
			ended, outcomes = append(ended, b), append(outcomes, outcome{ok: true})
		}
	}
	s.finish(ended, outcomes)
}

// A union is what several batches change, as the server takes it. The numbers of the
// units, from 1, are those of the batches.
type union struct {
	states []unitState

	locks     []int64
	exclusive []bool
	lockUnits []int32

	rows
	readUnits, removeUnits, putUnits []int32 // of the rows

	vers  []int64 // of the units
	bytes int
}

type unitState uint8

const (
	unitCommitted unitState = iota
	unitConflict            // has read what is not so any more
	unitBusy                // others hold its locks
)

func newUnion(s *Store, all []*batch) *union {
	u := &union{
		states: make([]unitState, len(all)), vers: make([]int64, 0, len(all)),
		locks: []int64{}, exclusive: []bool{}, lockUnits: []int32{},
		rows: noRows(), readUnits: []int32{}, removeUnits: []int32{}, putUnits: []int32{},
	}
	for i, b := range all {
		n := int32(i + 1)
		u.vers, u.bytes = append(u.vers, b.ver), u.bytes+b.writes.bytes
		if s.outOfDate(b) {
			u.states[i] = unitConflict
			continue
		}
		locks, exclusive := s.scopeLocks(b.scopes)
		u.locks, u.exclusive = append(u.locks, locks...), append(u.exclusive, exclusive...)
		u.lockUnits = upTo(len(u.locks), u.lockUnits, n)
		u.add(s, b, false)
		u.readUnits = upTo(len(u.readKeys), u.readUnits, n)
		u.removeUnits = upTo(len(u.removeKeys), u.removeUnits, n)
		u.putUnits = upTo(len(u.putKeys), u.putUnits, n)
	}
	return u
}

// upTo appends a unit's number until there are so many.
func upTo(length int, units []int32, n int32) []int32 {
	for len(units) < length {
		units = append(units, n)
	}
	return units
}

// callTogether sends a union, and sets the states of its units.
func (s *Store) callTogether(acquire context.Context, u *union) error {
	if err := s.sendable(false); err != nil {
		return err
	}
	conn, err := s.calls.Acquire(acquire)
	sent := s.sinceOpen()
	if err != nil {
		s.lostWrite(err, sent)
		return unavailable(err)
	}
	defer conn.Release()
	ctx, cancel := s.commitContext(false, u.bytes)
	defer cancel()
	takeWarning(conn.Conn())
	var failed []int32
	err = conn.QueryRow(ctx, s.sql.together, s.lockTimeout(false), u.locks, u.exclusive, u.lockUnits,
		u.readParts, u.readKeys, u.readVers, u.readUnits, u.removeParts, u.removeKeys, u.removeUnits,
		u.putParts, u.putKeys, u.putValues, u.putUnits, u.vers).Scan(&failed)
	for _, n := range failed {
		if n < 0 {
			u.states[-n-1] = unitBusy
		} else {
			u.states[n-1] = unitConflict
		}
	}
	return s.judge(conn.Conn(), sent, u.wrote(), err)
}

// wrote reports whether there is a row that a unit has put which was committed.
func (u *union) wrote() bool {
	return slices.ContainsFunc(u.putUnits, func(n int32) bool { return u.states[n-1] == unitCommitted })
}
