package postgres

import (
	"slices"
	"strings"

	"github.com/shelflife-db/shelflife/backend"
)

// A ticket is an Update's place among those of this process whose scopes
// overlap. Its run begins when the tickets before it were released, which is
// when their callbacks have ended, not when they have committed: what they wrote
// is in the batches that after names, and their commits come first.
//
// Every edge leads from an older ticket to a younger one, so there is no cycle of
// waits, and a scope's Updates run in the order in which they came.
//
// All fields are guarded by Store.mu, except scopes, which never change, and
// ready.
type ticket struct {
	scopes   []backend.Scope // sorted, without duplicates
	ready    chan struct{}   // closed when the run may begin
	blockers int             // tickets that must be released before
	next     []*ticket       // that have this one among their blockers
	released bool
	given    bool     // its Update has left: it only keeps the order
	after    []*batch // what must commit before those that come next
}

// group holds the youngest tickets of a scope group that may still matter. A
// ticket of the whole group takes the place of all before it.
type group struct {
	whole *ticket
	items map[string]*ticket
}

func compareScopes(a, b backend.Scope) int {
	if c := strings.Compare(a.Group, b.Group); c != 0 {
		return c
	}
	return strings.Compare(a.Item, b.Item)
}

// queue draws a ticket.
func (s *Store) queue(scopes []backend.Scope) *ticket {
	t := &ticket{scopes: slices.Clone(scopes), ready: make(chan struct{})}
	slices.SortFunc(t.scopes, compareScopes)
	t.scopes = slices.Compact(t.scopes)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, scope := range t.scopes {
		g := s.groups[scope.Group]
		if g == nil {
			g = &group{items: map[string]*ticket{}}
			s.groups[scope.Group] = g
		}
		if scope.Item == "" {
			t.follow(g.whole)
			for _, before := range g.items {
				t.follow(before)
			}
			g.whole = t
			clear(g.items)
			continue
		}
		if before := g.items[scope.Item]; before != nil {
			t.follow(before)
		} else {
			t.follow(g.whole)
		}
		g.items[scope.Item] = t
	}
	if t.blockers == 0 {
		close(t.ready)
	}
	return t
}

// follow puts t behind another ticket. It needs Store.mu.
func (t *ticket) follow(before *ticket) {
	switch {
	case before == nil, before == t:
	case before.released:
		t.inherit(before)
	case !slices.Contains(before.next, t):
		before.next = append(before.next, t)
		t.blockers++
	}
}

// inherit takes over what must commit first. It needs Store.mu.
func (t *ticket) inherit(before *ticket) {
	for _, b := range before.after {
		if b.state != finished && !slices.Contains(t.after, b) {
			t.after = append(t.after, b)
		}
	}
}

// release lets the tickets behind t run. What they must follow is b, which t has
// joined, or if that is nil what t itself had to. It needs Store.mu.
func (s *Store) release(t *ticket, b *batch) {
	todo := []*ticket{t}
	if b != nil {
		t.after = []*batch{b}
	}
	for len(todo) > 0 {
		t := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		t.released = true
		for _, n := range t.next {
			n.inherit(t)
			if n.blockers--; n.blockers > 0 {
				continue
			}
			if n.given {
				todo = append(todo, n)
			} else {
				close(n.ready)
			}
		}
		t.next = nil
		t.after = slices.DeleteFunc(t.after, func(b *batch) bool { return b.state == finished })
		for _, b := range t.after {
			b.tickets = append(b.tickets, t)
		}
		s.forget(t)
	}
}

// giveUp ends the wait of an Update that leaves before its run. The ticket stays
// in its place until its turn comes.
func (s *Store) giveUp(t *ticket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.blockers == 0 {
		s.release(t, nil)
		return
	}
	t.given = true
}

// forget removes a released ticket whose batches have finished. It needs
// Store.mu.
func (s *Store) forget(t *ticket) {
	if len(t.after) > 0 {
		return
	}
	for _, scope := range t.scopes {
		g := s.groups[scope.Group]
		if g == nil {
			continue
		}
		if scope.Item == "" && g.whole == t {
			g.whole = nil
		}
		if scope.Item != "" && g.items[scope.Item] == t {
			delete(g.items, scope.Item)
		}
		if g.whole == nil && len(g.items) == 0 {
			delete(s.groups, scope.Group)
		}
	}
}
