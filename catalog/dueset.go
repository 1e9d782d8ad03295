package catalog

import (
	"bytes"
	"hash/maphash"
	"sort"
)

const (
	// maxDueSet bounds the memory of a dueSet in bytes: some 1.3 million products with
	// IDs of 16 bytes.
	maxDueSet = 48 << 20
	// dueNameSize is what a product takes beside its name: where the name begins, and up
	// to four places in the table.
	dueNameSize = 4 + 4*4
	// dueChunk is how many bytes of names lie together. Each fits in: a name is at
	// most twice as long as an ID, and its end.
	dueChunk = 1 << 20
	// startsChunk is how many starts of names lie together, so that none is copied when
	// there are more.
	startsChunk = 1 << 16
)

// dueSets are sets of which each has part of the products. Those that follow each other
// are mostly in the same one.
type dueSets struct {
	sets []*dueSet
	at   int // the set that had the last one
}

// has reports whether a name is in one of the sets.
func (s *dueSets) has(name []byte) bool {
	for range s.sets {
		if s.sets[s.at].has(name) {
			return true
		}
		s.at = (s.at + 1) % len(s.sets)
	}
	return false
}

// dueSet is a set of products of one account. A product is named by the end of its
// key, as encoding.CutExpiryKey and the listed keys have it: none is the beginning
// of another.
//
// It is made for products that are asked for in the order in which they were added, or
// in that of their names, which costs a comparison each.
type dueSet struct {
	chunks [][]byte
	starts [][]uint32 // of the names, in all chunks one behind the other; startsChunk lie together
	n      int        // names
	bytes  int        // of the names
	// unsorted says that the names were not added in their order.
	unsorted bool
	// expected is the one that would be asked for next.
	expected int
	// table has, by hash, indices into starts, each with 1 added; it is made when it
	// is needed first.
	table []uint32
	seed  maphash.Seed
}

// size is how many bytes the set takes at most.
func (s *dueSet) size() int { return s.bytes + dueNameSize*s.n }

// add adds a name that is not in the set; nothing was asked yet.
func (s *dueSet) add(name []byte) {
	if !s.unsorted {
		s.unsorted = s.n > 0 && s.compare(s.n-1, name) >= 0
	}
	c := len(s.chunks) - 1
	if c < 0 || len(s.chunks[c])+len(name) > dueChunk {
		s.chunks = append(s.chunks, make([]byte, 0, dueChunk))
		c++
	}
	if s.n%startsChunk == 0 {
		s.starts = append(s.starts, make([]uint32, startsChunk))
	}
	s.starts[s.n/startsChunk][s.n%startsChunk] = uint32(c*dueChunk + len(s.chunks[c]))
	s.chunks[c] = append(s.chunks[c], name...)
	s.n++
	s.bytes += len(name)
}

// start returns where the i-th name begins.
func (s *dueSet) start(i int) uint32 { return s.starts[i/startsChunk][i%startsChunk] }

// from returns the names from the i-th on, of its chunk.
func (s *dueSet) from(i int) []byte {
	at := s.start(i)
	return s.chunks[at/dueChunk][at%dueChunk:]
}

// compare compares the i-th name with another. What stands behind it does not
// count: they differ before one of them ends.
func (s *dueSet) compare(i int, name []byte) int {
	have := s.from(i)
	return bytes.Compare(have[:min(len(have), len(name))], name)
}

// has reports whether a name is in the set.
func (s *dueSet) has(name []byte) bool {
	i := s.expected
	if i >= s.n || s.compare(i, name) != 0 {
		if i = s.find(name); i < 0 {
			return false
		}
	}
	s.expected = i + 1
	return true
}

// find returns the index of a name, -1 if it is not in the set.
func (s *dueSet) find(name []byte) int {
	if !s.unsorted {
		i := sort.Search(s.n, func(i int) bool { return s.compare(i, name) >= 0 })
		if i < s.n && s.compare(i, name) == 0 {
			return i
		}
		return -1
	}
	if s.table == nil {
		s.makeTable()
	}
	for at := s.hash(name); ; at = (at + 1) % uint64(len(s.table)) {
		i := int(s.table[at]) - 1
		if i < 0 || s.compare(i, name) == 0 {
			return i
		}
	}
}

func (s *dueSet) hash(name []byte) uint64 { return maphash.Bytes(s.seed, name) % uint64(len(s.table)) }

// makeTable has at most half of the places taken.
func (s *dueSet) makeTable() {
	size := 2
	for size < 2*s.n {
		size *= 2
	}
	s.table, s.seed = make([]uint32, size), maphash.MakeSeed()
	for i := range s.n {
		name := s.from(i)
		if i+1 < s.n && s.start(i+1)/dueChunk == s.start(i)/dueChunk {
			name = name[:s.start(i+1)-s.start(i)]
		}
		at := s.hash(name)
		for s.table[at] != 0 {
			at = (at + 1) % uint64(size)
		}
		s.table[at] = uint32(i + 1)
	}
}
