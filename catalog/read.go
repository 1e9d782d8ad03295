package catalog

import (
	"context"

	"github.com/shelflife-db/shelflife/encoding"
)

// Get returns a live product, whether it is listed or not, or ErrNotFound.
func (c *Catalog) Get(ctx context.Context, account, externalID string) (*Product, error) {
	r, err := c.get(ctx, account, externalID)
	if err != nil {
		return nil, wrap("get", externalID, err)
	}
	return newProduct(r), nil
}

// get returns the live record of a product with its pending use. The record
// may be shared and must not be changed.
func (c *Catalog) get(ctx context.Context, account, id string) (*encoding.Record, error) {
	if err := checkNames(account, id); err != nil {
		return nil, err
	}
	if err := c.calls.Enter(); err != nil {
		return nil, err
	}
	defer c.calls.Exit()
	k := productKey{account, id}
	now := c.now.Now()
	pending := c.uses.get(k)
	r, err := c.read(ctx, k)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, ErrNotFound
	}
	if r = pending.on(r); !isLive(r, now) {
		return nil, ErrNotFound
	}
	return r, nil
}

// read returns a record as it is stored, nil if there is none. It may be
// shared and must not be changed.
func (c *Catalog) read(ctx context.Context, k productKey) (r *encoding.Record, err error) {
	var token fillToken
	if c.cache != nil {
		if r, ok := c.cache.get(k); ok {
			return r, nil
		}
		token = c.cache.beforeRead(k)
	}
	var space [128]byte
	key := encoding.AppendProductKey(space[:0], k.account, k.id)
	_, err = c.backend.Get(ctx, key, func(value []byte) error {
		r = new(encoding.Record)
		return encoding.DecodeRecord(value, r)
	})
	if err == nil && r != nil && c.cache != nil {
		c.cache.fill(k, token, r)
	}
	return r, err
}
