package catalog

import (
	"context"
	"errors"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/catalog/internal/uses"
	"github.com/shelflife-db/shelflife/encoding"
)

// look is what was found by looking at a product. Every reader of a single
// product looks through here, for the order of the steps is what makes uses
// visible at once and keeps what has expired gone:
//
//  1. The clock. A use that step 3 does not find read the clock later than this,
//     since the overlay takes its time when the entry can be found. So where
//     the product has expired at now, that use is late, and is refused. Were the
//     clock read behind the overlay, a use could come between the two, be
//     acknowledged, and the product be gone for this reader.
//  2. Where the caller rests on it, the renewals: an Update at work may have read
//     an earlier time and become visible later, and renew what now seems to have
//     expired. Where none is counted after the clock was read, every one that
//     read an earlier time is visible to step 4, and one to come reads a later
//     time.
//  3. The overlay. An entry leaves it only when the record shows the use. Were the
//     record read first, a fold and the entry's removal could come between the
//     two, and the use would be missing in both.
//  4. The record, from the cache or the store.
//
// Where the store has a clock of its own the time of step 1 comes with step 4: no
// use is held back there for step 3 to find, others write to the store, and step
// 2 sends whatever seems to have expired through lookBehindUpdates.
//
// Two readers come to the record in another way, each for a reason. A scan has
// read it before it asks for the product: it pins the overlay beforehand, so
// that no entry leaves which its records do not show; see lister.judge. An Update
// holds the scope, so that nothing is folded meanwhile; see tx.load.
type look struct {
	now   int64
	found bool // there is a record
	// unsettled says that step 2 found an Update at work, and that nothing was
	// read: it may renew the product.
	unsettled bool
	// life is that of the record without the pending use: what a crash may leave of
	// it.
	life uses.Lifetime
}

// look reads a product's record into s, its pending use on top. If settled is
// true it does so only where no Update at work may renew the product.
func (c *Catalog) look(ctx context.Context, k productkey.Key, s *seen, settled bool) (l look, err error) {
	l.now = c.now.Now()
	if settled && c.renewals.Possible(k) {
		l.unsettled = true
		return l, nil
	}
	pending := c.uses.Get(k)
	if l.found, err = c.read(ctx, k, s); err != nil || !l.found {
		return l, err
	}
	if c.clocked { // no use is pending, and the read has brought the time
		l.now = c.now.Now()
	}
	l.life = uses.LifetimeOf(&s.header)
	pending.SeeHeader(&s.header)
	return l, nil
}

// lookLive reads the live record of a product, or fails with ErrNotFound.
func (c *Catalog) lookLive(ctx context.Context, k productkey.Key, s *seen) error {
	l, err := c.look(ctx, k, s, false)
	if err != nil {
		return err
	}
	if l.found && s.isLive(l.now) {
		return nil
	}
	if l.found {
		l.found, err = c.lookAgain(ctx, k, s)
	}
	if err == nil && !l.found {
		err = ErrNotFound
	}
	return err
}

// lookAgain looks at a product that has expired; live is false if that is so for
// good.
func (c *Catalog) lookAgain(ctx context.Context, k productkey.Key, s *seen) (live bool, err error) {
	l, err := c.look(ctx, k, s, true)
	if l.unsettled {
		return c.lookBehindUpdates(ctx, k, s)
	}
	return err == nil && l.found && s.isLive(l.now), err
}

// lookBehindUpdates reads a record that has expired, as it is when no Update is
// at work on it; live is false if there is none, or it has expired then.
func (c *Catalog) lookBehindUpdates(ctx context.Context, k productkey.Key, s *seen) (live bool, err error) {
	var data []byte
	o := backend.UpdateOptions{Buffered: true, Reclaim: true}
	err = c.update(ctx, []backend.Scope{productScope(k.Account, k.ID)}, o, func(t *tx) error {
		data = nil
		f, err := t.load(k.Account, k.ID)
		switch {
		case err != nil || f.stored == nil:
			return err
		case f.live != nil:
			data = encoding.AppendRecord(nil, f.live)
			return nil
		case f.undecided:
			return t.removeExpired(f)
		}
		return nil
	})
	switch {
	case errors.Is(err, backend.ErrStopped):
		return false, nil // what is at work will never be visible
	case err != nil || data == nil:
		return false, undecidedError(err)
	}
	s.set(data, false)
	return true, nil
}
