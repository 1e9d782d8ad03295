package catalog

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/catalog/internal/uses"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// errMoreScopes ends a run of an Update that met blobs whose scopes it had not
// declared.
var errMoreScopes = errors.New("more scopes are needed")

// tx is an Update on products. Every change of a product goes through its
// write method, and nothing else changes one.
type tx struct {
	c      *Catalog
	scopes []backend.Scope // declared
	// declaredSet is scopes, made when many are asked for.
	declaredSet map[backend.Scope]struct{}
	missing     []backend.Scope // found to be needed
	marked      []marked        // in the record cache: what was written
	counted     []uses.Renewal
	begun       int64     // the first time that was read of those that are counted
	expired     []Expired // products whose expiry this commits
	visible     bool      // it has committed, where there are some
	key         []byte    // reused
	value       []byte    // reused
	// fetched are the encodings of records that were read ahead, nil where there
	// is none, until they are loaded.
	fetched map[productkey.Key][]byte

	ctx context.Context // that of the callback
	txn backend.Txn
	now int64

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

// marked is a product that an Update has marked in the record cache.
type marked struct {
	key    productkey.Key
	wanted bool // see recordcache.Cache.Mark
}

// found is a product as an Update found it.
type found struct {
	account, id string
	// stored is the record as the store has it, nil if there is none, and size
	// the length of its encoding.
	stored *encoding.Record
	size   int
	// live is stored with a pending use folded in; nil if it has expired.
	live *encoding.Record
}

// update runs fn in an Update of the backend. fn may run more than once, as
// that of backend.Update. The scopes of blobs that fn lets go of need not be
// declared: update starts again with those that it met.
func (c *Catalog) update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(*tx) error) error {
	t, ok := c.txs.Get().(*tx)
	if !ok {
		t = &tx{c: c}
	}
	t.scopes = scopes
	defer t.recycle()
	for {
		err := c.backend.Update(ctx, t.scopes, o, func(ctx context.Context, txn backend.Txn) error {
			t.ctx, t.txn, t.now = ctx, txn, c.now.Now()
			t.missing, t.expired, t.visible, t.hasFirst, t.fetched = t.missing[:0], nil, false, false, nil
			err := fn(t)
			if err == nil && len(t.missing) > 0 {
				err = errMoreScopes
			}
			return err
		})
		t.unmark()
		if len(t.expired) > 0 {
			t.reportExpired(o, err)
		}
		if !errors.Is(err, errMoreScopes) {
			return err
		}
		t.scopes, t.declaredSet = append(slices.Clone(t.scopes), t.missing...), nil
	}
}

// maxReused bounds, in bytes, the memory that a tx keeps for the next one.
const maxReused = 64 << 10

// recycle leaves the memory of t to the next Update.
func (t *tx) recycle() {
	if cap(t.value) > maxReused || cap(t.missing) > 0 || cap(t.marked) > manyBatch || cap(t.counted) > manyBatch {
		return
	}
	clear(t.marked[:cap(t.marked)])
	*t = tx{c: t.c, marked: t.marked[:0], counted: t.counted[:0], key: t.key[:0], value: t.value[:0]}
	t.c.txs.Put(t)
}

// reportExpired hands what an Update with the result err expired to
// Options.OnExpire.
func (t *tx) reportExpired(o backend.UpdateOptions, err error) {
	switch {
	case err == nil && !o.Buffered:
		t.c.hooks.Add(t.expired, nil)
	case err == nil, t.visible && errors.Is(err, backend.ErrUnknownOutcome):
		t.c.hooks.Add(t.expired, t.scopes)
	}
}

// uncount says that the Update can renew nothing any more: it is visible, or has
// failed.
func (t *tx) uncount() {
	if len(t.counted) == 0 {
		return
	}
	now := t.c.now.Now()
	for _, r := range t.counted {
		r.End(t.begun, now)
	}
	t.counted = t.counted[:0]
}

// unmark ends what the Update did to the record cache and the renewals.
func (t *tx) unmark() {
	t.uncount()
	for _, m := range t.marked {
		t.c.cache.Unmark(m.key)
	}
	t.marked = t.marked[:0]
}

// load reads a product whose scope is declared, and the time.
func (t *tx) load(account, id string) (f *found, err error) {
	first := len(t.counted) == 0
	if first {
		t.txn.OnVisible(t.uncount)
	}
	t.counted = append(t.counted, t.c.renewals.Begin(productkey.Of(account, id)))
	t.now = t.c.now.Now()
	if first {
		t.begun = t.now
	}
	f, stored := t.space()
	*f = found{account: account, id: id}
	if f.size, err = t.stored(productkey.Of(account, id), stored); err != nil || f.size == 0 {
		return f, err
	}
	f.stored = stored
	if live := t.c.uses.On(stored); isLive(live, t.now) {
		f.live = live
	}
	return f, nil
}

