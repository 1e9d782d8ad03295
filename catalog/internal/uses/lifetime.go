package uses

import (
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
)

// A Lifetime is what a record says of how long its product lives, pending uses
// aside. The zero Lifetime is over, so that nothing rests on it: it stands for one
// that is not known. That its days are 0 must not make it last forever.
type Lifetime struct {
	deadline int64
	days     int
}

// LifetimeOf returns the lifetime in the front of a record as it is stored.
func LifetimeOf(h *encoding.Header) Lifetime {
	return Lifetime{h.ExpiresAt(), h.ValidForDays}
}

// isFurtherThan reports whether the end is further away than margin, in
// milliseconds. What is kept forever does not ask for the time.
func (l Lifetime) isFurtherThan(margin int64, now func() int64) bool {
	return l.deadline == encoding.None || l.deadline-now() > margin
}

// IsFurtherThan reports whether the end is further away from now than margin, in
// milliseconds.
func (l Lifetime) IsFurtherThan(margin, now int64) bool {
	return l.isFurtherThan(margin, func() int64 { return now })
}

// withUse returns the end of the lifetime when the product was used.
func (l Lifetime) withUse(at int64) int64 {
	h := encoding.Header{Anchor: at, ValidForDays: l.days}
	return max(l.deadline, h.ExpiresAt()) // both are encoding.None, or neither is
}

// A Token is the state of a stripe before a read of a record. With the zero Token
// nothing is kept of what was read.
type Token struct {
	epoch uint64
	ok    bool
}

// BeforeRead returns what Add needs to keep the lifetime in a record. It is called
// before the record is read.
func (o *Overlay) BeforeRead(k productkey.Key) Token {
	s := o.stripe(k)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Token{s.epoch, s.marks == 0}
}

// fills reports whether a record that was read after t was taken is still what the
// store has. The stripe is locked.
func (s *overlayStripe) fills(t Token) bool { return t.ok && s.epoch == t.epoch }

// Mark forgets the lifetime of a product, and keeps it from becoming known until
// Unmark. A writer calls it, holding the product's scope, before it changes
// anything.
func (o *Overlay) Mark(k productkey.Key) {
	s := o.stripe(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks++
	s.epoch++
	if u := s.uses[k]; u != nil {
		u.life = Lifetime{}
	}
}

// Unmark ends one Mark: what the store has of the product is what it will have.
func (o *Overlay) Unmark(k productkey.Key) {
	s := o.stripe(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks--
}

// Forget forgets every lifetime, and what readers have read before: the store has
// taken back what was visible.
func (o *Overlay) Forget() {
	for i := range o.stripes {
		s := &o.stripes[i]
		s.mu.Lock()
		s.epoch++
		for _, u := range s.uses {
			u.life = Lifetime{}
		}
		s.mu.Unlock()
	}
}

// Renew notes a use, at the time at, of a product whose lifetime is known, and
// returns when it ends with that, encoding.None for never. It reports false, and
// notes nothing, where the lifetime is not known, or the deadline in the record is
// no further away than margin, in milliseconds. The caller has read the clock for
// at, and has then seen that no Update at work may renew the product.
//
// The lifetime is known, so the record is what it was when it was read, and is
// durable: this stands for a read of it under the stripe's lock. For why the clock
// is read once more see Add; here the entry is there already, and keeps the Folder
// awake.
func (o *Overlay) Renew(k productkey.Key, at, margin int64) (deadline int64, ok bool) {
	s := o.stripe(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uses[k]
	if u == nil || !u.life.isFurtherThan(margin, o.now) {
		return encoding.None, false
	}
	u.at = max(u.at, at)
	s.refresh(k, u)
	return u.life.withUse(u.at), true
}
