package ttl

import (
	"context"
	"iter"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultSpan       = time.Hour
	defaultMaxEntries = 65_536
	treeDegree        = 32
)

// Entry is one deadline. Entries are ordered by Deadline, then by the bytes of
// Key; two entries that agree in both are one.
type Entry struct {
	// Deadline is in Unix milliseconds and not negative.
	Deadline int64
	// Key says what the deadline belongs to. This package only compares it.
	Key string
	// Note is what the Source says of the entry for Store.Expire, and no part of what
	// makes two entries one: of these the later takes the place of the other.
	Note string
}

// is reports whether two entries are one.
func (e Entry) is(f Entry) bool { return e.Deadline == f.Deadline && e.Key == f.Key }

func (e Entry) less(f Entry) bool {
	return e.Deadline < f.Deadline || e.Deadline == f.Deadline && e.Key < f.Key
}

// next returns the smallest entry greater than e.
func (e Entry) next() Entry { return Entry{Deadline: e.Deadline, Key: e.Key + "\x00"} }

// Source keeps all entries in order.
type Source interface {
	// Entries yields the entries with from <= Deadline < to in order: every one
	// that is there from the first step of the loop to its end. One that is
	// written or removed meanwhile may be yielded or not; one that was removed
	// before the first step is not. from is not negative. An error is yielded
	// once, as the last step, with a zero Entry. The loop may stop at any step.
	// The yielded Key is kept: it must own its bytes.
	Entries(ctx context.Context, from, to int64) iter.Seq2[Entry, error]
}

// IndexOptions bound an [Index]. What is zero or negative takes its default.
type IndexOptions struct {
	// Span is how far ahead of the present a refill looks. Default 1 hour.
	// It does not bound how long deadlines may be.
	Span time.Duration
	// MaxEntries bounds how many entries are held. Default 65,536. It does not
	// bound how many the Source may have, at one deadline neither.
	MaxEntries int
}

// Index holds the entries of the near future in order: all those of the Source
// that lie below its end. The end is a position between entries, so that it
// can lie between two of the same deadline.
//
// The owner of the Source calls Add for every entry that it writes, once the
// entry is visible to a new read of the Source and not before: an Add that
// came earlier could be ignored by a window that then opens without it.
// Calls for one and the same entry are made in the order of its writes. Remove
// may also be left out: an entry that stays behind is false but harmless.
//
// All methods are safe for concurrent use. Only one of Refill and Rescan runs
// at a time; a second waits.
type Index struct {
	span       int64 // ms
	maxEntries int

	// refill lets one scan run at a time. It is taken before mu.
	refill chan struct{}

	// limit is the deadline of the greatest of end and pending: entries above
	// are turned away without a lock. It is written under mu.
	limit atomic.Int64

	mu      sync.Mutex // guards the rest
	entries entrySet
	end     Entry // every entry of the Source below it is in entries
	pending Entry // what end becomes if the running scan succeeds; else equal to end
}

// NewIndex returns an empty index with its end at deadline 0.
func NewIndex(o IndexOptions) *Index {
	if o.Span <= 0 {
		o.Span = defaultSpan
	}
	if o.MaxEntries <= 0 {
		o.MaxEntries = defaultMaxEntries
	}
	return &Index{
		span:       max(o.Span.Milliseconds(), 1),
		maxEntries: o.MaxEntries,
		refill:     make(chan struct{}, 1),
		entries:    newEntrySet(),
	}
}

// Add notes e and reports whether it is now the earliest entry, in which case
// a goroutine that waits for the earliest wants to be woken. An entry beyond the end
// (during a refill: beyond the end to be) is ignored, a refill will bring it.
// When the index is full its greatest entry is dropped and the end lowered to
// it.
func (x *Index) Add(e Entry) (earliest bool) {
	if !x.Takes(e.Deadline) {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !e.less(x.end) && !e.less(x.pending) {
		return false
	}
	x.entries.Insert(e)
	x.cut()
	first, ok := x.entries.Min()
	return ok && first.is(e)
}

// Takes reports whether Add may take an entry with the deadline: where it does not,
// Add may as well be left out.
func (x *Index) Takes(deadline int64) bool { return deadline <= x.limit.Load() }

// Remove forgets e. An entry that is not there is no error.
func (x *Index) Remove(e Entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.entries.Delete(e)
}

// Next returns the deadline of the earliest entry, if there is one.
func (x *Index) Next() (deadline int64, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e, ok := x.entries.Min()
	return e.Deadline, ok
}

// Due returns the first entries whose deadline is not after now, in order, at
// most limit of them. They stay in the index. Entries above the end are among
// them, where the index happens to have some.
func (x *Index) Due(now int64, limit int) []Entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.due(now, limit)
}

// End returns the deadline at which the window ends: entries with a smaller
// one are all in the index, those with a greater one need a refill, and of
// those with the same one the index may have some.
func (x *Index) End() int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.end.Deadline
}

// Len returns how many entries the index holds.
func (x *Index) Len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.entries.Len()
}

