package catalog

import (
	"context"

	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/catalog/internal/recordcache"
	"github.com/shelflife-db/shelflife/encoding"
)

// seen is a record as a reader sees it: its encoding, of which only the front has
// been decoded.
type seen struct {
	data []byte
	// header has the pending use on top, other than data.
	header encoding.Header
	// shared says that the cache has data too: raw JSON must be copied before it is
	// given away.
	shared bool
	// lends says that data, where the store is read for it and the cache does not take
	// it, may be the memory of lender, and good until endLoan.
	lends bool
	// lender is nil until the store is read: a record that is cached needs none.
	lender *query
	// key is that of the record where a walk has met it, lent as data is.
	key []byte
}

// set has s be the record that is encoded in data, and was verified.
func (s *seen) set(data []byte, shared bool) {
	s.data, s.shared = data, shared
	s.header = encoding.ViewChecked(data).Header()
}

// isLive reports whether the product lives at the time now.
func (s *seen) isLive(now int64) bool { return livesAt(s.header.ExpiresAt(), now) }

func (s *seen) version() Version { return Version{s.header.Incarnation, s.header.Edit} }

// stored is a record decoded but for its images.
type stored struct {
	encoding.Record
	images encoding.Images
}

// decode begins to decode the record, which has the pending use on top.
func (s *seen) decode(r *stored) (err error) {
	if r.images, err = encoding.BeginRecord(s.data, &r.Record); err != nil {
		return err
	}
	r.LastUsedAt, r.Anchor = s.header.LastUsedAt, s.header.Anchor
	return nil
}

// product returns the product, which is the caller's. It shares the memory of
// s.data.
func (s *seen) product() (*Product, error) { return s.productIn(new(productMemory)) }

// productIn is product, with memory for it, which is zero.
func (s *seen) productIn(m *productMemory) (*Product, error) {
	var r stored
	if err := s.decode(&r); err != nil {
		return nil, err
	}
	if err := m.decode(&r.Record, r.images); err != nil {
		return nil, err
	}
	if s.shared {
		m.product.copyRaw()
	}
	return &m.product, nil
}

// record decodes all of the record, which must not be changed.
func (s *seen) record() (*encoding.Record, error) {
	r := new(stored)
	if err := s.decode(r); err != nil {
		return nil, err
	}
	return &r.Record, r.images.Rest(&r.Record)
}

// Get returns a live product, whether it is listed or not, or ErrNotFound. Where it
// is only looked at, [Catalog.View] costs a fraction.
func (c *Catalog) Get(ctx context.Context, account, externalID string) (*Product, error) {
	ctx, call := c.begin(ctx, OpGet)
	p, err := c.get(ctx, account, externalID)
	return p, call.end(c.wrap("get", externalID, err))
}

func (c *Catalog) get(ctx context.Context, account, id string) (*Product, error) {
	var s seen
	if err := c.readLive(ctx, account, id, &s); err != nil {
		return nil, err
	}
	return s.product()
}

// readLive is a call that reads the live record of a product, with its pending
// use on top, or fails with ErrNotFound.
func (c *Catalog) readLive(ctx context.Context, account, id string, s *seen) error {
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
func (c *Catalog) read(ctx context.Context, k productkey.Key, s *seen) (found bool, err error) {
	data, shared, err := c.readEncoded(ctx, k, s)
	if err != nil || data == nil {
		return false, err
	}
	s.set(data, shared)
	return true, nil
}

// readEncoded returns the encoding of a record as it is stored, nil if there is
// none. Its memory is as s says.
func (c *Catalog) readEncoded(ctx context.Context, k productkey.Key, s *seen) (data []byte, shared bool, err error) {
	var token recordcache.Token
	if c.cache != nil {
		if data, ok := c.cache.Get(k); ok {
			return data, true, nil
		}
		token = c.cache.BeforeRead(k)
	}
	q := s.lender
	if q == nil {
		q = c.takeQuery()
	}
	if s.lends {
		s.lender = q
	} else {
		defer c.queries.Put(q)
	}
	q.lends = s.lends && !token.Fills()
	q.key = encoding.AppendProductKey(q.key[:0], k.Account, k.ID)
	found, err := c.backend.Get(ctx, q.key, q.keep)
	data, q.data = q.data, nil
	if err != nil || !found {
		return nil, false, err
	}
	return data, c.fill(k, token, data), nil
}

// endLoan leaves the query that lends data to the next read, and its memory with it.
func (c *Catalog) endLoan(s *seen) {
	q := s.lender
	if q == nil {
		return
	}
	if cap(q.memory) > maxReused {
		q.memory = nil
	}
	c.queries.Put(q)
}

// fill has the cache keep a record that was read, and was verified, if it wants it,
// and reports whether it did. What the cache has can be read to its end.
func (c *Catalog) fill(k productkey.Key, token recordcache.Token, data []byte) (shared bool) {
	if !token.Fills() {
		return false
	}
	if _, err := encoding.ViewRecord(data); err != nil {
		return false // the reader is told
	}
	return c.cache.Fill(k, token, data)
}

// query is what a read of the backend needs, reused.
type query struct {
	key  []byte
	data []byte
	// keep is keepValue, bound once and not for every read.
	keep func(value []byte) error
	// lends has keepValue take memory, whose content is good until then, and not
	// memory of the record's own.
	lends  bool
	memory []byte
}

func (c *Catalog) takeQuery() *query {
	q, ok := c.queries.Get().(*query)
	if !ok {
		q = new(query)
		q.keep = q.keepValue
	}
	return q
}

// keepValue copies a record that the backend lends, and verifies it: whatever
// reads it from the cache later need not.
func (q *query) keepValue(value []byte) error {
	if q.lends {
		q.memory = append(q.memory[:0], value...)
		q.data = q.memory
	} else {
		q.data = append([]byte(nil), value...)
	}
	return encoding.VerifyRecord(q.data)
}
