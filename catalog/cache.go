package catalog

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/maypok86/otter/v2"
)

// productKey identifies a product.
type productKey struct {
	account, id string
}

// clone returns a key that shares no memory with k.
func (k productKey) clone() productKey {
	both := k.account + k.id
	return productKey{both[:len(k.account)], both[len(k.account):]}
}

// recordCache keeps encoded records as they are stored. They are shared and
// never changed. Encoded they take less memory than decoded, hold no pointers
// that the garbage collector would have to follow, and decoding one costs less
// than copying one for the caller, which nobody can save.
//
// It never serves a record that the store has replaced: a writer, who holds
// the product's scope, marks the key before it changes anything, which takes
// the entry out and keeps readers from filling it; puts the new record when it
// is visible; and unmarks the key when the Update has ended. A reader fills
// only what it read while nobody had the key marked. So whoever holds the scope
// may take an entry in place of a read. This needs a backend on which nobody
// else writes.
//
// A record is let in when it is wanted for the second time in a while. So a
// load that never comes back to a product, an import or a walk over a large
// catalog, neither pays for entries nor drives out those of others.
type recordCache struct {
	entries *otter.Cache[productKey, []byte]
	seed    maphash.Seed
	// lately holds fingerprints of keys that were wanted and not there, each in
	// the slot that it hashes to.
	lately  []atomic.Uint32
	stripes [cacheStripes]cacheStripe
}

const (
	cacheStripes = 256
	// recordEntry estimates what an entry takes beside its strings and bytes.
	recordEntry = 150
	// bytesPerSlot is how much cache there is for each slot of lately: about a
	// record. With more slots uniform reads, which gain little by the cache, fill
	// it more often; with fewer a skewed load finds less of what it wants again.
	bytesPerSlot = 1024
	// maxSlots bounds the memory of lately, which is taken at once: 16 MiB.
	maxSlots = 4 << 20
)

// cacheStripe orders the writers and fillers of the keys that hash to it.
type cacheStripe struct {
	// mu guards the fields, and changes of entries of this stripe. No lock is
	// taken under it but otter's own.
	mu    sync.Mutex
	marks int    // writers at work
	epoch uint64 // counts marks
	_     [40]byte
}

// fillToken is the state of a stripe before a read. The zero fillToken fills
// nothing.
type fillToken struct {
	epoch uint64
	ok    bool
}

func newRecordCache(bytes int64) *recordCache {
	slots := 1 << bits.Len64(uint64(min(max(bytes/bytesPerSlot, 1), maxSlots)-1))
	return &recordCache{
		entries: otter.Must(&otter.Options[productKey, []byte]{
			MaximumWeight: uint64(bytes),
			Weigher: func(k productKey, record []byte) uint32 {
				return uint32(recordEntry + len(k.account) + len(k.id) + len(record))
			},
			// Upkeep runs in the caller's goroutine: it is short, and then
			// nothing is left running when the catalog is closed.
			Executor: func(fn func()) { fn() },
		}),
		seed:   maphash.MakeSeed(),
		lately: make([]atomic.Uint32, slots),
	}
}

// get returns the record of k, which must not be changed.
func (c *recordCache) get(k productKey) ([]byte, bool) {
	return c.entries.GetIfPresent(k)
}

// beforeRead returns what fill needs to know; to be called before the read.
func (c *recordCache) beforeRead(k productKey) fillToken {
	hash := maphash.Comparable(c.seed, k)
	if !c.wantedAgain(hash) {
		return fillToken{}
	}
	s := c.stripe(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return fillToken{s.epoch, s.marks == 0}
}

// fill keeps record, which was read from the store after t was taken.
func (c *recordCache) fill(k productKey, t fillToken, record []byte) {
	if !t.ok {
		return
	}
	s := c.stripe(maphash.Comparable(c.seed, k))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.marks == 0 && s.epoch == t.epoch {
		c.entries.Set(k, record)
	}
}

// mark takes the entry of k out, if there is one, and keeps readers from
// filling it until unmark. wanted tells whether the record is worth a put. The
// caller holds the scope of k.
func (c *recordCache) mark(k productKey) (wanted bool) {
	hash := maphash.Comparable(c.seed, k)
	s := c.stripe(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks++
	s.epoch++
	_, cached := c.entries.Invalidate(k)
	return cached || c.wantedAgain(hash)
}

// put keeps record, which is visible now. The caller has k marked.
func (c *recordCache) put(k productKey, record []byte) {
	s := c.stripe(maphash.Comparable(c.seed, k))
	s.mu.Lock()
	defer s.mu.Unlock()
	c.entries.Set(k, record)
}

func (c *recordCache) unmark(k productKey) {
	s := c.stripe(maphash.Comparable(c.seed, k))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks--
}

// wantedAgain notes that a key that is not in the cache is wanted, and tells
// whether that was so lately.
func (c *recordCache) wantedAgain(hash uint64) bool {
	slot := &c.lately[hash>>32&uint64(len(c.lately)-1)]
	fingerprint := uint32(hash)
	if slot.Load() == fingerprint {
		return true
	}
	slot.Store(fingerprint)
	return false
}

func (c *recordCache) stripe(hash uint64) *cacheStripe {
	return &c.stripes[hash%cacheStripes]
}
