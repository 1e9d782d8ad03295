package pebble

import (
	"sync"
	"sync/atomic"

	crdb "github.com/cockroachdb/pebble/v2"
)

// pointReads serves reads of single keys. While nothing is written it keeps
// iterators from one read to the next, which spares each of them from finding
// its tables anew: a fifth of a read. An iterator sees one state of the store,
// so any commit makes those that are kept stale; a look of the watcher does so
// too, which bounds how long they hold on to memtables and tables that Pebble
// has replaced.
type pointReads struct {
	db   *crdb.DB
	fail *failure
	// keepFrom is the number of reads without a commit in between from which a
	// reader opens an iterator.
	keepFrom int
	// changes counts the commits that are visible, and the watcher's looks.
	changes atomic.Uint64
	// idle holds pointReaders. What a processor puts there it mostly gets back,
	// while the reader's memory is still in its caches.
	idle sync.Pool

	// mu guards open, the readers that have an iterator. It is taken after a
	// reader's lock.
	mu   sync.Mutex
	open map[*pointReader]struct{}
}

// pointReader is used by one read at a time.
type pointReader struct {
	// mu guards the fields. It is only ever tried: the watcher leaves a reader
	// alone that is at work, and a read that meets the watcher does without.
	mu sync.Mutex
	// changes is the count at the latest read, reads how many there were since.
	changes uint64
	reads   int
	// it was opened after the count was changes, or is nil.
	it *crdb.Iterator
}

// defaultKeepFrom is keepFrom where nothing else is said: opening and closing an
// iterator costs as much as it spares some five reads.
const defaultKeepFrom = 8

func newPointReads(db *crdb.DB, fail *failure, keepFrom int) *pointReads {
	if keepFrom == 0 {
		keepFrom = defaultKeepFrom
	}
	return &pointReads{
		db:       db,
		fail:     fail,
		keepFrom: keepFrom,
		idle:     sync.Pool{New: func() any { return new(pointReader) }},
		open:     make(map[*pointReader]struct{}),
	}
}

// changed makes the iterators that are kept stale. It is called when a commit
// is visible, before the Update returns or lets go of its scopes.
func (p *pointReads) changed() { p.changes.Add(1) }

// get calls fn with the value of key, if there is one.
func (p *pointReads) get(key []byte, fn func([]byte) error) (bool, error) {
	if len(key) == 0 {
		// Pebble's checks in race builds stumble over it.
		return get(p.db, key, fn)
	}
	r, _ := p.idle.Get().(*pointReader)
	defer p.idle.Put(r)
	if !r.mu.TryLock() {
		return get(p.db, key, fn)
	}
	defer r.mu.Unlock()
	if !p.isOpen(r) {
		return get(p.db, key, fn)
	}
	if !r.it.SeekPrefixGE(key) {
		err := r.it.Error()
		if err != nil {
			p.drop(r)
		}
		return false, engineError(err)
	}
	value, err := r.it.ValueAndErr()
	if err != nil {
		p.drop(r)
		return false, engineError(err)
	}
	return true, fn(value)
}

// isOpen tells whether r, which is locked, has an iterator that sees every
// commit, and opens one where that is worth it.
func (p *pointReads) isOpen(r *pointReader) bool {
	if now := p.changes.Load(); r.changes != now {
		p.drop(r)
		r.changes, r.reads = now, 0
	}
	if r.it != nil {
		return true
	}
	if r.reads++; r.reads < p.keepFrom || p.fail.engine() != nil {
		return false
	}
	it, err := p.db.NewIter(nil)
	if err != nil {
		return false // what is wrong, the read itself will find
	}
	r.it = it
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[r] = struct{}{}
	return true
}

// drop closes the iterator of r, which is locked, if it has one.
func (p *pointReads) drop(r *pointReader) {
	if r.it == nil {
		return
	}
	if p.fail.engine() == nil {
		_ = r.it.Close() // an error of a read, which has been returned
	}
	r.it = nil
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, r)
}

// dropIdle closes every iterator that is not at work, and makes the others
// stale. At the end of a Store none is at work.
func (p *pointReads) dropIdle() {
	p.changed()
	for _, r := range p.readers() {
		if r.mu.TryLock() {
			p.drop(r)
			r.mu.Unlock()
		}
	}
}

// readers returns those that have an iterator.
func (p *pointReads) readers() []*pointReader {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*pointReader, 0, len(p.open))
	for r := range p.open {
		all = append(all, r)
	}
	return all
}
