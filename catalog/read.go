package catalog

import (
	"context"

	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/catalog/internal/recordcache"
	"github.com/shelflife-db/shelflife/encoding"
)

// stored is a record as it was read, decoded up to its images.
type stored struct {
	encoding.Record
	images encoding.Images
	// shared says that raw JSON must be copied before it is given away.
	shared bool
}

// Get returns a live product, whether it is listed or not, or ErrNotFound.
func (c *Catalog) Get(ctx context.Context, account, externalID string) (*Product, error) {
	p, err := c.get(ctx, account, externalID)
	return p, c.wrap("get", externalID, err)
}

func (c *Catalog) get(ctx context.Context, account, id string) (*Product, error) {
	var s stored
	if err := c.readLive(ctx, account, id, &s); err != nil {
		return nil, err
	}
	return s.product()
}

// readLive is a call that reads the live record of a product, with its pending
// use on top, or fails with ErrNotFound.
func (c *Catalog) readLive(ctx context.Context, account, id string, s *stored) error {
	if err := checkNames(account, id); err != nil {
		return err
	}
	if err := c.calls.Enter(); err != nil {
		return err
	}
	defer c.calls.Exit()
	return c.lookLive(ctx, productkey.Of(account, id), s)
}

// read reads a record as it is stored; found is false if there is none.
func (c *Catalog) read(ctx context.Context, k productkey.Key, s *stored) (found bool, err error) {
	data, shared, err := c.readEncoded(ctx, k)
	if err != nil || data == nil {
		return false, err
	}
	s.shared = shared
	s.images, err = encoding.BeginRecord(data, &s.Record)
	return err == nil, err
}

// product decodes the rest and returns the product, which is the caller's.
func (s *stored) product() (*Product, error) { return s.productIn(new(productMemory)) }

// productIn is product, with memory for it, which is zero.
func (s *stored) productIn(m *productMemory) (*Product, error) {
	if err := m.decode(&s.Record, s.images); err != nil {
		return nil, err
	}
	if s.shared {
		m.product.copyRaw()
	}
	return &m.product, nil
}

// readEncoded returns the encoding of a record as it is stored, nil if there is
// none.
func (c *Catalog) readEncoded(ctx context.Context, k productkey.Key) (data []byte, shared bool, err error) {
	var token recordcache.Token
	if c.cache != nil {
		if data, ok := c.cache.Get(k); ok {
			return data, true, nil
		}
		token = c.cache.BeforeRead(k)
	}
	q, ok := c.queries.Get().(*query)
	if !ok {
		q = new(query)
		q.keep = q.keepValue
	}
	q.key = encoding.AppendProductKey(q.key[:0], k.Account, k.ID)
	found, err := c.backend.Get(ctx, q.key, q.keep)
	data, q.data = q.data, nil
	c.queries.Put(q)
	if err != nil || !found {
		return nil, false, err
	}
	return data, c.cache != nil && c.cache.Fill(k, token, data), nil
}

// query is what a read of the backend needs, reused.
type query struct {
	key  []byte
	data []byte
	// keep is keepValue, bound once and not for every read.
	keep func(value []byte) error
}

// keepValue copies a value that the backend lends.
func (q *query) keepValue(value []byte) error {
	q.data = append([]byte(nil), value...)
	return nil
}
