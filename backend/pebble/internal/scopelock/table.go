package scopelock

import (
	"hash/maphash"
	"slices"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/backend"
)

const (
	groupStripes = 512
	itemStripes  = 4096
)

// A groupStripe stands for the groups that hash to it. An Update of a whole
// group locks it exclusively, one of an item shares it.
type groupStripe struct {
	lock rwlock
	// whole is the log position of the last commit under a whole-group scope,
	// or Applying.
	whole Position
	// items is the highest position of the commits under item scopes, and
	// itemsApplying how many of them are being applied.
	items         Position
	itemsApplying atomic.Int64
}

// An itemStripe stands for the items that hash to it. It is locked exclusively,
// after its group's stripe.
type itemStripe struct {
	lock rwlock
	last Position
	_    [16]byte // a cache line of its own
}

// A Table has all stripes. Its locks are taken groups first, each kind by rising
// index.
type Table struct {
	seed   maphash.Seed
	groups stripes[groupStripe]
	items  stripes[itemStripe]
}

// A Hold is one lock of an Update.
type Hold struct {
	kind  holdKind
	group uint16
	item  uint16
}

type holdKind uint8

const (
	holdWhole holdKind = iota
	holdShared
	holdItem
)

// Holds are the locks of one Update, in the order in which they are taken.
type Holds []Hold

// New returns a table of free locks.
func New() *Table {
	return &Table{
		seed:   maphash.MakeSeed(),
		groups: newStripes[groupStripe](groupStripes),
		items:  newStripes[itemStripe](itemStripes),
	}
}

func (s *Table) index(c backend.Scope) (group, item uint16) {
	hash := s.hash(c.Group)
	if c.Item != "" {
		item = s.itemIndex(hash, c.Item)
	}
	return groupIndex(hash), item
}

func (s *Table) hash(text string) uint64 { return maphash.String(s.seed, text) }

func groupIndex(hash uint64) uint16 { return uint16(hash % groupStripes) }

// itemIndex returns the stripe of an item of the group with a hash.
func (s *Table) itemIndex(group uint64, item string) uint16 {
	return uint16((group*0x9e3779b97f4a7c15 + s.hash(item)) >> 32 % itemStripes)
}

// Acquire locks the scopes, and returns what it holds, appended to h, which is
// empty. wait says how long it waits for each lock that is not free. After an
// error, which is wait's, nothing is held.
func (s *Table) Acquire(wait Waiter, h Holds, scopes []backend.Scope) (Holds, error) {
	h = s.holds(h, scopes)
	if len(scopes) > 1 {
		h = h.order()
	}
	for n, o := range h {
		var err error
		switch o.kind {
		case holdWhole:
			err = s.groups.at(o.group).lock.lock(wait, true)
		case holdShared:
			err = s.groups.at(o.group).lock.lock(wait, false)
		case holdItem:
			err = s.items.at(o.item).lock.lock(wait, true)
		}
		if err != nil {
			s.Release(h[:n])
			return nil, err
		}
	}
	return h, nil
}

// holds appends the holds of the scopes to h. Those of one group often stand side by
// side, and the first of them has one of it for all.
func (s *Table) holds(h Holds, scopes []backend.Scope) Holds {
	var hash uint64
	var g uint16
	for n, c := range scopes {
		again := n > 0 && c.Group == scopes[n-1].Group
		if !again {
			hash = s.hash(c.Group)
			g = groupIndex(hash)
		}
		if c.Item == "" {
			h = append(h, Hold{holdWhole, g, 0})
			continue
		}
		if !again {
			h = append(h, Hold{holdShared, g, 0})
		}
		h = append(h, Hold{holdItem, g, s.itemIndex(hash, c.Item)})
	}
	return h
}

// Release frees the locks.
func (s *Table) Release(h Holds) {
	for n := len(h) - 1; n >= 0; n-- {
		switch o := h[n]; o.kind {
		case holdWhole:
			s.groups.at(o.group).lock.unlock(true)
		case holdShared:
			s.groups.at(o.group).lock.unlock(false)
		case holdItem:
			s.items.at(o.item).lock.unlock(true)
		}
	}
}

// rank is the place of a hold in the order in which locks are taken.
func (o Hold) rank() int32 {
	if o.kind == holdItem {
		return 1<<30 | int32(o.item)
	}
	return int32(o.group)<<2 | int32(o.kind)
}

// order sorts the holds, in place, and drops those that another one includes.
func (h Holds) order() Holds {
	slices.SortFunc(h, func(a, b Hold) int { return int(a.rank()) - int(b.rank()) })
	keep := h[:0]
	for n, o := range h {
		if n > 0 {
			switch p := keep[len(keep)-1]; {
			case o.kind == holdItem && p.kind == holdItem && o.item == p.item,
				o.kind != holdItem && o.group == p.group:
				continue
			}
		}
		keep = append(keep, o)
	}
	return keep
}

// Whole reports whether a scope is that of a whole group.
func (h Holds) Whole() bool {
	for _, o := range h {
		if o.kind == holdWhole {
			return true
		}
	}
	return false
}

// Begin marks the stripes of h as being written to, for calls of Visible, which
// take no lock. It comes before the commit is applied: from then on it may be
// visible.
func (s *Table) Begin(h Holds) {
	for _, o := range h {
		switch o.kind {
		case holdWhole:
			s.groups.at(o.group).whole.set(Applying)
		case holdShared:
			s.groups.at(o.group).itemsApplying.Add(1)
		case holdItem:
			s.items.at(o.item).last.set(Applying)
		}
	}
}

// Applied ends Begin with the position of the commit. It comes before the locks
// are released: the next holder asks Last. It does not come where the outcome of
// the commit is not known: the stripes then stay marked, and Visible goes on to
// say that something may be there which is not durable.
func (s *Table) Applied(h Holds, pos uint64) {
	for _, o := range h {
		switch o.kind {
		case holdWhole:
			s.groups.at(o.group).whole.set(pos)
		case holdShared:
			s.groups.at(o.group).items.Raise(pos)
			s.groups.at(o.group).itemsApplying.Add(-1)
		case holdItem:
			s.items.at(o.item).last.set(pos)
		}
	}
}

// Last returns the position of the last commit that h's holder can have read.
func (s *Table) Last(h Holds) uint64 {
	var pos uint64
	for _, o := range h {
		g := s.groups.at(o.group)
		switch o.kind {
		case holdWhole:
			pos = max(pos, g.whole.Load(), g.items.Load())
		case holdShared:
			pos = max(pos, g.whole.Load())
		case holdItem:
			pos = max(pos, s.items.at(o.item).last.Load())
		}
	}
	return pos
}

// Visible returns the position of the last visible commit under c, or Applying
// where one is being applied: it may be visible already. It takes no lock.
func (s *Table) Visible(c backend.Scope) uint64 {
	g, i := s.index(c)
	group := s.groups.at(g)
	if c.Item != "" {
		return max(group.whole.Load(), s.items.at(i).last.Load())
	}
	// It is looked at first: a commit that is counted no more has left its position.
	if group.itemsApplying.Load() > 0 {
		return Applying
	}
	return max(group.whole.Load(), group.items.Load())
}
