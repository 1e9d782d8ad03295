package catalog

import (
	"context"
	"errors"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/catalog/internal/uses"
	"github.com/shelflife-db/shelflife/encoding"
)

const (
	// A use is held back only while the deadline in the record is further away
	// than this, so that no crash makes a product expire that was in use.
	minUseMargin  = 10 * time.Second
	marginWindows = 5
)

// Use records that a product was used: it sets LastUsedAt and restarts the
// lifetime, and returns the product as it is then. Every later read shows it.
// It belongs to the product that it found, never to a later one with the same
// ID.
//
// A use may become durable up to Options.UseWindow after it was acknowledged;
// see there.
func (c *Catalog) Use(ctx context.Context, account, externalID string) (*Product, error) {
	ctx, call := c.begin(ctx, OpUse)
	p, err := c.useOne(ctx, account, externalID)
	return p, call.end(c.wrap("use", externalID, err))
}

func (c *Catalog) useOne(ctx context.Context, account, id string) (*Product, error) {
	if err := checkNames(account, id); err != nil {
		return nil, err
	}
	if err := c.calls.Enter(); err != nil {
		return nil, err
	}
	defer c.calls.Exit()
	return c.use(ctx, account, id, nil)
}

// errOtherVersion says that a product is not at the version that was to be
// used.
var errOtherVersion = errors.New("the product has another version")

// use records a use of a product, if want is not nil only at that version. It is
// part of a call that is counted.
func (c *Catalog) use(ctx context.Context, account, id string, want *Version) (*Product, error) {
	product, held, err := c.holdUse(ctx, productkey.Of(account, id), want)
	if held || err != nil {
		return product, err
	}
	return c.useDurably(ctx, account, id, want)
}

// holdUse is the fast way: it notes a use in memory, from where it becomes
// durable in time. held is false where the use may not wait for that, and
// nothing was noted. The protocol stands in package uses.
func (c *Catalog) holdUse(ctx context.Context, k productkey.Key, want *Version) (product *Product, held bool, err error) {
	// A store that takes no writes could not keep the use either.
	if !c.buffersUses() || c.folder.Stuck() || c.backend.Ready() != nil {
		return nil, false, nil
	}
	generation := c.generation()
	var s seen
	// An edit at work may be about to give the product another deadline, which
	// this use would not know of.
	l, err := c.look(ctx, k, &s, true)
	if err != nil || l.unsettled {
		return nil, false, err
	}
	// No answer must rest on what a crash takes back; and a use that ctx ends
	// must not have happened, so this comes before it is noted.
	err = c.awaitDurable(ctx, generation, k)
	if errors.Is(err, errTakenBack) {
		return nil, false, nil // the durable way reads it anew
	}
	if err != nil {
		return nil, false, err
	}
	if !l.found {
		return nil, false, ErrNotFound
	}
	if want != nil && *want != s.version() {
		return nil, false, errOtherVersion
	}
	// What has expired, if only by its record, goes the durable way too, which
	// decides whether it has.
	if l.deadline != encoding.None && l.deadline-c.now.Now() <= c.useMargin() {
		return nil, false, nil
	}
	uses.TouchHeader(&s.header, l.now)
	// Before it is noted, for it may fail.
	if product, err = s.product(); err != nil {
		return nil, false, err
	}
	use := encoding.Use{Account: k.Account, ID: k.ID, Incarnation: s.header.Incarnation, At: l.now}
	if !c.uses.Add(use, l.deadline) {
		return nil, false, nil
	}
	c.folder.Wake()
	return product, true, nil
}

// useDurably writes a use into the record before it is acknowledged.
func (c *Catalog) useDurably(ctx context.Context, account, id string, want *Version) (*Product, error) {
	var product *Product
	err := c.update(ctx, []backend.Scope{productScope(account, id)}, backend.UpdateOptions{}, func(t *tx) error {
		f, err := t.load(account, id)
		if err != nil {
			return err
		}
		if f.live == nil {
			return ErrNotFound
		}
		if want != nil && *want != versionOf(f.live) {
			return errOtherVersion
		}
		used := *f.live
		uses.Touch(&used, t.now)
		product = newProduct(&used)
		if used.LastUsedAt == f.stored.LastUsedAt && used.Anchor == f.stored.Anchor {
			return nil
		}
		return t.write(f, &used, nil)
	})
	if err != nil {
		return nil, err
	}
	return product, nil
}

// buffersUses reports whether uses may wait in memory: not where another process
// could not see them.
func (c *Catalog) buffersUses() bool {
	return c.exclusive && c.opts.UseWindow > 0
}

// useMargin is how far, in milliseconds, a record's deadline must be away for
// its uses to wait.
func (c *Catalog) useMargin() int64 {
	return max(minUseMargin, marginWindows*c.opts.UseWindow).Milliseconds()
}

// awaitDurable returns when what was read of a product since a generation is
// durable.
func (c *Catalog) awaitDurable(ctx context.Context, generation uint64, k productkey.Key) error {
	if c.opts.Durability == Buffered {
		return nil
	}
	return c.durableSince(ctx, generation, []backend.Scope{productScope(k.Account, k.ID)})
}