// space returns memory for a product and its record.
func (t *tx) space() (*found, *encoding.Record) {
	if t.hasFirst {
		return new(found), new(encoding.Record)
	}
	t.hasFirst = true
	t.first.record.Images = t.first.images[:0]
	return &t.first.found, &t.first.record
}

// fetch reads ahead the records of products that will be loaded once each, whose
// scopes are declared: together they cost less, above all those of products
// that do not exist.
func (t *tx) fetch(products []productkey.Key) error {
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
	return t.txn.GetMany(t.ctx, keys, func(i int, value []byte) error {
		t.fetched[fetched[i]] = bytes.Clone(value)
		return nil
	})
}

// cached returns what the cache has of a product. It may stand in for the store:
// whoever changes a product holds its scope and takes it out of the cache first.
func (t *tx) cached(k productkey.Key) ([]byte, bool) {
	if t.c.cache == nil || t.marking(k) != nil {
		return nil, false
	}
	return t.c.cache.Get(k)
}

// stored reads a record and returns the length of its encoding, 0 if there is
// none.
func (t *tx) stored(k productkey.Key, r *encoding.Record) (size int, err error) {
	data, ok := t.fetched[k]
	if ok {
		delete(t.fetched, k)
		if data == nil {
			return 0, nil
		}
	} else {
		data, ok = t.cached(k)
	}
	if ok {
		return len(data), encoding.DecodeRecordAliasing(data, r)
	}
	t.key = encoding.AppendProductKey(t.key[:0], k.Account, k.ID)
	_, err = t.txn.Get(t.ctx, t.key, func(value []byte) error {
		size = len(value)
		return encoding.DecodeRecordAliasing(bytes.Clone(value), r)
	})
	return size, err
}

// write replaces f.stored by next, nil to remove the product. Everything that
// hangs on a product's state hangs here: its record, its place in the list,
// its expiry entry, the fate of its image bytes, the index and the cache. The
// pending uses of a product that is removed stay for scans that began before;
// they are of its incarnation only, and go when they have been folded.
// incoming are the blobs that next may refer to beside those of the old state.
// A *ValidationError about one of them or the record's size, or an unreadable
// header, comes before anything is written.
func (t *tx) write(f *found, next *encoding.Record, incoming []*incomingBlob) error {
	if next != nil {
		if err := t.checkSize(next); err != nil {
			return err
		}
	}
	claims, err := t.checkClaims(f, next, incoming)
	if err != nil {
		return err
	}
	released, err := t.checkReleases(f, next)
	if err != nil {
		return err
	}
	wanted := t.markCache(productkey.Of(f.account, f.id))
	if err := t.writeExpiry(f, next); err != nil {
		return err
	}
	if err := t.writeListed(f, next); err != nil {
		return err
	}
	if err := t.writeBlobs(f, next, claims, released); err != nil {
		return err
	}
	if err := t.writeRecord(f, next, wanted); err != nil {
		return err
	}
	f.stored, f.size = next, len(t.value)
	return nil
}

// markCache marks k in the record cache, once per Update, and tells whether its
// new record should be put there.
func (t *tx) markCache(k productkey.Key) (wanted bool) {
	if t.c.cache == nil {
		return false
	}
	if m := t.marking(k); m != nil {
		return m.wanted
	}
	wanted = t.c.cache.Mark(k)
	t.marked = append(t.marked, marked{k, wanted})
	return wanted
}

// marking returns the mark of k, nil if there is none.
func (t *tx) marking(k productkey.Key) *marked {
	for i := range t.marked {
		if t.marked[i].key == k {
			return &t.marked[i]
		}
	}
	return nil
}

// checkSize refuses a record that the backend can't keep: limits may be set so
// that one fits into them and not into a value.
func (t *tx) checkSize(next *encoding.Record) error {
	limit := t.c.maxValueSize
	size := len(next.Title) + len(next.Description) + len(next.Metadata)
	for i := range next.Images {
		size += len(next.Images[i].URL) + len(next.Images[i].Classifications)
	}
	if limit == 0 || size < limit/2 || len(encoding.AppendRecord(nil, next)) <= limit {
		return nil
	}
	return invalid("", CodeValidationFailed, "the product is larger than the %d bytes that the store takes of one", limit)
}

