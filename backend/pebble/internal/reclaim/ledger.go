package reclaim

import (
	"sync"
	"time"
)

// Everything is the range of all keys that a store may hold.
var Everything = Range{Start: []byte{}, End: []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")}

const (
	// substantial is how many removed bytes are given back for their own sake,
	// where they are a tenth of the store too: what is not given back stays below
	// the larger of both.
	substantial = 64 << 20
	// settle is how long a substantial removal is left to go on.
	settle = 2 * time.Minute
)

// A Ledger notes what was deleted, so that the room that it takes and the bytes
// that it consists of are dealt with in time. It is safe for concurrent use.
type Ledger struct {
	// eraseWithin is how long deleted bytes may stay; negative: for ever.
	eraseWithin time.Duration

	// mu guards the rest. No other lock is taken below it.
	mu      sync.Mutex
	deleted rangeSet // since the last pass began
	bytes   int64    // of what was deleted since, keys and values
	now     time.Time
	since   time.Time // the first of these deletions; zero: there was none
	much    time.Time // since when bytes are substantial; zero: they are not
}

// NewLedger returns the ledger of a store in which nothing is owed.
func NewLedger(eraseWithin time.Duration) *Ledger { return &Ledger{eraseWithin: eraseWithin} }

// A Debt is what a Ledger held when a pass began.
type Debt struct {
	Ranges []Range
	bytes  int64
	since  time.Time
}

// A Key is a deleted key, with the size of its value as far as that is known.
type Key struct {
	Key  []byte
	Size int
}

// Deleted notes deleted keys.
func (l *Ledger) Deleted(keys ...Key) {
	if len(keys) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range keys {
		l.bytes += int64(len(keys[i].Key) + keys[i].Size)
	}
	for len(keys) > 0 {
		n := l.deleted.run(keys)
		l.deleted.add(keys[0].Key, keys[n-1].Key)
		keys = keys[n:]
	}
	l.begin()
}

// DeletedRange notes that what the keys from start to end held was deleted, n
// bytes as far as that is known.
func (l *Ledger) DeletedRange(start, end []byte, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deleted.add(start, end)
	l.bytes += n
	l.begin()
}

// begin has the debt date from now, if it does not yet.
func (l *Ledger) begin() {
	if l.since.IsZero() {
		l.since = l.now
	}
}

// OwedSince has everything count as deleted at t: what a store was left with.
func (l *Ledger) OwedSince(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deleted = rangeSet{ranges: []Range{Everything}}
	l.since = t
}

// Since returns when the first deletion was that is still owed, and false if
// none is.
func (l *Ledger) Since() (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.since, len(l.deleted.ranges) > 0
}

// A Pass is what there is to do about a debt.
type Pass uint8

const (
	// None: nothing yet.
	None Pass = iota
	// Room: bring the store down to what it holds, nearly.
	Room
	// Erase: leave nothing of what was deleted.
	Erase
)

// Due returns what there is to do at now in a store of live bytes.
func (l *Ledger) Due(now time.Time, live int64) Pass {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = now
	if len(l.deleted.ranges) == 0 {
		return None
	}
	if l.since.IsZero() || l.since.After(now) {
		// The time is not known, or the clock was set back.
		l.since = now
	}
	if l.bytes < max(substantial, live/10) {
		l.much = time.Time{}
	} else if l.much.IsZero() || l.much.After(now) {
		l.much = now
	}
	switch {
	// A pass takes time, and has a quarter of what there is.
	case l.eraseWithin >= 0 && now.Sub(l.since) >= l.eraseWithin*3/4:
		return Erase
	case !l.much.IsZero() && now.Sub(l.much) >= settle:
		return Room
	}
	return None
}

// Begin returns what is owed, for a pass that deals with it: what is deleted from
// now on is the next one's.
func (l *Ledger) Begin() Debt {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := Debt{Ranges: l.deleted.ranges, bytes: l.bytes, since: l.since}
	l.deleted, l.bytes, l.since, l.much = rangeSet{}, 0, time.Time{}, time.Time{}
	return d
}

// Return takes back what a pass did not get done: the bytes that d's ranges hold
// are still to be erased, and their room, if again is set, to be given back.
func (l *Ledger) Return(d Debt, again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range d.Ranges {
		l.deleted.add(r.Start, r.End)
	}
	if len(d.Ranges) > 0 && (l.since.IsZero() || d.since.Before(l.since)) {
		l.since = d.since
	}
	if again {
		l.bytes += d.bytes
	}
}
