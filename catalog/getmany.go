package catalog

import (
	"context"
	"fmt"

	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/catalog/internal/recordcache"
	"github.com/shelflife-db/shelflife/catalog/internal/uses"
	"github.com/shelflife-db/shelflife/encoding"
)

// maxGetMany is how many IDs GetMany takes: what a page holds at most.
const maxGetMany = maxLimit

// GetMany returns the products with the IDs, at most 200, each as [Catalog.Get]
// would: nil where it would be ErrNotFound. An ID may be there more than once. The
// store is read in one go, which on an engine behind a network is one request
// instead of as many as there are IDs.
//
// It is all or nothing: it fails with a *ValidationError that names every ID at
// fault by its position, "externalIds.2", and where a product can't be read with a
// *[DamageError] that says which. Each product is as it was at one instant, but
// the instants of two may differ.
func (c *Catalog) GetMany(ctx context.Context, account string, externalIDs []string) ([]*Product, error) {
	ctx, call := c.begin(ctx, OpGetMany)
	products, err := c.getMany(ctx, account, externalIDs)
	return products, call.end(c.wrap("get many", "", err))
}

func (c *Catalog) getMany(ctx context.Context, account string, ids []string) ([]*Product, error) {
	if err := checkIDs(account, ids); err != nil {
		return nil, err
	}
	if err := c.calls.Enter(); err != nil {
		return nil, err
	}
	defer c.calls.Exit()
	// The clock, the uses, the records: in this order, for the reasons that stand at
	// look. Those that seem to have expired are looked at again, one by one.
	now := c.now.Now()
	pending := make([]uses.Pending, len(ids))
	for i, id := range ids {
		pending[i] = c.uses.Get(productkey.Of(account, id))
	}
	records, err := c.readMany(ctx, account, ids)
	if err != nil {
		return nil, err
	}
	if c.clocked { // as at look
		now = c.now.Now()
	}
	products := make([]*Product, len(ids))
	for i, r := range records {
		if r.data == nil {
			continue
		}
		var s seen
		k := productkey.Of(account, ids[i])
		s.set(r.data, r.shared)
		pending[i].SeeHeader(&s.header)
		live, err := s.isLive(now), error(nil)
		if !live {
			live, err = c.lookAgain(ctx, k, &s)
		}
		if err == nil && live {
			products[i], err = s.product()
		}
		if err != nil {
			return nil, damageOf(account, encoding.AppendProductKey(nil, k.Account, k.ID), err)
		}
	}
	return products, nil
}

func checkIDs(account string, ids []string) error {
	faults := new(ValidationError)
	checkAccount(faults, account)
	if len(ids) > maxGetMany {
		faults.add("externalIds", CodeValidationFailed, "must be at most %d, not %d", maxGetMany, len(ids))
		return faults.err()
	}
	for i, id := range ids {
		if isPlainName(id) {
			continue
		}
		ofID := new(ValidationError)
		checkExternalID(ofID, id)
		for _, f := range ofID.Fields {
			faults.add(fmt.Sprintf("externalIds.%d", i), f.Code, "%s", f.Message)
		}
	}
	return faults.err()
}

// readRecord is a record as it is stored; see readEncoded.
type readRecord struct {
	data   []byte // nil if there is none
	shared bool
}

// readMany reads the records of products, from the cache or in one read of the
// store.
func (c *Catalog) readMany(ctx context.Context, account string, ids []string) ([]readRecord, error) {
	records := make([]readRecord, len(ids))
	type wanted struct {
		at    int
		token recordcache.Token
	}
	var keys [][]byte
	var space []byte // of the keys
	var missing []wanted
	for i, id := range ids {
		var token recordcache.Token
		if k := productkey.Of(account, id); c.cache != nil {
			if data, ok := c.cache.Get(k); ok {
				records[i] = readRecord{data, true}
				continue
			}
			token = c.cache.BeforeRead(k)
		}
		begin := len(space)
		space = encoding.AppendProductKey(space, account, id)
		keys = append(keys, space[begin:])
		missing = append(missing, wanted{i, token})
	}
	if len(keys) == 0 {
		return records, nil
	}
	err := c.backend.GetMany(ctx, keys, func(n int, value []byte) error {
		data := append([]byte(nil), value...)
		records[missing[n].at].data = data
		return damageOf(account, keys[n], encoding.VerifyRecord(data))
	})
	if err != nil {
		return nil, damageOf(account, nil, err)
	}
	for _, m := range missing {
		if r := &records[m.at]; r.data != nil {
			r.shared = c.fill(productkey.Of(account, ids[m.at]), m.token, r.data)
		}
	}
	return records, nil
}
