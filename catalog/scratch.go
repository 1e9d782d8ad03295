package catalog

import (
	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
)

// scratch is the memory that a tx works in. It is reused by the next one.
type scratch struct {
	key, value []byte
	entry      []byte // the value of a listed or an expiry entry
	// fetched are the encodings of records that were read ahead, nil where there
	// is none, until they are loaded.
	fetched map[productkey.Key][]byte
	// first is memory for the record that load finds first: most Updates are of
	// one product.
	first    firstRecord
	hasFirst bool
}

// firstRecord is a stored record with memory for its images. Nothing of it but
// what its strings and raw JSON refer to outlives the Update.
type firstRecord struct {
	found  found
	record encoding.Record
	images [inlineImages]encoding.Image
}

// begin is called when a run of the Update begins.
func (s *scratch) begin() { s.hasFirst, s.fetched = false, nil }

// space returns memory for a product and its record.
func (s *scratch) space() (*found, *encoding.Record) {
	if s.hasFirst {
		return new(found), new(encoding.Record)
	}
	s.hasFirst = true
	s.first.record.Images = s.first.images[:0]
	return &s.first.found, &s.first.record
}

// maxReused bounds, in bytes, the memory that a tx keeps for the next one.
const maxReused = 64 << 10

// maxReusedMany bounds, in products, what it keeps of an Update of many: the sweeper's
// are of 128, and what is kept may have grown to more than they need.
const maxReusedMany = 256

// recycle makes t ready for another Update, in its memory, and reports whether that is
// to be kept: not where it has grown to more than most Updates need, unless that was
// in bulk and is for the next that is.
func (t *tx) recycle(bulk bool) bool {
	if !bulk && (cap(t.value) > maxReused || cap(t.missing) > 0 || cap(t.marked) > maxReusedMany || cap(t.counted) > maxReusedMany ||
		cap(t.written) > maxReusedMany || cap(t.indexKeys) > maxReused) {
		return false
	}
	clear(t.marked[:cap(t.marked)])
	*t = tx{
		c:       t.c,
		scratch: scratch{key: t.key[:0], value: t.value[:0], entry: t.entry[:0]},
		effects: effects{marked: t.marked[:0], counted: t.counted[:0], written: t.written[:0], indexed: t.indexed[:0], indexKeys: t.indexKeys[:0]},
	}
	return true
}

// fetchTogether is fetch where every read may be a request to a server: an
// engine in this process reads them as they come.
func (t *tx) fetchTogether(products []productkey.Key) error {
	if t.c.exclusive || len(products) < 2 {
		return nil
	}
	err := t.fetch(products, false)
	if encoding.IsUnreadable(err) {
		t.fetched = nil // reading one by one shows which
		return nil
	}
	return err
}

// fetch reads ahead the records of products that will be loaded once each, whose
// scopes are declared: together they cost less, above all those of products
// that do not exist. That none exists may be expected: see [backend.ExpectMissing].
func (t *tx) fetch(products []productkey.Key, missing bool) error {
	t.fetched = make(map[productkey.Key][]byte, len(products))
	keys := make([][]byte, 0, len(products))
	fetched := make([]productkey.Key, 0, len(products))
	var space []byte // of the keys
	for _, k := range products {
		if _, twice := t.fetched[k]; twice {
			continue
		}
		data, ok := t.cached(k)
		t.fetched[k] = data
		if !ok {
			begin := len(space)
			space = encoding.AppendProductKey(space, k.Account, k.ID)
			keys = append(keys, space[begin:])
			fetched = append(fetched, k)
		}
	}
	ctx := t.ctx
	if missing {
		ctx = backend.ExpectMissing(ctx)
	}
	return t.txn.GetMany(ctx, keys, func(i int, value []byte) error {
		t.fetched[fetched[i]] = append([]byte{}, value...) // not nil, which is absent
		return nil
	})
}
