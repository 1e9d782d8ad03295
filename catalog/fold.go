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
	foldBatch = 64  // products per Update
	foldPart  = 512 // products made durable together
	// The journal is written when half a window has passed since it was the last
	// time, or half of what a fold may be delayed: its turns are the folds' too.
	// While that, or a part of a fold before it, takes longer than a
	// quarter of a window, uses are durable one by one: that slows down whoever
	// brings more than can be written.
	journalsPerWindow = 2
	stuckFraction     = 4

	// Uses are folded when none came for some windows; and when they have waited
	// long, when the journal has become large, which is what opening after a
	// crash has to read, or when the overlay is half full.
	quietWindows = 2
	maxFoldDelay = 30 * time.Second
	maxJournal   = 32 << 20
	// A fold leaves the machine to others for so many times as long as it works,
	// unless the overlay is nearly full.
	foldRest = 3
)

// useFolder writes the uses of the overlay to the journal, and in the long run
// into the records.
type useFolder struct {
	c       *Catalog
	journal *useJournal
	awake   chan struct{}
	// unfinished is when the oldest work began that keeps uses from becoming
	// durable, in nanoseconds of the monotonic clock; idle if there is none.
	unfinished atomic.Int64

	// The rest belongs to run, and to open and Close while that does not run.

	lastUse time.Duration // when fresh uses were found last
	waiting time.Duration // since when uses wait to be folded; idle if none do
	// due are the uses of the running fold that are still to be written, and
	// journaled the end of the journal when it began.
	due       []dueUse
	folding   bool
	journaled int
}

const (
	idle       = math.MinInt64
	maxBackoff = 30 * time.Second
)

func newUseFolder(c *Catalog) *useFolder {
	f := &useFolder{c: c, journal: &useJournal{c: c}, awake: make(chan struct{}, 1), waiting: idle}
	f.unfinished.Store(idle)
	return f
}

// open takes up what an earlier opening has left. Where uses may not wait in
// memory they are folded at once.
func (f *useFolder) open(ctx context.Context) error {
	if err := f.journal.load(ctx); err != nil {
		return err
	}
	switch {
	case len(f.journal.parts) == 0:
		return nil
	case !f.c.buffersUses():
		err := f.finish(ctx)
		f.c.uses.nextRound()
		f.c.uses.prune()
		return err
	}
	f.wake()
	return nil
}

// wake has the folder work in time. It never blocks.
func (f *useFolder) wake() {
	select {
	case f.awake <- struct{}{}:
	default:
	}
}

// run works until ctx is done; what is left then is finish's.
func (f *useFolder) run(ctx context.Context) {
	interval := min(f.c.opts.UseWindow, maxFoldDelay) / journalsPerWindow
	clock := f.c.opts.Clock
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.awake:
		}
		begun, failures := clock.Elapsed(), 0
		f.lastUse = begun
		for f.c.uses.count.Load() > 0 {
			wait := max(interval-(clock.Elapsed()-begun), 0)
			if failures > 0 {
				wait = min(interval<<min(failures, 10), maxBackoff)
			}
			if !f.foldUntil(ctx, clock.Elapsed()+wait) {
				return
			}
			begun = clock.Elapsed()
			if f.writeJournal(ctx) {
				failures = 0
			} else {
				failures++
			}
		}
	}
}

// foldUntil folds a part now and then, if it is time to fold, and returns at
// the end; it reports false if ctx was done first.
func (f *useFolder) foldUntil(ctx context.Context, end time.Duration) bool {
	clock := f.c.opts.Clock
	f.startFold()
	for f.folding {
		begun := clock.Elapsed()
		if !f.foldPart(ctx) {
			break // tried again at the next turn
		}
		now := clock.Elapsed()
		rest := foldRest * (now - begun)
		if f.c.uses.count.Load() > f.c.uses.capacity/4*3 {
			rest = 0
		}
		if now+rest >= end {
			break
		}
		if !f.pause(ctx, rest) {
			return false
		}
	}
	return f.pause(ctx, end-clock.Elapsed())
}

// pause waits; it reports false if ctx was done first.
func (f *useFolder) pause(ctx context.Context, wait time.Duration) bool {
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := f.c.opts.Clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}

