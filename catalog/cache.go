package catalog

import (
	"hash/maphash"
	"sync"

	"github.com/maypok86/otter/v2"

	"github.com/shelflife-db/shelflife/encoding"
)

// productKey identifies a product.
type productKey struct {
	account, id string
}

// recordCache keeps decoded records as they are stored. Records in it are
// shared and never changed.
//
// It never serves a record that the store has replaced: a writer, who holds
// the product's scope, marks the key before it changes anything, which takes
// the entry out and keeps readers from filling it; puts the new record when it
// is visible; and unmarks the key when the Update has ended. A reader fills
// only what it read while nobody had the key marked. So whoever holds the scope
// may take an entry in place of a read. This needs a backend on which nobody
// else writes.
type recordCache struct {
	entries *otter.Cache[productKey, *encoding.Record]
	seed    maphash.Seed
	stripes [cacheStripes]cacheStripe
}

const cacheStripes = 256

// cacheStripe orders the writers and fillers of the keys that hash to it.
type cacheStripe struct {
	// mu guards the fields, and changes of entries of this stripe. No lock is
	// taken under it but otter's own.
	mu    sync.Mutex
	marks int    // writers at work
	epoch uint64 // counts marks
	_     [40]byte
}

// fillToken is the state of a stripe before a read.
type fillToken struct {
	epoch uint64
	ok    bool
}

func newRecordCache(bytes int64) *recordCache {
	return &recordCache{
		entries: otter.Must(&otter.Options[productKey, *encoding.Record]{
			MaximumWeight: uint64(bytes),
			Weigher:       func(_ productKey, r *encoding.Record) uint32 { return recordWeight(r) },
			// Upkeep runs in the caller's goroutine: it is short, and then
			// nothing is left running when the catalog is closed.
			Executor: func(fn func()) { fn() },
		}),
		seed: maphash.MakeSeed(),
	}
}

func (c *recordCache) get(k productKey) (*encoding.Record, bool) {
	return c.entries.GetIfPresent(k)
}

// beforeRead returns what fill needs to know; to be called before the read.
func (c *recordCache) beforeRead(k productKey) fillToken {
	s := c.stripe(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	return fillToken{s.epoch, s.marks == 0}
}

// fill keeps r, which was read from the store after t was taken.
func (c *recordCache) fill(k productKey, t fillToken, r *encoding.Record) {
	if !t.ok {
		return
	}
	s := c.stripe(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.marks == 0 && s.epoch == t.epoch {
		c.entries.Set(k, r)
	}
}

// mark takes the entry of k out, if there is one, and keeps readers from
// filling it until unmark. The caller holds the scope of k.
func (c *recordCache) mark(k productKey) {
	s := c.stripe(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks++
	s.epoch++
	c.entries.Invalidate(k)
}

// put keeps r, which is visible now. The caller has k marked.
func (c *recordCache) put(k productKey, r *encoding.Record) {
	s := c.stripe(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.entries.Set(k, r)
}

func (c *recordCache) unmark(k productKey) {
	s := c.stripe(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks--
}

func (c *recordCache) stripe(k productKey) *cacheStripe {
	return &c.stripes[maphash.Comparable(c.seed, k)%cacheStripes]
}

// recordWeight estimates the memory of a cached record in bytes.
func recordWeight(r *encoding.Record) uint32 {
	const record, image, entry = 300, 180, 120
	n := record + entry + len(r.Account) + len(r.ID) + len(r.Title) + len(r.Description) + len(r.Metadata)
	for i := range r.Images {
		img := &r.Images[i]
		n += image + len(img.URL) + len(img.ContentType) + len(img.Classifications)
	}
	return uint32(n)
}
