package uses

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
)

// Overlay holds the latest use of products whose records do not show it yet.
// Readers put it on top of the records; a Folder makes it durable. It is safe
// for concurrent use.
type Overlay struct {
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
	uses map[productkey.Key]*Pending
	// fresh are the keys whose use is not in the journal, each once.
	fresh []productkey.Key
	// marks counts the Updates at work that write products of the stripe, and epoch
	// those that have begun to: see Overlay.Mark.
	marks int
	epoch uint64
}

// Pending is a use of the product with an incarnation; it says nothing of
// another product that has the same ID. The zero Pending is no use.
type Pending struct {
	incarnation uint64
	at          int64
	fresh       bool // in the stripe's list
	// foldedAt is the use that the record shows, 0 if none of this entry, and
	// foldedIn the round in which that became so.
	foldedAt int64
	foldedIn uint64
	// life is that of the record, where it is known: see the file lifetime.go.
	life Lifetime
}

// NewOverlay returns an overlay that takes uses of so many products. now is the
// clock of the readers.
func NewOverlay(capacity int, now func() int64) *Overlay {
	o := &Overlay{
		capacity: int64(capacity),
		now:      now,
		seed:     maphash.MakeSeed(),
		pins:     make(map[uint64]int),
	}
	for i := range o.stripes {
		o.stripes[i].uses = make(map[productkey.Key]*Pending)
	}
	return o
}

// Len counts the products with an entry.
func (o *Overlay) Len() int { return int(o.count.Load()) }

// filling and nearlyFull report that there is less room than Folder wants.
func (o *Overlay) filling() bool    { return o.count.Load() > o.capacity/4*3 }
func (o *Overlay) nearlyFull() bool { return o.count.Load() > o.capacity/8*7 }

// Get returns the pending use of a product. A reader calls it after it has read
// the clock and before it reads the record: see the package.
func (o *Overlay) Get(k productkey.Key) Pending {
	pending, _ := o.find(k)
	return pending
}

// Has reports whether there is a pending use of a product, for the readers that Get
// is for.
func (o *Overlay) Has(k productkey.Key) bool {
	_, found := o.find(k)
	return found
}

// Of returns the IDs of an account's products with a pending use, for the readers that
// Get is for. It looks at the uses of all accounts.
func (o *Overlay) Of(account string) map[string]struct{} {
	if o.count.Load() == 0 {
		return nil
	}
	ids := make(map[string]struct{})
	for i := range o.stripes {
		s := &o.stripes[i]
		s.mu.RLock()
		for k := range s.uses {
			if k.Account == account {
				ids[k.ID] = struct{}{}
			}
		}
		s.mu.RUnlock()
	}
	return ids
}

func (o *Overlay) find(k productkey.Key) (pending Pending, found bool) {
	if o.count.Load() == 0 {
		return Pending{}, false
	}
	s := o.stripe(k)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if u := s.uses[k]; u != nil {
		return *u, true
	}
	return Pending{}, false
}

// On returns r with its pending use on top, r itself if there is none. r was
// read in an Update that holds its scope, or by a scan that is pinned.
func (o *Overlay) On(r *encoding.Record) *encoding.Record {
	u := o.Get(productkey.Of(r.Account, r.ID))
	if !u.isNews(r) {
		return r
	}
	used := *r
	Touch(&used, u.at)
	return &used
}

// See puts the use on top of r, unless it is not of this product or older than
// what r shows.
func (u Pending) See(r *encoding.Record) {
	if u.isNews(r) {
		Touch(r, u.at)
	}
}

// SeeHeader is See of the front of a record.
func (u Pending) SeeHeader(h *encoding.Header) {
	if u.incarnation == h.Incarnation && u.at > h.LastUsedAt {
		TouchHeader(h, u.at)
	}
}

// isNews reports whether the use is of this product and newer than what r shows.
func (u Pending) isNews(r *encoding.Record) bool {
	return u.incarnation == r.Incarnation && u.at > r.LastUsedAt
}

// Touch is what a use at the time at means for a product: the clock of its
// lifetime starts again. Times never go back.
func Touch(r *encoding.Record, at int64) {
	r.LastUsedAt = max(at, r.LastUsedAt)
	r.Anchor = max(at, r.Anchor)
}

// TouchHeader is Touch of the front of a record.
func TouchHeader(h *encoding.Header, at int64) {
	h.LastUsedAt = max(at, h.LastUsedAt)
	h.Anchor = max(at, h.Anchor)
}

