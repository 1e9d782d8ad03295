package catalog

import (
	"context"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// AccountStats counts the live products of an account.
type AccountStats struct {
	Products int // live
	Listed   int // of them, in lists
	Expiring int // of them, with a lifetime
	Images   int // of all products, by URL and uploaded
	Uploads  int // stored images; one that serves several images counts once
	// ImageBytes is the size in bytes of the stored images, RecordBytes that of the
	// products without them, before compression.
	ImageBytes, RecordBytes int64
}

// Stats walks an account and counts exactly what it had at one instant.
func (c *Catalog) Stats(ctx context.Context, account string) (AccountStats, error) {
	ctx, call := c.begin(ctx, OpStats)
	s, err := c.accountStats(ctx, account, func() {})
	return s, call.end(c.wrap("stats", "", err))
}

// accountStats calls begun once, when the instant has passed that it counts.
func (c *Catalog) accountStats(ctx context.Context, account string, begun func()) (AccountStats, error) {
	var s AccountStats
	var buf []byte
	var r stored
	for seen, err := range c.all(ctx, account, AllOptions{Unlisted: true}, true) {
		if s.Products == 0 {
			begun()
		}
		if err == nil {
			if err = seen.decode(&r); err == nil {
				err = r.images.Rest(&r.Record)
			}
			err = damageOf(account, seen.key, err)
		}
		if err != nil {
			return AccountStats{}, err
		}
		s.Products++
		if r.Listed {
			s.Listed++
		}
		if r.ValidForDays != 0 {
			s.Expiring++
		}
		s.Images += len(r.Images)
		for range blobsOf(&r.Record) {
			s.Uploads++
		}
		s.ImageBytes += uploadedBytes(&r.Record)
		buf = encoding.AppendRecord(buf[:0], &r.Record)
		s.RecordBytes += int64(len(buf))
	}
	if s.Products == 0 {
		begun()
	}
	return s, nil
}

// StoreStats describes the whole store, cheaply and approximately.
type StoreStats struct {
	// ProductBytes and ImageBytes estimate what products and stored images
	// take where the backend keeps them. One may not count what it still has in
	// memory: 0 for a small new store.
	ProductBytes, ImageBytes int64
	// PendingUses counts the products with a use that waits to be written into
	// its record or has just been; it may be durable in the journal.
	PendingUses int
	// CacheBytes estimates the memory of the record cache.
	CacheBytes int64
	// IndexEntries counts the deadlines held in memory.
	IndexEntries int
	// Sweeper counts what was removed and moved, by entries: a product has one at a
	// time, and so has each stored image that it released.
	Sweeper ttl.SweeperStats
}

// StoreStats returns figures about the store of all accounts.
func (c *Catalog) StoreStats(ctx context.Context) (StoreStats, error) {
	ctx, call := c.begin(ctx, OpStoreStats)
	s, err := c.storeStats(ctx)
	return s, call.end(c.wrap("store stats", "", err))
}

func (c *Catalog) storeStats(ctx context.Context) (s StoreStats, err error) {
	if err := c.calls.Enter(); err != nil {
		return s, err
	}
	defer c.calls.Exit()
	if s.ProductBytes, err = c.sizeOf(ctx, encoding.SpaceProduct); err != nil {
		return s, err
	}
	if s.ImageBytes, err = c.sizeOf(ctx, encoding.SpaceBlob); err != nil {
		return s, err
	}
	s.PendingUses = c.uses.Len()
	if c.cache != nil {
		s.CacheBytes = c.cache.Bytes()
	}
	s.IndexEntries = c.index.Len()
	s.Sweeper = c.sweeper.Stats()
	return s, nil
}

func (c *Catalog) sizeOf(ctx context.Context, space byte) (int64, error) {
	start, end := encoding.SpaceRange(space)
	return c.backend.Size(ctx, backend.Range{Start: start, End: end})
}
