package reclaim

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// maxRanges bounds a rangeSet.
const maxRanges = 64

// A Range is the keys from Start to End, both included. Its keys are never
// changed.
type Range struct{ Start, End []byte }

// rangeSet is a set of keys that is described by few ranges, in order and apart.
// It may hold more than was added: where the ranges become too many, those two
// become one whose neighbouring keys have the longest prefix in common.
type rangeSet []Range

// find returns the index of the first range that does not end below key.
func (s rangeSet) find(key []byte) int {
	at, _ := slices.BinarySearchFunc(s, key, func(r Range, key []byte) int { return bytes.Compare(r.End, key) })
	return at
}

// has reports whether the range from start to end is part of s.
func (s rangeSet) has(start, end []byte) bool {
	at := s.find(end)
	return at < len(s) && bytes.Compare(s[at].Start, start) <= 0
}

// add adds the keys from start to end, which it does not keep.
func (s *rangeSet) add(start, end []byte) {
	if s.has(start, end) {
		return
	}
	from := s.find(start)
	to := from // the ranges from here on are apart from the new one
	for to < len(*s) && bytes.Compare((*s)[to].Start, end) <= 0 {
		to++
	}
	n := Range{Start: start, End: end}
	if from < to {
		if first := (*s)[from].Start; bytes.Compare(first, start) < 0 {
			n.Start = first
		}
		if last := (*s)[to-1].End; bytes.Compare(last, end) > 0 {
			n.End = last
		}
	}
	n.Start, n.End = bytes.Clone(n.Start), bytes.Clone(n.End)
	*s = slices.Replace(*s, from, to, n)
	if len(*s) > maxRanges {
		s.join()
	}
}

// join makes one range of two.
func (s *rangeSet) join() {
	at, longest := 0, -1
	for i := range len(*s) - 1 {
		if n := commonPrefix((*s)[i].End, (*s)[i+1].Start); n > longest {
			at, longest = i, n
		}
	}
	(*s)[at].End = (*s)[at+1].End
	*s = slices.Delete(*s, at+1, at+2)
}

// commonPrefix returns how many bytes a and b have in common from their beginning
// on. It compares eight at a time: each deletion of a sweep may ask for that of all
// neighbours.
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
