package postgres

import (
	"bytes"
	"math/big"
	"math/bits"

	"github.com/shelflife-db/shelflife/backend"
)

// write is what an overlay has for a key.
type write struct {
	value   []byte
	deleted bool
}

// An overlay is what was written and has not reached the table. Ranges were
// removed before the keys were written: a key that a range removed after it was
// written is not among them any more. The zero value is empty.
type overlay struct {
	keys   map[string]write
	ranges []backend.Range
	bytes  int // roughly
}

func (o *overlay) empty() bool { return len(o.keys) == 0 && len(o.ranges) == 0 }

// set takes w, whose value must not change any more.
func (o *overlay) set(key string, w write) {
	if o.keys == nil {
		o.keys = map[string]write{}
	}
	o.keys[key] = w
	o.bytes += len(key) + len(w.value)
}

func (o *overlay) removeRange(r backend.Range) {
	for k := range o.keys {
		if inRange(k, r) {
			delete(o.keys, k)
		}
	}
	o.ranges = append(o.ranges, r)
	o.bytes += len(r.Start) + len(r.End)
}

// add puts what came later on top.
func (o *overlay) add(later *overlay) {
	for _, r := range later.ranges {
		o.removeRange(r)
	}
	for k, w := range later.keys {
		o.set(k, w)
	}
}

// find returns what the overlay says of a key, and false if it says nothing.
func (o *overlay) find(key []byte) (write, bool) {
	if w, ok := o.keys[string(key)]; ok {
		return w, true
	}
	for _, r := range o.ranges {
		if bytes.Compare(key, r.Start) >= 0 && bytes.Compare(key, r.End) < 0 {
			return write{deleted: true}, true
		}
	}
	return write{}, false
}

// touches reports whether it says anything of a key in r, whose bounds are set.
func (o *overlay) touches(r backend.Range) bool {
	for k := range o.keys {
		if inRange(k, r) {
			return true
		}
	}
	for _, d := range o.ranges {
		if bytes.Compare(d.Start, r.End) < 0 && bytes.Compare(r.Start, d.End) < 0 {
			return true
		}
	}
	return false
}

func inRange(key string, r backend.Range) bool {
	return key >= string(r.Start) && key < string(r.End)
}

// A readRange is a range that a run has read: in each part so many rows, whose
// versions add up to a sum. As versions are random, another set of rows that
// gives the same is not met by chance.
type readRange struct {
	r     backend.Range // both bounds set
	parts []readPart
}

type readPart struct {
	part    int32
	count   int64
	sum, hi uint64
}

func (p *readPart) add(ver int64) {
	var carry uint64
	p.count++
	p.sum, carry = bits.Add64(p.sum, uint64(ver), 0)
	p.hi += carry
}

// text is the sum as the server writes it.
func (p *readPart) text() string {
	n := new(big.Int).SetUint64(p.hi)
	return n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(p.sum)).String()
}

// newReadRange begins a range in one part, or in all.
func (s *Store) newReadRange(g *pager) *readRange {
	r := &readRange{}
	if g.page.onePart {
		r.parts = []readPart{{part: g.part}}
		return r
	}
	for p := range s.parts {
		r.parts = append(r.parts, readPart{part: int32(p)})
	}
	return r
}

func (r *readRange) add(part int32, ver int64) {
	i := 0
	if len(r.parts) > 1 {
		i = int(part)
	}
	r.parts[i].add(ver)
}
