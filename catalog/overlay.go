package catalog

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/encoding"
)

// useOverlay holds the latest use of products whose records do not show it
// yet. Readers put it on top of the records. The useFolder writes it to the
// journal, at least twice in each use window, which makes it durable; and in
// the long run folds it into the records.
//
// A reader looks here before it reads the record. An entry stays until the
// round after the one that folded it, and as long as a scan is pinned that may
// have begun before its fold was visible, so that no reader falls between the
// overlay and the record.
type useOverlay struct {
	capacity int64
	now      func() int64
	count    atomic.Int64 // entries in all stripes
	seed     maphash.Seed
	stripes  [overlayStripes]overlayStripe

	// roundMu guards round and pins. It is taken before a stripe's lock.
	roundMu sync.Mutex
	round   uint64
	pins    map[uint64]int // scans by the round in which they began
}

const overlayStripes = 64

type overlayStripe struct {
	// mu guards the fields and what uses points to. No other lock is taken
	// under it.
	mu   sync.RWMutex
	uses map[productKey]*pendingUse
	// fresh are the keys whose use is not in the journal, each once.
	fresh []productKey
}

// pendingUse is a use at the time at of the product with the incarnation; it
// says nothing of another product that has the same ID.
type pendingUse struct {
	incarnation uint64
	at          int64
	fresh       bool // in the stripe's list
	// foldedAt is the use that the record shows, 0 if none of this entry, and
	// foldedIn the round in which that became so.
	foldedAt int64
	foldedIn uint64
}

// dueUse is a use: to be noted, or to be written to the journal or into its
// record.
type dueUse struct {
	productKey
	incarnation uint64
	at          int64
}

func newUseOverlay(capacity int, now func() int64) *useOverlay {
	o := &useOverlay{
		capacity: int64(capacity),
		now:      now,
		seed:     maphash.MakeSeed(),
		pins:     make(map[uint64]int),
	}
	for i := range o.stripes {
		o.stripes[i].uses = make(map[productKey]*pendingUse)
	}
	return o
}

// get returns the pending use of a product; to be called before its record is
// read.
func (o *useOverlay) get(k productKey) pendingUse {
	if o.count.Load() == 0 {
		return pendingUse{}
	}
	s := o.stripe(k)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if u := s.uses[k]; u != nil {
		return *u
	}
	return pendingUse{}
}

// fold returns r with its pending use, r itself if there is none. r was read
// in an Update that holds its scope, or by a scan that is pinned.
func (o *useOverlay) fold(r *encoding.Record) *encoding.Record {
	return o.get(productKey{r.Account, r.ID}).on(r)
}

// see puts the use on top of r, unless it is not of this product or older than
// what r shows.
func (u pendingUse) see(r *encoding.Record) {
	if u.isNews(r) {
		touch(r, u.at)
	}
}

// isNews tells whether the use is of this product and newer than what r shows.
func (u pendingUse) isNews(r *encoding.Record) bool {
	return u.incarnation == r.Incarnation && u.at > r.LastUsedAt
}

// on returns r with the use put on top, r itself if the use is not of this
// product or older than what it shows.
func (u pendingUse) on(r *encoding.Record) *encoding.Record {
	if !u.isNews(r) {
		return r
	}
	used := *r
	touch(&used, u.at)
	return &used
}

// add records a use of a product that expires at deadline without it. It
// reports false where the use must go into the record itself: the overlay is
// full, holds a use of another product that had the ID, or the deadline has
// passed.
//
// The time is taken under the stripe's lock and after the count says that there
// is an entry. Readers take it before they look here. So one that found nothing
// here took an earlier time, or the use is late: a product that a reader saw
// expire stays expired.
func (o *useOverlay) add(d dueUse, deadline int64) bool {
	inTime := func() bool { return deadline == encoding.None || o.now() < deadline }
	s := o.stripe(d.productKey)
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uses[d.productKey]
	if u != nil {
		if u.incarnation != d.incarnation || !inTime() {
			return false
		}
	} else {
		if o.count.Add(1) > o.capacity || !inTime() {
			o.count.Add(-1)
			return false
		}
		u = &pendingUse{incarnation: d.incarnation}
		d.productKey = d.clone()
		s.uses[d.productKey] = u
	}
	u.at = max(u.at, d.at)
	s.refresh(d.productKey, u)
	return true
}

