package connlimit

import (
	"container/list"
	"time"
)

// connSet is a set of connections that knows which of them has been quiet for
// longest. Adding, removing and moving one takes constant time.
type connSet struct {
	limit int
	count int
	// extra is how many handlers run for its connections beside the first of each.
	extra int
	// unproven and proven hold the quiet connections, the one that has been quiet
	// for longest first.
	unproven, proven list.List
}

// place is where a connection stands in a set.
type place struct {
	set  *connSet // nil if it is in none
	conn *conn
	// quiet is the list that the connection is in, nil unless it is quiet.
	quiet   *list.List
	element *list.Element
}

// full reports whether there is no room for one more connection or handler.
func (s *connSet) full() bool { return s.count+s.extra >= s.limit }

// add puts c into the set, at p.
func (s *connSet) add(c *conn, p *place) {
	p.set, p.conn = s, c
	s.count++
	s.extra += c.extra()
	s.move(p)
}

// remove takes what stands at p out of the set.
func (s *connSet) remove(p *place) {
	p.leave()
	s.count--
	s.extra -= p.conn.extra()
	p.set, p.conn = nil, nil
}

// move follows a change of the connection at p: it goes to the end of the list
// that it belongs to now, or to none.
func (s *connSet) move(p *place) {
	p.leave()
	switch c := p.conn; {
	case c.running > 0:
		return
	case c.unproven:
		p.quiet = &s.unproven
	default:
		p.quiet = &s.proven
	}
	p.element = p.quiet.PushBack(p.conn)
}

func (p *place) leave() {
	if p.quiet != nil {
		p.quiet.Remove(p.element)
		p.quiet, p.element = nil, nil
	}
}

// quietest returns the connection that gives way first, nil if none does: an unproven
// one that was quiet at a time already, or a proven one at another.
func (s *connSet) quietest(unproven, proven time.Duration) *conn {
	for _, quiet := range []struct {
		conns *list.List
		since time.Duration
	}{{&s.unproven, unproven}, {&s.proven, proven}} {
		if e := quiet.conns.Front(); e != nil && e.Value.(*conn).since <= quiet.since {
			return e.Value.(*conn)
		}
	}
	return nil
}

// quietSince returns the connections that were quiet at that time already.
func (s *connSet) quietSince(t time.Duration) (conns []*conn) {
	for _, quiet := range []*list.List{&s.proven, &s.unproven} {
		for e := quiet.Front(); e != nil && e.Value.(*conn).since <= t; e = e.Next() {
			conns = append(conns, e.Value.(*conn))
		}
	}
	return conns
}
