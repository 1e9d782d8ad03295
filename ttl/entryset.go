package ttl

import (
	"sort"

	"github.com/google/btree"
)

// maxKeptRun bounds the memory, in entries, that an empty entrySet keeps.
const maxKeptRun = 1024

// entrySet is a set of entries in order. Those that come in order, as a scan brings
// them, are in a slice, whose first is taken out at once: a tree moves what lies
// behind. Others are in a tree beside it. No entry is in both.
type entrySet struct {
	tree *btree.BTreeG[Entry]
	// run ascends. What is before begin is no part of it; its first and its last are
	// not gone. live counts those that are not.
	run   []runEntry
	begin int
	live  int
}

// A runEntry may be gone: to move those behind it would take too long.
type runEntry struct {
	Entry
	gone bool
}

func newEntrySet() entrySet { return entrySet{tree: btree.NewG(treeDegree, Entry.less)} }

// Len counts the entries.
func (s *entrySet) Len() int { return s.live + s.tree.Len() }

// Has reports whether e is there.
func (s *entrySet) Has(e Entry) bool {
	i, found := s.find(e)
	return found && !s.run[i].gone || s.tree.Has(e)
}

// Insert adds e, in the place of the one that is there.
func (s *entrySet) Insert(e Entry) {
	i, found := s.find(e)
	if !found {
		s.tree.ReplaceOrInsert(e)
		return
	}
	if s.run[i].gone {
		s.live++
	}
	s.run[i] = runEntry{Entry: e}
}

// Append is Insert of an entry that is likely to be above all that came by Append.
func (s *entrySet) Append(e Entry) {
	switch n := len(s.run); {
	case n > s.begin && !s.run[n-1].less(e):
		s.Insert(e)
	case s.tree.Len() > 0 && s.tree.Has(e):
		s.tree.ReplaceOrInsert(e)
	default:
		if n == cap(s.run) && s.begin > n/2 {
			kept := copy(s.run, s.run[s.begin:])
			clear(s.run[kept:])
			s.run, s.begin = s.run[:kept], 0
		}
		s.run = append(s.run, runEntry{Entry: e})
		s.live++
	}
}

// Delete takes e out, if it is there.
func (s *entrySet) Delete(e Entry) {
	i, found := s.begin, true
	if i == len(s.run) || !s.run[i].is(e) { // most that are taken out are the first
		if _, found = s.tree.Delete(e); found {
			return
		}
		i, found = s.find(e)
	}
	if found && !s.run[i].gone {
		s.run[i].gone = true
		s.live--
		s.trim()
	}
}

// Min returns the first entry, if there is one.
func (s *entrySet) Min() (e Entry, ok bool) {
	e, ok = s.tree.Min()
	if s.begin < len(s.run) && (!ok || s.run[s.begin].less(e)) {
		return s.run[s.begin].Entry, true
	}
	return e, ok
}

// Max returns the last entry, if there is one.
func (s *entrySet) Max() (e Entry, ok bool) {
	e, ok = s.tree.Max()
	if n := len(s.run); s.begin < n && (!ok || e.less(s.run[n-1].Entry)) {
		return s.run[n-1].Entry, true
	}
	return e, ok
}

// Ascend calls fn for each entry in order until it returns false.
func (s *entrySet) Ascend(fn func(Entry) bool) {
	next, more := s.begin, true
	upTo := func(end *Entry) bool {
		for ; more && next < len(s.run) && (end == nil || s.run[next].less(*end)); next++ {
			more = s.run[next].gone || fn(s.run[next].Entry)
		}
		return more
	}
	s.tree.Ascend(func(e Entry) bool {
		more = upTo(&e) && fn(e)
		return more
	})
	upTo(nil)
}

// find returns where e is in the run, or would be.
func (s *entrySet) find(e Entry) (i int, found bool) {
	run := s.run[s.begin:]
	n := sort.Search(len(run), func(i int) bool { return !run[i].less(e) })
	return s.begin + n, n < len(run) && run[n].is(e)
}

// trim takes what is gone off both ends of the run.
func (s *entrySet) trim() {
	for n := len(s.run); n > s.begin && s.run[n-1].gone; n-- {
		s.run[n-1] = runEntry{}
		s.run = s.run[:n-1]
	}
	for s.begin < len(s.run) && s.run[s.begin].gone {
		s.run[s.begin] = runEntry{}
		s.begin++
	}
	if s.begin < len(s.run) {
		return
	}
	if s.run, s.begin = s.run[:0], 0; cap(s.run) > maxKeptRun {
		s.run = nil
	}
}
