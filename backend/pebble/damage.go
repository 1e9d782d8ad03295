package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/diskguard"
)

// damageError marks err, with which Pebble failed to read the keys of r, as
// damage: bytes that don't match their checksum, a file that is missing or cut
// off, a disk that can't read them.
func damageError(r backend.Range, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, backend.ErrClosed) || errors.Is(err, backend.ErrUnavailable) || errors.Is(err, crdb.ErrClosed) {
		return engineError(err)
	}
	if diskguard.Passes(err) {
		// Too many files are open, which says nothing of this one.
		return fmt.Errorf("%w: %w", backend.ErrUnavailable, engineError(err))
	}
	return &backend.DamageError{Range: r, Cause: engineError(err)}
}

// only is the range that has just key.
func only(key []byte) backend.Range {
	return backend.Range{Start: bytes.Clone(key), End: successor(key)}
}

// successor returns the first key behind key.
func successor(key []byte) []byte { return append(bytes.Clone(key), 0) }

// pastDamage is a scan that goes on behind keys that can't be read.
//
// Pebble ends an iteration at a block that it can't read, in whichever level:
// the merged order is not known there, and what a lower level has under the same
// keys may be older, or deleted. So nothing of that stretch is yielded. The scan
// takes up where every level can be read again, which it finds in two steps: the
// sizes that Pebble estimates of ranges, from the indexes of its tables, grow at
// the end of the block, and from a position behind it the iterator is walked back
// to the first key that it reaches.
//
// A table that can't be opened at all is met as soon as its level has nothing left
// before it, when other levels may still have. So what lies before its first key is
// read on its own first.
type pastDamage struct {
	it       *crdb.Iterator
	cloned   bool // it is the scan's own
	db       *crdb.DB
	end      []byte // of the range, nil for that of the keyspace
	keysOnly bool
	// next is the first key that was not looked at.
	next []byte
	// ended returns why the loop must end, nil if it need not.
	ended func() error
	yield func(backend.Entry, error) bool
}

// run yields everything, and reports whether the loop has not ended.
func (p *pastDamage) run() (more bool) {
	defer p.close()
	for ok := p.it.First(); ; ok = p.seek(p.next) {
		if !p.entries(ok) {
			return false
		}
		err := p.it.Error()
		if err == nil {
			return true
		}
		if cause := p.ended(); cause != nil {
			p.yield(backend.Entry{}, cause)
			return false
		}
		if before := damagedFrom(err); bytes.Compare(before, p.next) > 0 && (p.end == nil || bytes.Compare(before, p.end) < 0) {
			if !p.runUntil(before) {
				return false
			}
			p.next = before
		}
		start, behind := bytes.Clone(p.next), p.behind(err)
		if !p.yield(backend.Entry{}, damageError(backend.Range{Start: start, End: bytes.Clone(behind)}, err)) {
			return false
		}
		if behind == nil || p.end != nil && bytes.Compare(behind, p.end) >= 0 {
			return true
		}
		p.next = behind
	}
}

// runUntil is run for the keys before end, with an iterator that does not look
// further.
func (p *pastDamage) runUntil(end []byte) (more bool) {
	part := *p
	part.next, part.end = bytes.Clone(p.next), end
	it, err := p.it.Clone(crdb.CloneOptions{IterOptions: &crdb.IterOptions{LowerBound: part.next, UpperBound: end}})
	if err != nil {
		return p.yield(backend.Entry{}, damageError(backend.Range{Start: part.next, End: end}, err))
	}
	part.it, part.cloned = it, true
	return part.run()
}

// seek goes to the first entry at or behind key, with an iterator that met no
// error before: one that has may end too early (seen after a value that could
// not be read, right behind a seek).
func (p *pastDamage) seek(key []byte) (ok bool) {
	if p.it.Error() != nil {
		it, err := p.it.Clone(crdb.CloneOptions{})
		if err != nil {
			return false // p.it keeps its error
		}
		p.close()
		p.it, p.cloned = it, true
	}
	return p.it.SeekGE(key)
}

func (p *pastDamage) close() {
	if p.cloned {
		_ = p.it.Close() // an error was met before
	}
}

// entries yields those from the iterator's position on, up to its end or an
// error. more is false if the loop has ended.
func (p *pastDamage) entries(ok bool) (more bool) {
	var step func() bool
	for ; ok; ok = step() {
		if cause := p.ended(); cause != nil {
			p.yield(backend.Entry{}, cause)
			return false
		}
		e := backend.Entry{Key: p.it.Key()}
		var err error
		step = p.it.Next
		if !p.keysOnly {
			if e.Value, err = p.it.ValueAndErr(); err != nil {
				// A value that is stored apart. The iterator has kept the error.
				e, err = backend.Entry{}, damageError(only(e.Key), err)
				step = func() bool { return p.seek(p.next) }
			}
		}
		// Before the loop sees the key, which is the iterator's.
		p.next = append(append(p.next[:0], p.it.Key()...), 0)
		if !p.yield(e, err) {
			return false
		}
	}
	return true
}

