package catalog

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/encoding"
)

const (
	// A use is held back only while the deadline in the record is further away
	// than this, so that no crash makes a product expire that was in use.
	minUseMargin  = 10 * time.Second
	marginWindows = 5
	foldBatch     = 64   // products per Update
	foldPart      = 1024 // products made durable together
	// A fold begins when half a window has passed since the last one began, or
	// when so many products wait. While one takes longer than a quarter of a
	// window, uses are durable one by one: that slows down whoever brings more
	// than can be folded.
	foldsPerWindow = 2
	stuckFraction  = 4
	foldEarly      = 4096
)

// Use records that a product was used: it sets LastUsedAt and restarts the
// lifetime, and returns the product as it is then. Every later read shows it.
// It belongs to the product that it found, never to a later one with the same
// ID.
//
// A use may become durable up to Options.UseWindow after it was acknowledged;
// see there.
func (c *Catalog) Use(ctx context.Context, account, externalID string) (*Product, error) {
	p, err := c.use(ctx, account, externalID, nil)
	return p, wrap("use", externalID, err)
}

// errOtherVersion says that a product is not at the version that was to be
// used.
var errOtherVersion = errors.New("the product has another version")

// use records a use of a product, if want is not nil only at that version.
func (c *Catalog) use(ctx context.Context, account, id string, want *Version) (*Product, error) {
	if err := checkNames(account, id); err != nil {
		return nil, err
	}
	if err := c.calls.Enter(); err != nil {
		return nil, err
	}
	defer c.calls.Exit()
	// A store that takes no writes could not keep the use either.
	if !c.buffersUses() || c.folder.isStuck() || c.backend.Ready() != nil {
		return c.useDurably(ctx, account, id, want)
	}
	k := productKey{account, id}
	now := c.now.Now()
	pending := c.uses.get(k)
	stored, err := c.read(ctx, k)
	if err != nil {
		return nil, err
	}
	var live *encoding.Record
	if stored != nil {
		live = pending.on(stored)
	}
	// No answer must rest on what a crash takes back; and a use that ctx ends
	// must not have happened, so this comes before it is noted.
	if err := c.awaitDurable(ctx, k); err != nil {
		return nil, err
	}
	if live == nil || !isLive(live, now) {
		return nil, ErrNotFound
	}
	if want != nil && *want != versionOf(stored) {
		return nil, errOtherVersion
	}
	deadline := stored.ExpiresAt()
	if deadline != encoding.None && deadline-c.now.Now() <= c.useMargin() {
		return c.useDurably(ctx, account, id, want)
	}
	inTime := func() bool { return deadline == encoding.None || c.now.Now() < deadline }
	if !c.uses.add(k, stored.Incarnation, now, inTime) {
		return c.useDurably(ctx, account, id, want)
	}
	c.folder.wake()
	used := *live
	touch(&used, now)
	return newProduct(&used), nil
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
		touch(&used, t.now)
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

// buffersUses tells whether uses may wait in memory: not where another process
// could not see them.
func (c *Catalog) buffersUses() bool {
	return c.exclusive && c.opts.UseWindow > 0
}

// useMargin is how far, in milliseconds, a record's deadline must be away for
// its uses to wait.
func (c *Catalog) useMargin() int64 {
	return max(minUseMargin, marginWindows*c.opts.UseWindow).Milliseconds()
}

// awaitDurable returns when what was read of a product before is durable.
func (c *Catalog) awaitDurable(ctx context.Context, k productKey) error {
	if c.opts.Durability == Buffered {
		return nil
	}
	return c.backend.Durable(ctx, []backend.Scope{productScope(k.account, k.id)})
}

// fold writes the uses of the overlay into the records. It does not judge the
// clock: a use that was acknowledged holds, however late it is written.
func (c *Catalog) fold(ctx context.Context) error {
	o := backend.UpdateOptions{Buffered: true, Reclaim: true}
	for part := range slices.Chunk(c.uses.begin(), foldPart) {
		scopes := make([]backend.Scope, 0, len(part))
		for batch := range slices.Chunk(part, foldBatch) {
			first := len(scopes)
			for _, d := range batch {
				scopes = append(scopes, productScope(d.account, d.id))
			}
			err := c.update(ctx, scopes[first:], o, func(t *tx) error { return t.foldUses(batch) })
			if err != nil {
				return err
			}
		}
		if err := c.backend.Durable(ctx, scopes); err != nil {
			return err
		}
		c.uses.folded(part)
	}
	return nil
}

func (t *tx) foldUses(due []dueUse) error {
	for _, d := range due {
		f, err := t.load(d.account, d.id)
		if isUnreadable(err) {
			t.c.opts.Logger.Error("shelflife: could not read what was used", "error", err)
			continue
		}
		if err != nil {
			return err
		}
		if f.stored == nil || f.stored.Incarnation != d.incarnation || f.stored.LastUsedAt >= d.at {
			continue
		}
		used := *f.stored
		touch(&used, d.at)
		if err := t.write(f, &used, nil); err != nil {
			return err
		}
	}
	return nil
}

// useFolder folds the overlay while there is something in it.
type useFolder struct {
	c     *Catalog
	awake chan struct{}
	// unfinished is when the oldest fold began that has not ended well, in
	// nanoseconds of the monotonic clock; notFolding if there is none.
	unfinished atomic.Int64
}

const (
	notFolding     = math.MinInt64
	maxFoldBackoff = 30 * time.Second
)

func newUseFolder(c *Catalog) *useFolder {
	f := &useFolder{c: c, awake: make(chan struct{}, 1)}
	f.unfinished.Store(notFolding)
	return f
}

// wake has the folder fold in time. It never blocks.
func (f *useFolder) wake() {
	select {
	case f.awake <- struct{}{}:
	default:
	}
}

// run folds until ctx is done; what is left then is Close's.
func (f *useFolder) run(ctx context.Context) {
	interval := f.c.opts.UseWindow / foldsPerWindow
	clock := f.c.opts.Clock
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.awake:
		}
		begun := clock.Elapsed()
		for failures := 0; f.c.uses.count.Load() > 0; {
			wait := max(interval-(clock.Elapsed()-begun), 0)
			if failures > 0 {
				wait = min(interval<<min(failures, 10), maxFoldBackoff)
			}
			if !f.pause(ctx, wait, failures == 0) {
				return
			}
			begun = clock.Elapsed()
			if f.fold(ctx) {
				failures = 0
			} else {
				failures++
			}
		}
	}
}

// pause waits, until many uses wait to be folded if early; it reports false if
// ctx was done first.
func (f *useFolder) pause(ctx context.Context, wait time.Duration, early bool) bool {
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := f.c.opts.Clock.NewTimer(wait)
	defer timer.Stop()
	var many <-chan struct{}
	if early {
		many = f.c.uses.many
	}
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
	case <-many:
	}
	return true
}

// fold reports whether it got through.
func (f *useFolder) fold(ctx context.Context) bool {
	f.unfinished.CompareAndSwap(notFolding, int64(f.c.opts.Clock.Elapsed()))
	if err := f.c.fold(ctx); err != nil {
		if !errors.Is(err, context.Canceled) {
			f.c.opts.Logger.Warn("shelflife: uses could not be written, will try again", "error", err)
		}
		return false
	}
	f.unfinished.Store(notFolding)
	f.c.uses.prune()
	return true
}

// isStuck tells that a fold has not got through for so long that further uses
// must not wait for it.
func (f *useFolder) isStuck() bool {
	since := f.unfinished.Load()
	if since == notFolding {
		return false
	}
	return f.c.opts.Clock.Elapsed()-time.Duration(since) > f.c.opts.UseWindow/stuckFraction
}
