package catalog

import (
	"context"
	"errors"
	"hash/maphash"
	"math"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/encoding"
)

// renewals counts the Updates at work on products. One that read the clock
// before a product's deadline may renew the product, and become visible after
// the deadline: then nobody must have been told meanwhile that it is gone.
//
// An Update is counted before it reads the clock, and until it is visible or has
// failed. A reader who finds that a product has expired looks here, and reads the
// product again. Where nothing is counted, an Update that read an earlier time
// is visible by now, and one to come reads a later time.
type renewals struct {
	// others says that other catalogs write to the store, whose Updates can't be
	// counted.
	others  bool
	seed    maphash.Seed
	stripes [renewalStripes]renewalStripe
}

const renewalStripes = 1024

// renewalStripe counts for the products that hash to it.
type renewalStripe struct {
	count atomic.Int64
	// late is when an Update was uncounted last that had taken longer than
	// longUpdate. It is set before the count is lowered.
	late atomic.Int64
	_    [48]byte // a cache line of its own
}

// longUpdate is longer, in milliseconds, than an Update should take.
const longUpdate = 60_000

func newRenewals(others bool) *renewals {
	r := &renewals{others: others, seed: maphash.MakeSeed()}
	for i := range r.stripes {
		r.stripes[i].late.Store(math.MinInt64)
	}
	return r
}

func (r *renewals) stripe(k productKey) *renewalStripe {
	return &r.stripes[maphash.Comparable(r.seed, k)%renewalStripes]
}

// possible tells whether an Update that has read an earlier time may still renew
// the product.
func (r *renewals) possible(k productKey) bool {
	return r.others || r.stripe(k).count.Load() > 0
}

// possibleSince tells whether an Update of this catalog may have renewed the
// product since then that had read a time more than longUpdate before, or may
// still.
func (r *renewals) possibleSince(k productKey, then int64) bool {
	s := r.stripe(k)
	return s.count.Load() > 0 || s.late.Load() >= then
}

// readExpired reads a product again that has expired; found is false if that is
// so for good.
func (c *Catalog) readExpired(ctx context.Context, k productKey, s *stored) (found bool, err error) {
	now := c.now.Now()
	pending := c.uses.get(k)
	if c.renewals.possible(k) {
		return c.readBehindUpdates(ctx, k, s)
	}
	if found, err = c.read(ctx, k, s); err != nil || !found {
		return false, err
	}
	pending.see(&s.Record)
	return isLive(&s.Record, now), nil
}

// readBehindUpdates reads a record that has expired, as it is when no Update is
// at work on it; found is false if there is none, or it has expired then.
func (c *Catalog) readBehindUpdates(ctx context.Context, k productKey, s *stored) (found bool, err error) {
	var data []byte
	o := backend.UpdateOptions{Buffered: true, Reclaim: true}
	err = c.update(ctx, []backend.Scope{productScope(k.account, k.id)}, o, func(t *tx) error {
		data = nil
		f, err := t.load(k.account, k.id)
		if err == nil && f.live != nil {
			data = encoding.AppendRecord(nil, f.live)
		}
		return err
	})
	switch {
	case errors.Is(err, backend.ErrStopped):
		return false, nil // what is at work will never be visible
	case err != nil || data == nil:
		return false, err
	}
	s.shared = false
	s.images, err = encoding.BeginRecord(data, &s.Record)
	return err == nil, err
}
