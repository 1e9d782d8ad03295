package postgres

import (
	"github.com/maypok86/otter/v2"
)

// A row is what the table has for a key.
type row struct {
	value []byte
	ver   int64 // 0 where there is no row
}

// rowCache keeps what Updates of this process read and wrote. An entry may be
// out of date, as other processes write too: a reader of one validates its
// version when it commits. A nil rowCache is empty.
type rowCache struct{ rows *otter.Cache[string, row] }

// maxCached is the size of the largest value that is worth its place: pieces of
// images are written once and not read in Updates.
const maxCached = 64 << 10

const rowOverhead = 96 // of an entry, beside its key and value

func newRowCache(size int) (*rowCache, error) {
	if size < 0 {
		return nil, nil
	}
	rows, err := otter.New(&otter.Options[string, row]{
		MaximumWeight: uint64(size),
		// In the goroutine that writes: to have another one begin costs more.
		Executor: func(fn func()) { fn() },
		Weigher:  func(k string, r row) uint32 { return uint32(len(k) + len(r.value) + rowOverhead) },
	})
	if err != nil {
		return nil, err
	}
	return &rowCache{rows}, nil
}

func (c *rowCache) get(key string) (row, bool) {
	if c == nil {
		return row{}, false
	}
	return c.rows.GetIfPresent(key)
}

// put takes r, whose value must not change any more. Values that are too large,
// and absent rows, are dropped instead.
func (c *rowCache) put(key string, r row) {
	if c == nil {
		return
	}
	if r.ver == 0 || len(r.value) > maxCached {
		c.drop(key)
		return
	}
	c.rows.Set(key, r)
}

func (c *rowCache) drop(key string) {
	if c == nil {
		return
	}
	// Most of what is removed was never here, and a look costs less than a removal.
	if _, ok := c.rows.GetEntryQuietly(key); ok {
		c.rows.Invalidate(key)
	}
}

func (c *rowCache) clear() {
	if c != nil {
		c.rows.InvalidateAll()
	}
}
