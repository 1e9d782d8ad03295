package recordcache

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"

	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
)

// Cache keeps encoded records as they are stored. They are shared and never
// changed. Encoded they take less memory than decoded, hold no pointers that the
// garbage collector would have to follow, and decoding one costs less than
// copying one for the caller, which can't be saved.
//
// It is safe for concurrent use, by the rules of the package.
type Cache struct {
	entries *otter.Cache[productkey.Key, []byte]
	lookups *stats.Counter
	seed    maphash.Seed
	// lately holds fingerprints of keys that were wanted and not there, each in
	// the slot that it hashes to. Blocks of slots are made when they are needed
	// first: a process may have many catalogs of which few are in use.
	lately  []atomic.Pointer[[blockSlots]atomic.Uint32]
	stripes [stripeCount]stripe
}

const (
	stripeCount = 256
	// recordEntry estimates what an entry takes beside its strings and bytes.
	recordEntry = 150
	// bytesPerSlot is how much cache there is for each slot of lately: about a
	// record. With more slots uniform reads, which gain little by the cache, fill
	// it more often; with fewer a skewed load finds less of what it wants again.
	bytesPerSlot = 1024
	// maxSlots bounds the memory of lately: 16 MiB.
	maxSlots = 4 << 20
	// blockSlots is how many slots are made together.
	blockSlots = 64
)

// stripe orders the writers and fillers of the keys that hash to it.
type stripe struct {
	// mu guards the fields, and changes of entries of this stripe. No lock is
	// taken under it but otter's own.
	mu    sync.Mutex
	marks int    // writers at work
	epoch uint64 // counts marks
	_     [40]byte
}

// Token is the state of a stripe before a read. The zero Token fills nothing.
type Token struct {
	epoch uint64
	ok    bool
}

// New returns a cache of about so many bytes, keys and upkeep included.
func New(bytes int64) *Cache {
	slots := 1 << bits.Len64(uint64(min(max(bytes/bytesPerSlot, blockSlots), maxSlots)-1))
	lookups := stats.NewCounter()
	return &Cache{
		lookups: lookups,
		entries: otter.Must(&otter.Options[productkey.Key, []byte]{
			MaximumWeight: uint64(bytes),
			Weigher: func(k productkey.Key, record []byte) uint32 {
				return uint32(recordEntry + len(k.Account) + len(k.ID) + len(record))
			},
			// Upkeep runs in the caller's goroutine: it is short, and then
			// nothing is left running when the catalog is closed.
			Executor:      func(fn func()) { fn() },
			StatsRecorder: lookups,
		}),
		seed:   maphash.MakeSeed(),
		lately: make([]atomic.Pointer[[blockSlots]atomic.Uint32], slots/blockSlots),
	}
}

// Get returns the record of k, which must not be changed.
func (c *Cache) Get(k productkey.Key) ([]byte, bool) {
	return c.entries.GetIfPresent(k)
}

// Lookups returns how many calls of Get found an entry, and how many did not.
func (c *Cache) Lookups() (hits, misses uint64) {
	s := c.lookups.Snapshot()
	return s.Hits, s.Misses
}

// BeforeRead returns what Fill needs; it is called before the read of the store.
// The token of a key that was not asked for lately fills nothing.
func (c *Cache) BeforeRead(k productkey.Key) Token {
	hash := maphash.Comparable(c.seed, k)
	if !c.wantedAgain(hash) {
		return Token{}
	}
	s := c.stripe(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return Token{s.epoch, s.marks == 0}
}

// Fills reports whether Fill may keep the record. Where it does not the caller
// need not read it into memory that it could leave there.
func (t Token) Fills() bool { return t.ok }

// Fill keeps record, which was read from the store after t was taken, unless it
// may have been replaced since, or is not worth it. It reports whether it did:
// then record is shared from now on and must not be changed.
func (c *Cache) Fill(k productkey.Key, t Token, record []byte) (shared bool) {
	if !t.ok {
		return false
	}
	s := c.stripe(maphash.Comparable(c.seed, k))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.marks > 0 || s.epoch != t.epoch {
		return false
	}
	c.entries.Set(k, record)
	return true
}

// Mark takes the entry of k out, if there is one, and keeps readers from
// filling it until Unmark. wanted says whether the new record is worth a Put. The
// caller holds the scope of k.
func (c *Cache) Mark(k productkey.Key) (wanted bool) {
	hash := maphash.Comparable(c.seed, k)
	return c.mark(k, hash) || c.wantedAgain(hash)
}

// MarkGone is Mark of a product that is removed: there will be no record to Put.
func (c *Cache) MarkGone(k productkey.Key) { c.mark(k, maphash.Comparable(c.seed, k)) }

// mark reports whether there was an entry.
func (c *Cache) mark(k productkey.Key, hash uint64) (cached bool) {
	s := c.stripe(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks++
	s.epoch++
	// A look is cheaper, and most are not there. None can come in between: what sets an
	// entry holds the stripe.
	if _, cached = c.entries.GetEntryQuietly(k); cached {
		c.entries.Invalidate(k)
	}
	return cached
}

// Put keeps record, which is visible now and must not be changed any more. The
// caller has k marked.
func (c *Cache) Put(k productkey.Key, record []byte) {
	s := c.stripe(maphash.Comparable(c.seed, k))
	s.mu.Lock()
	defer s.mu.Unlock()
	c.entries.Set(k, record)
}

// Unmark ends one Mark: what the store has of k is what it will have.
func (c *Cache) Unmark(k productkey.Key) {
	s := c.stripe(maphash.Comparable(c.seed, k))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks--
}

// Clear drops every entry, and keeps out what readers have read before.
func (c *Cache) Clear() {
	for i := range c.stripes {
		s := &c.stripes[i]
		s.mu.Lock()
		s.epoch++
		s.mu.Unlock()
	}
	c.entries.InvalidateAll()
}

// Bytes estimates how much memory the entries take.
func (c *Cache) Bytes() int64 { return int64(c.entries.WeightedSize()) }

// wantedAgain notes that a key that is not in the cache is wanted, and reports
// whether that was so lately.
func (c *Cache) wantedAgain(hash uint64) bool {
	slot := c.slot(hash >> 32)
	fingerprint := uint32(hash)
	if slot.Load() == fingerprint {
		return true
	}
	slot.Store(fingerprint)
	return false
}

// slot returns the slot of lately that a hash leads to.
func (c *Cache) slot(hash uint64) *atomic.Uint32 {
	p := &c.lately[hash/blockSlots&uint64(len(c.lately)-1)]
	block := p.Load()
	if block == nil {
		block = new([blockSlots]atomic.Uint32)
		if !p.CompareAndSwap(nil, block) {
			block = p.Load() // another was faster
		}
	}
	return &block[hash%blockSlots]
}

func (c *Cache) stripe(hash uint64) *stripe {
	return &c.stripes[hash%stripeCount]
}
