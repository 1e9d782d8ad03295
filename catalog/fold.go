package catalog

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/shelflife-db/shelflife/backend"
)

const (
	foldBatch = 64   // products per Update
	foldPart  = 1024 // products made durable together
	// A fold begins when half a window has passed since the last one began, or
	// when so many products wait. While one takes longer than a quarter of a
	// window, uses are durable one by one: that slows down whoever brings more
	// than can be folded.
	foldsPerWindow = 2
	stuckFraction  = 4
	foldEarly      = 4096
)

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
