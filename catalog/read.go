package catalog

import (
	"context"

	"github.com/shelflife-db/shelflife/encoding"
)

// reading is a read of one record, with memory that the next one reuses.
type reading struct {
	// record is what was read, with a pending use on top after seeUse. Its
	// strings last as long as they are referred to; the raw JSON is for the
	// reader to give away if owned, else shared and not to be changed.
	record encoding.Record
	owned  bool

	key  []byte
	data []byte
	// keep copies a value of the store into data. It is r.keepValue, bound
	// once and not for every read.
	keep func(value []byte) error
}

// maxReusedImages bounds what a reading keeps of the memory of a large record.
const maxReusedImages = 64

// Get returns a live product, whether it is listed or not, or ErrNotFound.
func (c *Catalog) Get(ctx context.Context, account, externalID string) (*Product, error) {
	r := c.newReading()
	defer c.endReading(r)
	if err := c.get(ctx, account, externalID, r); err != nil {
		return nil, wrap("get", externalID, err)
	}
	return newProduct(&r.record, r.owned), nil
}

// get reads the live record of a product with its pending use, or fails with
// ErrNotFound.
func (c *Catalog) get(ctx context.Context, account, id string, r *reading) error {
	if err := checkNames(account, id); err != nil {
		return err
	}
	if err := c.calls.Enter(); err != nil {
		return err
	}
	defer c.calls.Exit()
	k := productKey{account, id}
	now := c.now.Now()
	pending := c.uses.get(k)
	found, err := c.read(ctx, k, r)
	if err != nil {
		return err
	}
	if !found {
		return ErrNotFound
	}
	if pending.see(&r.record); !isLive(&r.record, now) {
		return ErrNotFound
	}
	return nil
}

// read reads a record as it is stored; found is false if there is none.
func (c *Catalog) read(ctx context.Context, k productKey, r *reading) (found bool, err error) {
	var token fillToken
	if c.cache != nil {
		if data, ok := c.cache.get(k); ok {
			r.owned = false
			return true, encoding.DecodeRecordAliasing(data, &r.record)
		}
		token = c.cache.beforeRead(k)
	}
	r.key = encoding.AppendProductKey(r.key[:0], k.account, k.id)
	if found, err = c.backend.Get(ctx, r.key, r.keep); err != nil || !found {
		return false, err
	}
	if err := encoding.DecodeRecordAliasing(r.data, &r.record); err != nil {
		return false, err
	}
	r.owned = !token.ok
	if token.ok {
		c.cache.fill(k, token, r.data)
	}
	return true, nil
}

func (c *Catalog) newReading() *reading {
	if r, ok := c.readings.Get().(*reading); ok {
		return r
	}
	r := new(reading)
	r.keep = r.keepValue
	return r
}

// endReading takes r back. Nothing of it may be used any more but what its
// strings and slices refer to.
func (c *Catalog) endReading(r *reading) {
	images := r.record.Images
	if cap(images) > maxReusedImages {
		images = nil
	}
	clear(images)
	r.record = encoding.Record{Images: images[:0]}
	r.data = nil
	c.readings.Put(r)
}

func (r *reading) keepValue(value []byte) error {
	r.data = append([]byte(nil), value...)
	return nil
}
