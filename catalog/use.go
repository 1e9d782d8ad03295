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
// The use belongs to the product that was found, never to a later one with the same
// ID. Use fails with ErrNotFound where no live product has the ID.
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
	return c.useWhole(ctx, account, id, nil)
}

// Touch is [Catalog.Use] for a caller that does not want the product: it returns
// when the product expires now, the zero time if never. Of a product that was used
// within the last half minute or so, and not changed since, it costs no read.
func (c *Catalog) Touch(ctx context.Context, account, externalID string) (expiresAt time.Time, err error) {
	ctx, call := c.begin(ctx, OpTouch)
	deadline, err := c.touch(ctx, account, externalID)
	return timeOf(deadline), call.end(c.wrap("touch", externalID, err))
}

// touch returns encoding.None for never, and with an error.
func (c *Catalog) touch(ctx context.Context, account, id string) (deadline int64, err error) {
	if err := checkNames(account, id); err != nil {
		return encoding.None, err
	}
	if err := c.calls.Enter(); err != nil {
		return encoding.None, err
	}
	defer c.calls.Exit()
	k := productkey.Of(account, id)
	if deadline, ok := c.touchKnown(k); ok {
		return deadline, nil
	}
	u, err := c.use(ctx, k, usage{})
	if err != nil {
		return encoding.None, err
	}
	return u.deadline, nil
}

// touchKnown is the fast way of a use of which nothing but the deadline is asked
// for: the overlay knows the lifetime. It takes the steps of holdUse but for the
// read, for which Overlay.Renew stands.
func (c *Catalog) touchKnown(k productkey.Key) (deadline int64, ok bool) {
	if !c.holdsUses() {
		return encoding.None, false
	}
	// The clock comes first: an Update that is counted later reads a later time. One
	// that is counted now may be giving the product another lifetime than the one
	// that the overlay knows.
	now := c.now.Now()
	if c.renewals.Possible(k) {
		return encoding.None, false
	}
	return c.uses.Renew(k, now, c.useMargin())
}

// errOtherVersion says that a product is not at the version that was to be
// used.
var errOtherVersion = errors.New("the product has another version")

// usage is a use of a product: what is asked for, and what came of it.
type usage struct {
	// want, if it is not nil, is the version that alone is to be used.
	want *Version
	// whole says that the product is wanted.
	whole bool

	product  *Product // as it is with the use, where it is wanted
	deadline int64    // when it expires then
}

// useWhole records a use of a product, if want is not nil only at that version, and
// returns the product. It is part of a call that is counted.
func (c *Catalog) useWhole(ctx context.Context, account, id string, want *Version) (*Product, error) {
	u, err := c.use(ctx, productkey.Of(account, id), usage{want: want, whole: true})
	return u.product, err
}

// use records a use of a product, and returns u with what came of it. It is part of
// a call that is counted.
func (c *Catalog) use(ctx context.Context, k productkey.Key, u usage) (usage, error) {
	held, err := c.holdUse(ctx, k, &u)
	switch {
	case err != nil:
		return usage{}, err
	case held:
		return u, nil
	}
	return c.useDurably(ctx, k, u)
}

// holdUse is the fast way: it notes a use in memory, from where it becomes
// durable in time. held is false where the use may not wait for that, and
// nothing was noted. The protocol stands in package uses.
func (c *Catalog) holdUse(ctx context.Context, k productkey.Key, u *usage) (held bool, err error) {
	if !c.holdsUses() {
		return false, nil
	}
	generation := c.generation()
	s := seen{lends: !u.whole} // a product keeps its record
	defer c.endLoan(&s)
	// Before the read: the overlay keeps the lifetime that Add brings only if no
	// change of the product became visible since.
	token := c.uses.BeforeRead(k)
	// An edit at work may be about to give the product another deadline, which
	// this use would not know of.
	l, err := c.look(ctx, k, &s, true)
	if err != nil || l.unsettled {
		return false, err
	}
	// No answer must rest on what a crash takes back; and a use that ctx ends
	// must not have happened, so this comes before it is noted. So does the
	// lifetime that the overlay keeps: a use that takes it from there waits for
	// nothing.
	err = c.awaitDurable(ctx, generation, k)
	if errors.Is(err, errTakenBack) {
		return false, nil // the durable way reads it anew
	}
	if err != nil {
		return false, err
	}
	if !l.found {
		return false, ErrNotFound
	}
	if u.want != nil && *u.want != s.version() {
		return false, errOtherVersion
	}
	// What has expired, if only by its record, goes the durable way too, which
	// decides whether it has.
	if !l.life.IsFurtherThan(c.useMargin(), c.now.Now()) {
		return false, nil
	}
	uses.TouchHeader(&s.header, l.now)
	// Before it is noted, for it may fail.
	if u.whole {
		if u.product, err = s.product(); err != nil {
			return false, err
		}
	}
	u.deadline = s.header.ExpiresAt()
	use := encoding.Use{Account: k.Account, ID: k.ID, Incarnation: s.header.Incarnation, At: l.now}
	if !c.uses.Add(use, l.life, token) {
		return false, nil
	}
	c.folder.Wake()
	return true, nil
}

// useDurably writes a use into the record before it is acknowledged.
func (c *Catalog) useDurably(ctx context.Context, k productkey.Key, u usage) (usage, error) {
	scopes := []backend.Scope{productScope(k.Account, k.ID)}
	err := c.update(ctx, scopes, backend.UpdateOptions{}, func(t *tx) error {
		f, err := t.load(k.Account, k.ID)
		if err != nil {
			return err
		}
		if f.live == nil {
			return ErrNotFound
		}
		if u.want != nil && *u.want != versionOf(f.live) {
			return errOtherVersion
		}
		used := *f.live
		uses.Touch(&used, t.now)
		u.deadline = used.ExpiresAt()
		if u.whole {
			u.product = newProduct(&used)
		}
		if used.LastUsedAt == f.stored.LastUsedAt && used.Anchor == f.stored.Anchor {
			return nil
		}
		return t.write(f, &used, nil)
	})
	if err != nil {
		return usage{}, err
	}
	return u, nil
}

// holdsUses reports whether uses may wait in memory now. A store that takes no
// writes could not keep them either.
func (c *Catalog) holdsUses() bool {
	return c.buffersUses() && !c.folder.Stuck() && c.backend.Ready() == nil
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