// behind returns the first key behind p.next that can be read, given the error
// of an iterator that can't, and nil if none can.
func (p *pastDamage) behind(err error) []byte {
	from := p.next
	for tries := 0; ; tries++ {
		until := p.damagedUntil(err)
		if until == nil {
			return p.end
		}
		if bytes.Compare(until, from) <= 0 {
			// What is damaged lies before: it is not known how far it reaches.
			until = append(bytes.Clone(from), 0xff)
		}
		from = p.blockEnd(from, until, blocksAtOnce(tries))
		if p.end != nil && bytes.Compare(from, p.end) >= 0 {
			return p.end
		}
		if p.seek(from) || p.it.Error() == nil {
			return p.walkBack(from)
		}
		if p.ended() != nil {
			return p.end // run looks again
		}
		err = p.it.Error()
	}
}

// walkBack returns the first key behind p.next from which on the iterator reads
// every key up to its position, which is at or behind from. There need not be a
// key at what it returns.
func (p *pastDamage) walkBack(from []byte) []byte {
	first := bytes.Clone(from)
	if p.it.Valid() {
		first = append(first[:0], p.it.Key()...)
	}
	for ok := p.it.SeekLT(from); ok && bytes.Compare(p.it.Key(), p.next) >= 0; ok = p.it.Prev() {
		first = append(first[:0], p.it.Key()...)
	}
	return first
}

// damagedFrom returns the first key in the file that an error is about, nil where
// that is not known. The caller may keep it.
func damagedFrom(err error) []byte {
	info := crdb.ExtractDataCorruptionInfo(err)
	if info == nil {
		return nil
	}
	return bytes.Clone(info.Bounds.Start)
}

// damagedUntil returns a key behind everything in the file that an error is
// about, the end of the scan where that is not known, nil for the end of the
// keyspace.
func (p *pastDamage) damagedUntil(err error) []byte {
	info := crdb.ExtractDataCorruptionInfo(err)
	if info == nil || len(info.Bounds.End.Key) == 0 {
		return p.end
	}
	return successor(info.Bounds.End.Key)
}

// blocksAtOnce returns how many blocks are passed at once when so many before could
// not be read: one at first, and then ever more, for the table may be damaged as a
// whole. From where it can be read the way back is found by walkBack.
func blocksAtOnce(tries int) uint64 {
	const single, most = 4, 40
	return 1 << min(max(tries-single, 0), most)
}

// bisections bounds the search for the end of a block: each finds one bit of it.
const bisections = 256

// blockEnd returns a key behind from, and at most until, near the first at which
// about so many blocks of tables end. Where the tables do not show it, it is until.
func (p *pastDamage) blockEnd(from, until []byte, blocks uint64) []byte {
	size := func(key []byte) uint64 {
		n, err := p.db.EstimateDiskUsage(from, key)
		if err != nil {
			return 0
		}
		return n
	}
	least := size(from) + (blocks-1)*blockSize
	if size(until) <= least {
		return until
	}
	low, high := from, until
	for range bisections {
		mid, ok := between(low, high)
		if !ok {
			break
		}
		if size(mid) > least {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// width is how many bytes of a key are taken for a number.
const width = 7

// numberAt returns the number that the bytes of key from at on stand for, as if
// it went on in zeros.
func numberAt(key []byte, at int) (n uint64) {
	for i := at; i < at+width; i++ {
		n <<= 8
		if i < len(key) {
			n |= uint64(key[i])
		}
	}
	return n
}

// between returns a key about halfway from a to b, a < b, and false where none
// was found.
func between(a, b []byte) (mid []byte, ok bool) {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	low, high := numberAt(a, n), numberAt(b, n)
	if high-low < 2 {
		// Between a and the next number of its width there are only keys that
		// continue a.
		n += width
		low, high = numberAt(a, n), 1<<(8*width)-1
	}
	if high < low+2 {
		return nil, false
	}
	var window [8]byte
	binary.BigEndian.PutUint64(window[:], low+(high-low)/2)
	mid = make([]byte, 0, n+width)
	mid = append(mid, a[:min(n, len(a))]...)
	for len(mid) < n {
		mid = append(mid, 0)
	}
	mid = append(mid, window[1:]...)
	return mid, bytes.Compare(a, mid) < 0 && bytes.Compare(mid, b) < 0
}
