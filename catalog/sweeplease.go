package catalog

import (
	"context"
	"log/slog"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// Of several catalogs on a store one sweeps: that which has the lease, an entry in
// the meta space that is taken by an Update, for a while. It is a hint. A catalog
// that can't read or write it sweeps, and two that sweep at once are right, only
// wasteful: nothing rests on it.
const (
	// sweepLease is for how long it is taken. It is renewed when half has passed:
	// the sweeper takes a step at least every sharedRescan.
	sweepLease = 3 * time.Minute
	// leaseLook is how often a catalog that has it not looks whether it is free.
	leaseLook = time.Minute
)

// leaseTurn is what a catalog knows of the lease, in its monotonic time. It belongs
// to the step of the sweeper.
type leaseTurn struct {
	holder uint64 // the number of this catalog
	held   bool
	until  time.Duration // held: to when; else when to look again
}

var _ ttl.Leaser = expirer{}

// Lease implements [ttl.Leaser].
func (x expirer) Lease(ctx context.Context) (wait time.Duration) {
	c, l := x.c, &x.c.lease
	if c.exclusive {
		return 0
	}
	elapsed := c.opts.Clock.Elapsed()
	switch left := l.until - elapsed; {
	case l.held && left > sweepLease/2:
		return 0
	case !l.held && left > 0:
		return left
	}
	free, err := c.takeLease(ctx, l.holder)
	if err != nil {
		l.held = false // whichever process has it: this step sweeps, the next looks again
		c.opts.Logger.Warn("shelflife: could not see which process sweeps", slog.Any("error", err))
		return 0
	}
	if l.held = free == 0; l.held {
		l.until = elapsed + sweepLease
		return 0
	}
	wait = min(free, leaseLook)
	l.until = elapsed + wait
	return wait
}

// takeLease takes or renews the lease, or returns how long another catalog has it.
func (c *Catalog) takeLease(ctx context.Context, holder uint64) (free time.Duration, err error) {
	err = c.updateLease(ctx, func(is encoding.SweepLease) (next encoding.SweepLease, write bool) {
		now := c.now.Now()
		// One that goes further than any is of a clock that was wrong.
		if left := is.Until - now; is.Holder != holder && left > 0 && left <= sweepLease.Milliseconds() {
			free = time.Duration(left) * time.Millisecond
			return is, false
		}
		free = 0
		return encoding.SweepLease{Holder: holder, Until: now + sweepLease.Milliseconds()}, true
	})
	return free, err
}

// endLease leaves the lease to another catalog, if this one has it.
func (c *Catalog) endLease(ctx context.Context) {
	if !c.lease.held || c.backend.Ready() != nil {
		return
	}
	err := c.updateLease(ctx, func(is encoding.SweepLease) (encoding.SweepLease, bool) {
		return encoding.SweepLease{}, is.Holder == c.lease.holder
	})
	if err != nil {
		c.opts.Logger.Warn("shelflife: could not leave sweeping to another process", slog.Any("error", err))
	}
}

// updateLease writes what change makes of the lease, if it says so. One that can't
// be read is none.
func (c *Catalog) updateLease(ctx context.Context, change func(encoding.SweepLease) (encoding.SweepLease, bool)) error {
	group, item := encoding.MetaScope(encoding.SweepLeaseName)
	key := encoding.AppendMetaKey(nil, encoding.SweepLeaseName)
	o := backend.UpdateOptions{Buffered: true, Reclaim: true}
	return c.backend.Update(ctx, []backend.Scope{{Group: group, Item: item}}, o, func(ctx context.Context, txn backend.Txn) error {
		var is encoding.SweepLease
		_, err := txn.Get(ctx, key, func(value []byte) (err error) {
			is, err = encoding.DecodeSweepLease(value)
			return err
		})
		if err != nil && !encoding.IsUnreadable(err) {
			return err
		}
		next, write := change(is)
		if !write {
			return nil
		}
		return txn.Put(key, encoding.AppendSweepLease(nil, next))
	})
}
