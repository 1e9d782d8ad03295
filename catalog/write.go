package catalog

import (
	"math"
	"math/bits"
	"slices"

	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// write replaces f.stored by next, nil to remove the product. Everything that
// hangs on a product's state hangs here: its record, its place in the list,
// its expiry entry, the fate of its image bytes, the index and the cache. The
// pending uses of a product that is removed stay for scans that began before;
// they are of its incarnation only, and go when they have been folded.
// incoming are the blobs that next may refer to beside those of the old state.
// A *ValidationError about one of them or the record's size, or an unreadable
// header, comes before anything is written.
func (t *tx) write(f *found, next *encoding.Record, incoming []*incomingBlob) error {
	// Everything that can refuse the write comes first. An Update goes on behind a
	// refused product, as UpsertMany's does, and would commit the half of it that was
	// written.
	if next != nil {
		if err := t.c.checkSize(next); err != nil {
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
	// The marks come before anything of the write can be visible. Until the Update has
	// ended no reader puts a record of the product into the cache, nor its lifetime into
	// the overlay: one that read the old record would leave it there for good. And no
	// list passes by the key as one at which nothing lives.
	var wanted bool
	if k := productkey.Of(f.account, f.id); f.alone {
		wanted = t.markAnew(k)
	} else {
		wanted = t.mark(k)
	}
	if next != nil {
		t.markWritten(f.account, f.id)
	}
	// Before the record, of which the deadline of its expiry entry is a part.
	was, is := t.index(f, next)
	if err := t.writeListed(f, next); err != nil {
		return err
	}
	if err := t.writeBlobs(f, next, claims, released); err != nil {
		return err
	}
	if err := t.writeRecord(f, next, wanted); err != nil {
		return err
	}
	t.grow(f.account, f.live, next)
	old, oldSize := f.stored, f.size
	// What else this Update does to the product begins from here.
	f.stored, f.size = next, len(t.value)
	t.decided(f)
	// Last, since the entry notes the size of the record.
	return t.writeExpiry(f, old, oldSize, was, is)
}

// checkSize refuses a record that the backend can't keep: limits may be set so
// that one fits into them and not into a value.
func (c *Catalog) checkSize(next *encoding.Record) error {
	limit := c.maxValueSize
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
	if f.stored != nil && f.stored.Incarnation != next.Incarnation {
		// What an edit replaces may stay in the backend's files for as long as it
		// likes, what is gone must not: say that this is.
		if err := t.txn.Delete(t.key, f.size); err != nil {
			return err
		}
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
		t.entry = encoding.AppendListedValue(t.entry[:0])
		return t.txn.Put(t.key, t.entry)
	}
	return t.txn.Delete(t.key, 0)
}

// index sets next.IndexedAt, the deadline of the product's current expiry entry,
// at or before the product's deadline. An entry that lies in the future and early
// enough stays: the sweeper moves it when it is due. It returns the deadlines of
// the entries before and after.
func (t *tx) index(f *found, next *encoding.Record) (was, is int64) {
	was, is = encoding.None, encoding.None
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
	return was, is
}

// writeExpiry writes the expiry entry of the product, whose record has been written:
// in place of one with another deadline, or of one that says of the record what is
// no longer so. old is the record before, and oldSize its length.
//
// No entry of a product may be left behind: where nothing says that the record must
// be read, the sweeper removes whatever product has the ID when the entry is due.
func (t *tx) writeExpiry(f *found, old *encoding.Record, oldSize int, was, is int64) error {
	e := encoding.Expiry{Kind: encoding.ExpiryProduct, Account: f.account, ID: f.id}
	if was != encoding.None && was != is {
		e.Deadline = was
		if err := t.deleteExpiry(e); err != nil {
			return err
		}
	}
	if is == encoding.None {
		return nil
	}
	e.Deadline = is
	v := expiryValue(f.stored, f.size)
	if was != is {
		return t.putExpiry(e, v)
	}
	if before := expiryValue(old, oldSize); before.Flags == v.Flags && bits.Len32(before.RecordSize) == bits.Len32(v.RecordSize) {
		return nil
	}
	return t.putExpiryValue(e, v)
}

// expiryValue returns what the expiry entry of a product says of its record,
// whose encoding is so long. It follows from the record alone, so that a writer
// of the record knows what the entry says, without a read of it.
func expiryValue(r *encoding.Record, size int) encoding.ExpiryValue {
	v := encoding.ExpiryValue{RecordSize: uint32(min(int64(size), math.MaxUint32))}
	if r.ExpiresAt() != r.IndexedAt {
		v.Flags |= encoding.ExpiryRenewed
	}
	if !r.Listed {
		v.Flags |= encoding.ExpiryUnlisted
	}
	for range blobsOf(r) {
		v.Flags |= encoding.ExpiryUploads
		break
	}
	return v
}

// writeBlobs makes the released blobs garbage and the claimed ones next's own.
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
func (t *tx) putExpiry(e encoding.Expiry, v encoding.ExpiryValue) error {
	if err := t.putExpiryValue(e, v); err != nil {
		return err
	}
	t.indexLater(e.Deadline, false)
	return nil
}

// putExpiryValue writes an entry, and leaves the index alone, which has its key
// already or does not want it yet.
func (t *tx) putExpiryValue(e encoding.Expiry, v encoding.ExpiryValue) error {
	e.Shard = encoding.Shard(e.Account, e.ID, t.c.shards)
	t.key = encoding.AppendExpiryKey(t.key[:0], e)
	t.entry = encoding.AppendExpiryValue(t.entry[:0], v)
	return t.txn.Put(t.key, t.entry)
}

func (t *tx) deleteExpiry(e encoding.Expiry) error {
	e.Shard = encoding.Shard(e.Account, e.ID, t.c.shards)
	t.key = encoding.AppendExpiryKey(t.key[:0], e)
	t.indexLater(e.Deadline, true)
	return t.txn.Delete(t.key, 0)
}

// indexLater has the index follow what the Update does to the entry t.key.
func (t *tx) indexLater(deadline int64, remove bool) {
	if len(t.indexed) == 0 {
		t.txn.OnVisible(t.indexVisible)
	}
	begin := len(t.indexKeys)
	t.indexKeys = append(t.indexKeys, t.key...)
	t.indexed = append(t.indexed, indexChange{deadline, begin, len(t.indexKeys), remove})
}

// indexEntry is the index's form of an entry of the expiry space.
func indexEntry(deadline int64, key []byte) ttl.Entry {
	return ttl.Entry{Deadline: deadline, Key: string(key)}
}