// Add notes a use of a product whose record, read after t was taken and durable
// since, has the lifetime life. It reports false where the use must go into the
// record itself: the overlay is full, holds a use of another product that had the
// ID, or the deadline has passed.
//
// The time is taken under the stripe's lock and after the count says that there
// is an entry. Readers take it before they look here. So one that found nothing
// here took an earlier time, or the use is late: a product that a reader saw
// expire stays expired. Were the time taken before the entry can be found, a
// reader between the two could see the product expire, and the next one see it
// live.
func (o *Overlay) Add(use encoding.Use, life Lifetime, t Token) bool {
	inTime := func() bool { return life.isFurtherThan(0, o.now) }
	k := productkey.Of(use.Account, use.ID)
	s := o.stripe(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uses[k]
	if u != nil {
		if u.incarnation != use.Incarnation || !inTime() {
			return false
		}
	} else {
		if o.count.Add(1) > o.capacity || !inTime() {
			o.count.Add(-1)
			return false
		}
		u = &Pending{incarnation: use.Incarnation}
		k = k.Clone()
		s.uses[k] = u
	}
	u.at = max(u.at, use.At)
	if s.fills(t) {
		u.life = life
	}
	s.refresh(k, u)
	return true
}

// restore puts back a use that the journal of an earlier opening holds, however
// full the overlay is.
func (o *Overlay) restore(use encoding.Use) {
	k := productkey.Of(use.Account, use.ID)
	s := o.stripe(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uses[k]
	if u == nil {
		o.count.Add(1)
		u = new(Pending)
		s.uses[k] = u
	}
	// Of two products that had the ID the later one was used later.
	if use.At >= u.at {
		u.incarnation, u.at, u.life = use.Incarnation, use.At, Lifetime{}
	}
}

// refresh puts k among the keys whose use is not in the journal. The stripe is
// locked.
func (s *overlayStripe) refresh(k productkey.Key, u *Pending) {
	if !u.fresh {
		u.fresh = true
		s.fresh = append(s.fresh, k)
	}
}

// takeFresh returns the uses that are not in the journal, and from now on takes
// them to be there.
func (o *Overlay) takeFresh() []encoding.Use {
	var fresh []encoding.Use
	for i := range o.stripes {
		s := &o.stripes[i]
		s.mu.Lock()
		for _, k := range s.fresh {
			u := s.uses[k]
			u.fresh = false
			if u.at != u.foldedAt {
				fresh = append(fresh, u.of(k))
			}
		}
		clear(s.fresh)
		s.fresh = s.fresh[:0]
		s.mu.Unlock()
	}
	return fresh
}

// of returns the use, which is of k.
func (u *Pending) of(k productkey.Key) encoding.Use {
	return encoding.Use{Account: k.Account, ID: k.ID, Incarnation: u.incarnation, At: u.at}
}

// putBack undoes takeFresh: the uses did not get into the journal. Nothing was
// pruned since.
func (o *Overlay) putBack(uses []encoding.Use) {
	for i := range uses {
		k := productkey.Of(uses[i].Account, uses[i].ID)
		s := o.stripe(k)
		s.mu.Lock()
		s.refresh(k, s.uses[k])
		s.mu.Unlock()
	}
}

// begin starts a round and returns what it has to fold.
func (o *Overlay) begin() []encoding.Use {
	o.nextRound()
	return o.Unfolded()
}

// Unfolded returns the uses that the records don't show yet, or not durably. Those
// that were acknowledged before the call are among them.
func (o *Overlay) Unfolded() []encoding.Use {
	var due []encoding.Use
	for i := range o.stripes {
		s := &o.stripes[i]
		s.mu.RLock()
		for k, u := range s.uses {
			if u.at != u.foldedAt {
				due = append(due, u.of(k))
			}
		}
		s.mu.RUnlock()
	}
	return due
}

func (o *Overlay) nextRound() {
	o.roundMu.Lock()
	defer o.roundMu.Unlock()
	o.round++
}

// folded notes that the records show these uses, durably.
func (o *Overlay) folded(uses []encoding.Use) {
	o.roundMu.Lock()
	defer o.roundMu.Unlock()
	for i := range uses {
		k := productkey.Of(uses[i].Account, uses[i].ID)
		s := o.stripe(k)
		s.mu.Lock()
		if u := s.uses[k]; u != nil && u.incarnation == uses[i].Incarnation {
			u.foldedAt, u.foldedIn = uses[i].At, o.round
		}
		s.mu.Unlock()
	}
}

// prune removes what no reader needs any more: what was folded in a round before
// the one in which the oldest pinned scan began. A scan reads records as they
// were when it began, and looks here afterwards, product by product: were the
// entry gone by then, it would show neither the use nor, past the old deadline,
// the product.
func (o *Overlay) prune() {
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

// Pin keeps the entries that a scan beginning now may need, until the returned
// function is called.
func (o *Overlay) Pin() (unpin func()) {
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

func (o *Overlay) stripe(k productkey.Key) *overlayStripe {
	return &o.stripes[maphash.Comparable(o.seed, k)%overlayStripes]
}