// writeRecord writes next, and has the cache follow if it is wanted there.
func (t *tx) writeRecord(f *found, next *encoding.Record, wanted bool) error {
	t.key = encoding.AppendProductKey(t.key[:0], f.account, f.id)
	if next == nil {
		return t.txn.Delete(t.key, f.size)
	}
	t.value = encoding.AppendRecord(t.value[:0], next)
	if wanted {
		k, record := productkey.Of(f.account, f.id), slices.Clone(t.value)
		t.txn.OnVisible(func() { t.c.cache.Put(k, record) })
	}
	return t.txn.Put(t.key, t.value)
}

func (t *tx) writeListed(f *found, next *encoding.Record) error {
	was, is := f.stored != nil && f.stored.Listed, next != nil && next.Listed
	if was == is {
		return nil
	}
	t.key = encoding.AppendListedKey(t.key[:0], f.account, f.id)
	if is {
		return t.txn.Put(t.key, nil)
	}
	return t.txn.Delete(t.key, 0)
}

// writeExpiry keeps the product's current expiry entry, whose deadline is the
// record's IndexedAt, at or before the product's deadline. An entry that lies
// in the future and early enough stays: the sweeper moves it when it is due.
func (t *tx) writeExpiry(f *found, next *encoding.Record) error {
	was, is := int64(encoding.None), int64(encoding.None)
	if f.stored != nil {
		was = f.stored.IndexedAt
	}
	if next != nil {
		is = next.ExpiresAt()
		if is != encoding.None && was != encoding.None && t.now < was && was <= is {
			is = was
		}
		next.IndexedAt = is
	}
	if was == is {
		return nil
	}
	e := encoding.Expiry{Kind: encoding.ExpiryProduct, Account: f.account, ID: f.id}
	if was != encoding.None {
		e.Deadline = was
		if err := t.deleteExpiry(e); err != nil {
			return err
		}
	}
	if is != encoding.None {
		e.Deadline = is
		return t.putExpiry(e)
	}
	return nil
}

// writeBlobs lets go of the released blobs and makes the claimed ones next's
// own.
func (t *tx) writeBlobs(f *found, next *encoding.Record, claims []*incomingBlob, released []release) error {
	for _, r := range released {
		if err := t.releaseBlob(f.account, r); err != nil {
			return err
		}
	}
	for _, b := range claims {
		if err := t.claimBlob(next, b); err != nil {
			return err
		}
	}
	return nil
}

// putExpiry and deleteExpiry write an entry of the expiry space and have the
// index follow once that is visible.
func (t *tx) putExpiry(e encoding.Expiry) error {
	e.Shard = encoding.Shard(e.Account, e.ID, t.c.shards)
	t.key = encoding.AppendExpiryKey(t.key[:0], e)
	entry := indexEntry(e.Deadline, t.key)
	t.txn.OnVisible(func() { t.c.addToIndex(entry) })
	return t.txn.Put(t.key, nil)
}

func (t *tx) deleteExpiry(e encoding.Expiry) error {
	e.Shard = encoding.Shard(e.Account, e.ID, t.c.shards)
	t.key = encoding.AppendExpiryKey(t.key[:0], e)
	entry := indexEntry(e.Deadline, t.key)
	t.txn.OnVisible(func() { t.c.index.Remove(entry) })
	return t.txn.Delete(t.key, 0)
}

// indexEntry is the index's form of an entry of the expiry space.
func indexEntry(deadline int64, key []byte) ttl.Entry {
	return ttl.Entry{Deadline: deadline, Key: string(key)}
}

// manyScopes is the number of scopes from which a map finds one faster.
const manyScopes = 64

// declared tells whether the Update may touch what s names.
func (t *tx) declared(s backend.Scope) bool {
	group := backend.Scope{Group: s.Group}
	if len(t.scopes) < manyScopes {
		return slices.Contains(t.scopes, s) || slices.Contains(t.scopes, group)
	}
	if t.declaredSet == nil {
		t.declaredSet = make(map[backend.Scope]struct{}, len(t.scopes))
		for _, c := range t.scopes {
			t.declaredSet[c] = struct{}{}
		}
	}
	_, item := t.declaredSet[s]
	_, whole := t.declaredSet[group]
	return item || whole
}

func productScope(account, id string) backend.Scope {
	group, item := encoding.ProductScope(account, id)
	return backend.Scope{Group: group, Item: item}
}

func blobScope(account string, id encoding.BlobID) backend.Scope {
	group, item := encoding.BlobScope(account, id)
	return backend.Scope{Group: group, Item: item}
}