// restore puts back a use that the journal of an earlier opening holds, however
// full the overlay is.
func (o *useOverlay) restore(d dueUse) {
	s := o.stripe(d.productKey)
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uses[d.productKey]
	if u == nil {
		o.count.Add(1)
		u = new(pendingUse)
		s.uses[d.productKey] = u
	}
	// Of two products that had the ID the later one was used later.
	if d.at >= u.at {
		u.incarnation, u.at = d.incarnation, d.at
	}
}

// refresh puts k among the keys whose use is not in the journal. The stripe is
// locked.
func (s *overlayStripe) refresh(k productKey, u *pendingUse) {
	if !u.fresh {
		u.fresh = true
		s.fresh = append(s.fresh, k)
	}
}

// takeFresh returns the uses that are not in the journal, and from now on takes
// them to be there.
func (o *useOverlay) takeFresh() []dueUse {
	var fresh []dueUse
	for i := range o.stripes {
		s := &o.stripes[i]
		s.mu.Lock()
		for _, k := range s.fresh {
			u := s.uses[k]
			u.fresh = false
			if u.at != u.foldedAt {
				fresh = append(fresh, dueUse{k, u.incarnation, u.at})
			}
		}
		clear(s.fresh)
		s.fresh = s.fresh[:0]
		s.mu.Unlock()
	}
	return fresh
}

// putBack undoes takeFresh: the uses did not get into the journal. Nothing was
// pruned since.
func (o *useOverlay) putBack(uses []dueUse) {
	for _, d := range uses {
		s := o.stripe(d.productKey)
		s.mu.Lock()
		s.refresh(d.productKey, s.uses[d.productKey])
		s.mu.Unlock()
	}
}

// begin starts a round and returns what it has to fold.
func (o *useOverlay) begin() []dueUse {
	o.nextRound()
	var due []dueUse
	for i := range o.stripes {
		s := &o.stripes[i]
		s.mu.RLock()
		for k, u := range s.uses {
			if u.at != u.foldedAt {
				due = append(due, dueUse{k, u.incarnation, u.at})
			}
		}
		s.mu.RUnlock()
	}
	return due
}

func (o *useOverlay) nextRound() {
	o.roundMu.Lock()
	defer o.roundMu.Unlock()
	o.round++
}

// folded notes that the records show these uses, durably.
func (o *useOverlay) folded(uses []dueUse) {
	o.roundMu.Lock()
	defer o.roundMu.Unlock()
	for _, d := range uses {
		s := o.stripe(d.productKey)
		s.mu.Lock()
		if u := s.uses[d.productKey]; u != nil && u.incarnation == d.incarnation {
			u.foldedAt, u.foldedIn = d.at, o.round
		}
		s.mu.Unlock()
	}
}

// prune removes what no reader needs any more.
func (o *useOverlay) prune() {
	o.roundMu.Lock()
	defer o.roundMu.Unlock()
	oldest := o.round
	for round := range o.pins {
		oldest = min(oldest, round)
	}
	for i := range o.stripes {
		s := &o.stripes[i]
		s.mu.Lock()
		for k, u := range s.uses {
			if u.at == u.foldedAt && u.foldedIn < oldest && !u.fresh {
				delete(s.uses, k)
				o.count.Add(-1)
			}
		}
		s.mu.Unlock()
	}
}

// pin keeps the entries that a scan beginning now may need, until the returned
// function is called.
func (o *useOverlay) pin() (unpin func()) {
	o.roundMu.Lock()
	round := o.round
	o.pins[round]++
	o.roundMu.Unlock()
	return sync.OnceFunc(func() {
		o.roundMu.Lock()
		defer o.roundMu.Unlock()
		if o.pins[round]--; o.pins[round] == 0 {
			delete(o.pins, round)
		}
	})
}

func (o *useOverlay) stripe(k productKey) *overlayStripe {
	return &o.stripes[maphash.Comparable(o.seed, k)%overlayStripes]
}
