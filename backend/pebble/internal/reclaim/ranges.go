package reclaim

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

const (
	// maxRanges bounds a rangeSet.
	maxRanges = 128
	// joinedRanges is how many are left of those that have become too many: joining
	// one for each key that is added would look at all of them each time.
	joinedRanges = maxRanges / 2
)

// A Range is the keys from Start to End, both included. Its keys are never
// changed.
type Range struct{ Start, End []byte }

// rangeSet is a set of keys that is described by few ranges, in order and apart.
// It may hold more than was added: where the ranges become too many, those
// become one whose neighbouring keys have the longest prefixes in common.
type rangeSet struct {
	ranges []Range
	// joined is the shortest prefix that was in common when ranges were joined, 0 if
	// none were: a key that has a longer one in common with a range would be joined
	// with it the next time, and is at once. Most keys of a sweep are.
	joined int
}

// find returns the index of the first range that does not end below key.
func (s *rangeSet) find(key []byte) int {
	low, high := 0, len(s.ranges)
	for low < high {
		if middle := (low + high) / 2; bytes.Compare(s.ranges[middle].End, key) < 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// add adds the keys from start to end, which it does not keep.
func (s *rangeSet) add(start, end []byte) {
	from := s.find(start)
	if from < len(s.ranges) && bytes.Compare(s.ranges[from].Start, start) <= 0 && bytes.Compare(end, s.ranges[from].End) <= 0 {
		return
	}
	to := from // the ranges from here on are apart from the new one
	for to < len(s.ranges) && bytes.Compare(s.ranges[to].Start, end) <= 0 {
		to++
	}
	if from == to && s.joined > 0 {
		below, above := 0, 0
		if from > 0 {
			below = commonPrefix(s.ranges[from-1].End, start)
		}
		if to < len(s.ranges) {
			above = commonPrefix(end, s.ranges[to].Start)
		}
		switch {
		case max(below, above) <= s.joined:
		case below >= above:
			s.ranges[from-1].End = bytes.Clone(end)
			return
		default:
			s.ranges[to].Start = bytes.Clone(start)
			return
		}
	}
	s.ranges = slices.Replace(s.ranges, from, to, union(start, end, s.ranges[from:to]))
	if len(s.ranges) > maxRanges {
		s.join()
	}
}

// run returns how many of the keys, which are not none, would be one range anyway if
// they were added in turn: those that ascend, and are as near to each other as ranges
// that were joined. What lies between two of them is nearer still.
func (s *rangeSet) run(keys []Key) (n int) {
	for n = 1; n < len(keys) && s.joined > 0; n++ {
		a, b := keys[n-1].Key, keys[n].Key
		if commonPrefix(a, b) <= s.joined || bytes.Compare(a, b) > 0 {
			break
		}
	}
	return n
}

// union returns the range from start to end and of the ranges that it meets.
func union(start, end []byte, met []Range) Range {
	if len(met) == 0 {
		n := Range{Start: bytes.Clone(start)}
		if n.End = n.Start; !bytes.Equal(start, end) {
			n.End = bytes.Clone(end)
		}
		return n
	}
	n := Range{Start: met[0].Start, End: met[len(met)-1].End}
	if bytes.Compare(start, n.Start) < 0 {
		n.Start = bytes.Clone(start)
	}
	if bytes.Compare(end, n.End) > 0 {
		n.End = bytes.Clone(end)
	}
	return n
}

// join makes joinedRanges of more.
func (s *rangeSet) join() {
	type gap struct{ behind, prefix int } // behind the range of an index
	gaps := make([]gap, len(s.ranges)-1)
	for i := range gaps {
		gaps[i] = gap{i, commonPrefix(s.ranges[i].End, s.ranges[i+1].Start)}
	}
	slices.SortStableFunc(gaps, func(a, b gap) int { return cmp.Compare(b.prefix, a.prefix) })
	gaps = gaps[:len(s.ranges)-joinedRanges]
	s.joined = gaps[len(gaps)-1].prefix
	slices.SortFunc(gaps, func(a, b gap) int { return cmp.Compare(a.behind, b.behind) })
	joined := s.ranges[:0]
	for i, r := range s.ranges {
		if len(gaps) > 0 && i > 0 && gaps[0].behind == i-1 {
			joined[len(joined)-1].End = r.End
			gaps = gaps[1:]
			continue
		}
		joined = append(joined, r)
	}
	clear(s.ranges[len(joined):])
	s.ranges = joined
}

// commonPrefix returns how many bytes a and b have in common from their beginning
// on. It compares eight at a time.
func commonPrefix(a, b []byte) int {
	n := 0
	for ; len(a)-n >= 8 && len(b)-n >= 8; n += 8 {
		if differ := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); differ != 0 {
			return n + bits.TrailingZeros64(differ)/8
		}
	}
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