// writeJournal makes the fresh uses durable, and reports whether it could.
func (f *useFolder) writeJournal(ctx context.Context) bool {
	fresh := f.c.uses.takeFresh()
	if len(fresh) == 0 {
		f.unfinished.Store(idle)
		return true
	}
	now := f.c.opts.Clock.Elapsed()
	f.lastUse = now
	if f.waiting == idle {
		f.waiting = now
	}
	f.unfinished.CompareAndSwap(idle, int64(now))
	if err := f.journal.write(ctx, fresh); err != nil {
		f.c.uses.putBack(fresh)
		f.warn("shelflife: uses could not be made durable, will try again", err)
		return false
	}
	f.unfinished.Store(idle)
	return true
}

// startFold begins a fold if it is time for one, and none is going on. One that
// finds nothing to fold still lets go of what the last one has folded.
func (f *useFolder) startFold() {
	if f.folding {
		return
	}
	now, o := f.c.opts.Clock.Elapsed(), f.c.uses
	if now-f.lastUse >= quietWindows*f.c.opts.UseWindow ||
		f.waiting != idle && now-f.waiting >= maxFoldDelay ||
		f.journal.bytes >= maxJournal ||
		o.count.Load() > o.capacity/2 {
		f.due, f.journaled, f.folding = o.begin(), f.journal.end(), true
		f.waiting = idle
	}
}

// foldPart writes some uses into their records, and reports whether it could.
// It does not judge the clock: a use that was acknowledged holds, however late
// it is written.
func (f *useFolder) foldPart(ctx context.Context) bool {
	if part := f.due[:min(len(f.due), foldPart)]; len(part) > 0 {
		// The journal has to wait for it.
		if f.unfinished.CompareAndSwap(idle, int64(f.c.opts.Clock.Elapsed())) {
			defer f.unfinished.Store(idle)
		}
		if err := f.c.foldUses(ctx, part, false); err != nil {
			f.warn("shelflife: uses could not be written to their products, will try again", err)
			return false
		}
		f.c.uses.folded(part)
		if f.due = f.due[len(part):]; len(f.due) > 0 {
			return true
		}
	}
	if err := f.journal.remove(ctx, f.journaled, false); err != nil {
		f.warn("shelflife: the use journal could not be shortened, will try again", err)
		return false
	}
	f.due, f.folding = nil, false
	f.c.uses.prune()
	return true
}

// finish folds everything at once, however long the engine takes. Where that
// fails, uses become durable in the journal at least.
func (f *useFolder) finish(ctx context.Context) error {
	for part := range slices.Chunk(f.c.uses.begin(), foldPart) {
		if err := f.c.foldUses(ctx, part, true); err != nil {
			if fresh := f.c.uses.takeFresh(); len(fresh) > 0 {
				err = errors.Join(err, f.journal.write(ctx, fresh))
			}
			return err
		}
		f.c.uses.folded(part)
	}
	return f.journal.remove(ctx, f.journal.end(), true)
}

func (f *useFolder) warn(message string, err error) {
	if !errors.Is(err, context.Canceled) {
		f.c.opts.Logger.Warn(message, "error", err)
	}
}

// isStuck tells that uses have not become durable for so long that further ones
// must not wait.
func (f *useFolder) isStuck() bool {
	since := f.unfinished.Load()
	if since == idle {
		return false
	}
	return f.c.opts.Clock.Elapsed()-time.Duration(since) > f.c.opts.UseWindow/stuckFraction
}

// foldUses writes uses into their records, durably.
func (c *Catalog) foldUses(ctx context.Context, due []dueUse, patient bool) error {
	o := backend.UpdateOptions{Buffered: true, Reclaim: true, Patient: patient}
	scopes := make([]backend.Scope, 0, len(due))
	for batch := range slices.Chunk(due, foldBatch) {
		first := len(scopes)
		for _, d := range batch {
			scopes = append(scopes, productScope(d.account, d.id))
		}
		if err := c.update(ctx, scopes[first:], o, func(t *tx) error { return t.foldUses(batch) }); err != nil {
			return err
		}
	}
	if !patient {
		return c.backend.Durable(ctx, scopes)
	}
	return c.durablePatiently(ctx, scopes)
}

// durablePatiently is Durable of the backend, however long that takes.
func (c *Catalog) durablePatiently(ctx context.Context, scopes []backend.Scope) error {
	err := c.backend.Durable(ctx, scopes)
	if !errors.Is(err, backend.ErrUnavailable) || errors.Is(err, backend.ErrStopped) {
		return err
	}
	o := backend.UpdateOptions{Reclaim: true, Patient: true}
	return c.backend.Update(ctx, scopes, o, func(context.Context, backend.Txn) error { return nil })
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
