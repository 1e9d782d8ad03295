package catalog

import (
	"context"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
)

// extendBatch is how many lifetimes are extended in one Update.
const extendBatch = 64

// ExtendLifetimes moves the end of every lifetime later by the given time, in whole
// milliseconds, and returns how many there were: for a store that was restored from
// a backup, and stood still meanwhile. Products that have expired and were not
// removed yet live again if their lifetime reaches as far; versions and last uses
// stay. No lifetime begins later than now.
//
// A product that is created or used while it runs may be extended or not. Where it
// fails, some lifetimes were extended, and calling it again extends them twice.
func (c *Catalog) ExtendLifetimes(ctx context.Context, by time.Duration) (int, error) {
	ctx, call := c.begin(ctx, OpExtendLifetimes)
	n := 0
	err := c.long(ctx, func(ctx context.Context) (err error) {
		n, err = c.extendLifetimes(ctx, by.Milliseconds())
		return err
	})
	return n, call.end(c.wrap("extend lifetimes", "", err))
}

func (c *Catalog) extendLifetimes(ctx context.Context, by int64) (n int, err error) {
	snapshot, err := c.backend.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	defer snapshot.Close()
	var batch []productkey.Key
	extend := func() error {
		done, err := c.extendBatch(ctx, batch, by)
		n, batch = n+done, batch[:0]
		return err
	}
	start, end := encoding.SpaceRange(encoding.SpaceProduct)
	for e, err := range snapshot.Scan(ctx, backend.Range{Start: start, End: end}, backend.ScanOptions{KeysOnly: true}) {
		if err != nil {
			return n, err
		}
		account, id, err := encoding.DecodeProductKey(e.Key)
		if err != nil {
			return n, err
		}
		if batch = append(batch, productkey.Of(account, id)); len(batch) == extendBatch {
			if err := extend(); err != nil {
				return n, err
			}
		}
	}
	err = extend() // which changes n
	return n, err
}

// extendBatch extends the lifetimes of some products, and returns how many have one.
func (c *Catalog) extendBatch(ctx context.Context, keys []productkey.Key, by int64) (n int, err error) {
	if len(keys) == 0 {
		return 0, nil
	}
	scopes := make([]backend.Scope, 0, len(keys))
	for _, k := range keys {
		scopes = append(scopes, productScope(k.Account, k.ID))
	}
	err = c.update(ctx, scopes, backend.UpdateOptions{}, func(t *tx) error {
		n = 0
		for _, k := range keys {
			f, err := t.load(k.Account, k.ID)
			if err != nil {
				return err
			}
			if f.stored == nil || f.stored.ValidForDays == 0 {
				continue
			}
			next := *t.c.uses.On(f.stored)
			next.Anchor = min(next.Anchor+by, t.now)
			if err := t.write(f, &next, nil); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}