// Refill moves the end forward to now plus the span, or as far as there is
// room, and reads the entries on the way from src. now is in Unix
// milliseconds. After an error the end stands where reading stopped and
// nothing is lost. Errors are those of src and of ctx.
func (x *Index) Refill(ctx context.Context, src Source, now int64) error {
	return x.scan(ctx, src, func(end Entry) Entry { return end }, now)
}

// Rescan is a Refill that reads again from the deadline from on, and so finds
// entries below the end that Add was not called for: those of other
// processes. It does not find that an entry is gone.
func (x *Index) Rescan(ctx context.Context, src Source, from, now int64) error {
	return x.scan(ctx, src, func(end Entry) Entry {
		if begin := (Entry{Deadline: max(from, 0)}); begin.less(end) {
			return begin
		}
		return end
	}, now)
}

// scan publishes the pending end, reads src from the position that begin makes
// of the present end, and publishes the end it has reached.
func (x *Index) scan(ctx context.Context, src Source, begin func(end Entry) Entry, now int64) error {
	select {
	case x.refill <- struct{}{}:
		defer func() { <-x.refill }()
	case <-ctx.Done():
		return ctx.Err()
	}

	x.mu.Lock()
	pos := begin(x.end)
	x.pending = Entry{Deadline: addMillis(now, x.span)}
	if x.pending.less(x.end) {
		x.pending = x.end
	}
	to := x.pending.Deadline
	if x.pending.Key != "" {
		to = addMillis(to, 1)
	}
	x.publish()
	x.mu.Unlock()

	var err error
	var last Entry
	read := false
	for e, scanErr := range src.Entries(ctx, pos.Deadline, to) {
		if err = scanErr; err != nil {
			break
		}
		if e.less(pos) || read && !last.less(e) {
			continue
		}
		last, read = e, true
		if !x.load(e) {
			break
		}
	}
	if read {
		pos = last.next()
	}

	x.mu.Lock()
	defer x.mu.Unlock()
	reached := x.pending
	if err != nil && pos.less(reached) {
		reached = pos
	}
	// A rescan that failed early takes nothing back of what was known before.
	if x.end.less(reached) {
		x.end = reached
	}
	x.pending = x.end
	x.publish()
	return err
}

// load inserts what a scan has read and reports whether the scan goes on.
func (x *Index) load(e Entry) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !e.less(x.pending) {
		return false
	}
	x.entries.Append(e)
	x.cut()
	return e.less(x.pending)
}

// cut takes the greatest entries out that are too many, and lowers the end to them. The
// caller holds mu.
func (x *Index) cut() {
	for x.entries.Len() > x.maxEntries {
		dropped, _ := x.entries.Max()
		x.entries.Delete(dropped)
		if dropped.less(x.end) {
			x.end = dropped
		}
		if dropped.less(x.pending) {
			x.pending = dropped
		}
		x.publish()
	}
}

// publish sets limit after a change of end or pending. The caller holds mu.
func (x *Index) publish() { x.limit.Store(max(x.end.Deadline, x.pending.Deadline)) }

func (x *Index) due(now int64, limit int) []Entry {
	var due []Entry
	x.entries.Ascend(func(e Entry) bool {
		if e.Deadline > now || len(due) >= limit {
			return false
		}
		due = append(due, e)
		return true
	})
	return due
}

// backlog returns how many entries are due, and the deadline of the first.
func (x *Index) backlog(now int64) (n int, first int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.entries.Ascend(func(e Entry) bool {
		if e.Deadline > now {
			return false
		}
		if n == 0 {
			first = e.Deadline
		}
		n++
		return true
	})
	return n, first
}

// take is Due, except that it removes what it returns.
func (x *Index) take(now int64, limit int) []Entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	due := make([]Entry, 0, min(limit, x.entries.Len()))
	for len(due) < limit {
		e, ok := x.entries.Min()
		if !ok || e.Deadline > now {
			break
		}
		x.entries.Delete(e)
		due = append(due, e)
	}
	return due
}

// putBack returns entries that take has removed. Unlike Add it also keeps one
// that lies beyond an end lowered meanwhile.
func (x *Index) putBack(entries []Entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range entries {
		x.entries.Insert(e)
		x.cut()
	}
}

// skipTo moves the end to the deadline start if it lies below, as if all
// before had been read.
func (x *Index) skipTo(start int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := (Entry{Deadline: start}); x.end.less(e) {
		x.end = e
		if x.pending.less(e) {
			x.pending = e
		}
		x.publish()
	}
}

// wantsRefill reports whether the window ends no more than lead after now and
// a refill has room, or nothing else to wait for.
func (x *Index) wantsRefill(now, lead int64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.end.Deadline > addMillis(now, lead) {
		return false
	}
	first, ok := x.entries.Min()
	return !ok || !first.less(x.end) || x.entries.Len() <= x.maxEntries/2
}

// addMillis returns t + d, saturating at the end of time. d is not negative.
func addMillis(t, d int64) int64 {
	if t > math.MaxInt64-d {
		return math.MaxInt64
	}
	return t + d
}
