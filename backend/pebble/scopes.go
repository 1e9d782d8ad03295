package pebble

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/backend"
)

const (
	groupStripes = 512
	itemStripes  = 4096

	// applying stands in a stripe for the position of a commit that is being
	// applied.
	applying = ^uint64(0)
)

// A groupStripe stands for the groups that hash to it. An Update of a whole
// group locks it exclusively, one of an item shares it.
type groupStripe struct {
	lock rwlock
	// whole is the log position of the last commit under a whole-group scope,
	// or applying.
	whole atomic.Uint64
	// items is the highest position of the commits under item scopes, and
	// itemsApplying how many of them are being applied.
	items         atomic.Uint64
	itemsApplying atomic.Int64
}

// An itemStripe stands for the items that hash to it. It is locked exclusively,
// after its group's stripe.
type itemStripe struct {
	lock rwlock
	last atomic.Uint64
	_    [16]byte // a cache line of its own
}

// stripes is the table of all stripes. Its locks are taken groups first, each
// kind by rising index.
type stripes struct {
	seed   maphash.Seed
	groups [groupStripes]groupStripe
	items  [itemStripes]itemStripe
}

// A hold is one lock of an Update.
type hold struct {
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

// holds are the locks of one Update, in the order in which they are taken.
type holds []hold

func newStripes() *stripes { return &stripes{seed: maphash.MakeSeed()} }

func (s *stripes) index(c backend.Scope) (group, item uint16) {
	g := maphash.String(s.seed, c.Group)
	if c.Item != "" {
		i := maphash.String(s.seed, c.Item)
		item = uint16((g*0x9e3779b97f4a7c15 + i) >> 32 % itemStripes)
	}
	return uint16(g % groupStripes), item
}

// acquire locks the scopes, and returns what it holds, appended to h, which is
// empty. It gives up when ctx ends or hung, which may be nil, is closed. After
// an error nothing is held.
func (s *stripes) acquire(ctx context.Context, hung <-chan struct{}, h holds, scopes []backend.Scope) (holds, error) {
	for _, c := range scopes {
		g, i := s.index(c)
		if c.Item == "" {
			h = append(h, hold{holdWhole, g, 0})
		} else {
			h = append(h, hold{holdShared, g, 0}, hold{holdItem, g, i})
		}
	}
	if len(scopes) > 1 {
		h = h.order()
	}
	for n, o := range h {
		var err error
		switch o.kind {
		case holdWhole:
			err = s.groups[o.group].lock.lock(ctx, hung, true)
		case holdShared:
			err = s.groups[o.group].lock.lock(ctx, hung, false)
		case holdItem:
			err = s.items[o.item].lock.lock(ctx, hung, true)
		}
		if err != nil {
			s.release(h[:n])
			return nil, err
		}
	}
	return h, nil
}

func (s *stripes) release(h holds) {
	for n := len(h) - 1; n >= 0; n-- {
		switch o := h[n]; o.kind {
		case holdWhole:
			s.groups[o.group].lock.unlock(true)
		case holdShared:
			s.groups[o.group].lock.unlock(false)
		case holdItem:
			s.items[o.item].lock.unlock(true)
		}
	}
}

// order sorts the holds, in place, and drops those that another one includes.
func (h holds) order() holds {
	slices.SortFunc(h, func(a, b hold) int {
		switch aItem, bItem := a.kind == holdItem, b.kind == holdItem; {
		case aItem && bItem:
			return cmp.Compare(a.item, b.item)
		case aItem:
			return 1
		case bItem:
			return -1
		}
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.kind, b.kind))
	})
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

// whole tells whether a scope is that of a whole group.
func (h holds) whole() bool {
	for _, o := range h {
		if o.kind == holdWhole {
			return true
		}
	}
	return false
}

// begin marks the stripes of h as being written to, for those who look without
// a lock.
func (s *stripes) begin(h holds) {
	for _, o := range h {
		switch o.kind {
		case holdWhole:
			s.groups[o.group].whole.Store(applying)
		case holdShared:
			s.groups[o.group].itemsApplying.Add(1)
		case holdItem:
			s.items[o.item].last.Store(applying)
		}
	}
}

// applied ends begin with the position of the commit.
func (s *stripes) applied(h holds, pos uint64) {
	for _, o := range h {
		switch o.kind {
		case holdWhole:
			s.groups[o.group].whole.Store(pos)
		case holdShared:
			storeMax(&s.groups[o.group].items, pos)
			s.groups[o.group].itemsApplying.Add(-1)
		case holdItem:
			s.items[o.item].last.Store(pos)
		}
	}
}

// last returns the position of the last commit that h's holder can have read.
func (s *stripes) last(h holds) uint64 {
	var pos uint64
	for _, o := range h {
		g := &s.groups[o.group]
		switch o.kind {
		case holdWhole:
			pos = max(pos, g.whole.Load(), g.items.Load())
		case holdShared:
			pos = max(pos, g.whole.Load())
		case holdItem:
			pos = max(pos, s.items[o.item].last.Load())
		}
	}
	return pos
}

// visible returns the position of the last visible commit under c, or applying
// where one is being applied: it may be visible already. It takes no lock.
func (s *stripes) visible(c backend.Scope) uint64 {
	g, i := s.index(c)
	group := &s.groups[g]
	if c.Item != "" {
		return max(group.whole.Load(), s.items[i].last.Load())
	}
	// Looked at first: a commit that is counted no more has left its position.
	if group.itemsApplying.Load() > 0 {
		return applying
	}
	return max(group.whole.Load(), group.items.Load())
}

// storeMax raises a to v.
func storeMax(a *atomic.Uint64, v uint64) {
	for o := a.Load(); o < v; o = a.Load() {
		if a.CompareAndSwap(o, v) {
			return
		}
	}
}
