package uses

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

const (
	foldPart = 512 // products made durable together
	// The journal is written when half a window has passed since it was the last
	// time, or half of what a fold may be delayed: its turns are the folds' too.
	// While that, or a part of a fold before it, takes longer than a
	// quarter of a window, uses are durable one by one: that slows down a caller that
	// brings more than can be written.
	journalsPerWindow = 2
	stuckFraction     = 4

	// Uses are folded when none came for some windows; and when they have waited
	// long, when the overlay is three quarters full, or when the journal has become
	// large, which is what opening after a crash has to read, and would stay so if it
	// were written anew.
	quietWindows = 2
	maxFoldDelay = 30 * time.Second
	maxJournal   = 32 << 20
	// rewritePart is how many uses are written together where the journal is written
	// anew.
	rewritePart = 16 << 10
	// A fold leaves the machine to others for so many times as long as it works,
	// unless the overlay is nearly full.
	foldRest = 3
)

// Config is what a Folder works on. Every field is needed.
type Config struct {
	// Backend takes the journal.
	Backend backend.Backend
	// Fold writes uses into the records of their products, durably, as far as the
	// product with the incarnation is there and does not show a later use. It does
	// not judge the clock: a use that was acknowledged holds, however late it is
	// written. patient says that it may wait for an engine that hangs.
	Fold   func(ctx context.Context, due []encoding.Use, patient bool) error
	Clock  ttl.Clock
	Logger *slog.Logger
	// Window is within how long of its acknowledgement a use becomes durable.
	Window time.Duration
	// Hold says that uses may wait in memory. Where they may not, what an earlier
	// opening has left is folded at once.
	Hold bool
	// ReadOnly says that Backend takes no writes while it is open. Uses that an
	// earlier opening has left stay where they are, and in the overlay, whatever
	// Hold says: readers find them there. Nothing runs, and nothing is finished.
	ReadOnly bool
}

// Folder writes the uses of an overlay to the journal, and in the long run into
// the records.
type Folder struct {
	Config
	overlay *Overlay
	journal *journal
	awake   chan struct{}
	// unfinished is when the oldest work began that keeps uses from becoming
	// durable, in nanoseconds of the monotonic clock; idle if there is none.
	unfinished atomic.Int64
	// reload says that the journal is to be read anew.
	reload atomic.Bool
	// maxJournal and rewritePart are the constants of these names, or what a test takes
	// for them.
	maxJournal, rewritePart int

	// The rest belongs to Run, and to Open and Finish while that does not run.

	lastUse time.Duration // when fresh uses were found last
	waiting time.Duration // since when uses wait to be folded; idle if none do
	// due are the uses of the running fold that are still to be written, and
	// journaled the end of the journal when it began.
	due       []encoding.Use
	folding   bool
	journaled int
}

const (
	idle       = math.MinInt64
	maxBackoff = 30 * time.Second
)

// NewFolder returns a folder of the uses in o. It does nothing before Open.
func NewFolder(o *Overlay, cfg Config) *Folder {
	f := &Folder{
		Config:  cfg,
		overlay: o,
		journal: &journal{backend: cfg.Backend, logger: cfg.Logger},
		awake:   make(chan struct{}, 1),
		waiting: idle,

		maxJournal: maxJournal, rewritePart: rewritePart,
	}
	f.unfinished.Store(idle)
	return f
}

// Open takes up what an earlier opening has left. Where uses may not wait in
// memory they are folded at once.
func (f *Folder) Open(ctx context.Context) error {
	if err := f.journal.load(ctx, f.overlay.restore); err != nil {
		return err
	}
	switch {
	case f.journal.end() == 0, f.ReadOnly:
		return nil
	case !f.Hold:
		err := f.Finish(ctx)
		f.overlay.nextRound()
		f.overlay.prune()
		return err
	}
	f.Wake()
	return nil
}

// Reload has the journal read anew, where the store has taken back what was not
// durable: parts that were removed may be there again. It never blocks.
func (f *Folder) Reload() {
	f.reload.Store(true)
	f.Wake()
}

// reloaded reads the journal anew if that is to be done, and reports whether what
// the Folder knows of it is right. A fold that was going on begins again.
func (f *Folder) reloaded(ctx context.Context) bool {
	if !f.reload.CompareAndSwap(true, false) {
		return true
	}
	f.due, f.folding, f.journaled = nil, false, 0
	if err := f.journal.load(ctx, f.overlay.restore); err != nil {
		f.reload.Store(true)
		f.warn("shelflife: the use journal could not be read, will try again", err)
		return false
	}
	return true
}

// Wake has the folder work in time. It never blocks.
func (f *Folder) Wake() {
	select {
	case f.awake <- struct{}{}:
	default:
	}
}

// Run works until ctx is done; what is left then is Finish's.
func (f *Folder) Run(ctx context.Context) {
	interval := min(f.Window, maxFoldDelay) / journalsPerWindow
	clock := f.Clock
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.awake:
		}
		begun, failures := clock.Elapsed(), 0
		f.lastUse = begun
		for f.overlay.Len() > 0 || f.reload.Load() {
			wait := max(interval-(clock.Elapsed()-begun), 0)
			if failures > 0 {
				wait = min(interval<<min(failures, 10), maxBackoff)
			}
			if !f.foldUntil(ctx, clock.Elapsed()+wait) {
				return
			}
			begun = clock.Elapsed()
			if f.reloaded(ctx) && f.writeJournal(ctx) && f.shortenJournal(ctx) {
				failures = 0
			} else {
				failures++
			}
		}
	}
}

// foldUntil folds a part now and then, if it is time to fold, and returns at
// the end; it reports false if ctx was done first.
func (f *Folder) foldUntil(ctx context.Context, end time.Duration) bool {
	clock := f.Clock
	f.startFold()
	for f.folding && !f.reload.Load() {
		begun := clock.Elapsed()
		if !f.foldPart(ctx) {
			break // tried again at the next turn
		}
		now := clock.Elapsed()
		rest := foldRest * (now - begun)
		if f.overlay.nearlyFull() {
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
func (f *Folder) pause(ctx context.Context, wait time.Duration) bool {
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := f.Clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}

// writeJournal makes the fresh uses durable, and reports whether it could.
func (f *Folder) writeJournal(ctx context.Context) bool {
	fresh := f.overlay.takeFresh()
	if len(fresh) == 0 {
		f.unfinished.Store(idle)
		return true
	}
	now := f.Clock.Elapsed()
	f.lastUse = now
	if f.waiting == idle {
		f.waiting = now
	}
	f.unfinished.CompareAndSwap(idle, int64(now))
	if err := f.journal.write(ctx, fresh); err != nil {
		f.overlay.putBack(fresh)
		f.warn("shelflife: uses could not be made durable, will try again", err)
		return false
	}
	f.unfinished.Store(idle)
	return true
}

// shortenJournal writes the journal anew where it has become large because the same
// products were used again and again, and reports whether it could. A use takes some
// 50 bytes there, and the whole record in a fold, which would come again as soon.
func (f *Folder) shortenJournal(ctx context.Context) bool {
	if f.folding || f.journal.size < f.maxJournal {
		return true
	}
	// What the journal has up to here is in the records, durably, or among these: an
	// entry leaves the overlay only when its record shows it. So the parts may go when
	// these are written, and not before. Uses that come meanwhile are behind the end,
	// or are fresh and will be.
	end, waiting := f.journal.end(), f.overlay.Unfolded()
	if journalSize(waiting) > f.maxJournal/2 {
		return true // startFold has it shortened
	}
	for part := range slices.Chunk(waiting, f.rewritePart) {
		// Fresh uses wait for no more than one part.
		if !f.writeJournal(ctx) {
			return false
		}
		if f.reload.Load() {
			return true // the journal is another one
		}
		// While this takes long, and after it has failed, no use may wait: see Stuck.
		f.unfinished.Store(int64(f.Clock.Elapsed()))
		if err := f.journal.write(ctx, part); err != nil {
			f.warn("shelflife: the use journal could not be written anew, will try again", err)
			return false
		}
		f.unfinished.Store(idle)
	}
	f.unfinished.Store(int64(f.Clock.Elapsed()))
	if err := f.journal.remove(ctx, end, false); err != nil {
		f.warn("shelflife: the use journal could not be shortened, will try again", err)
		return false
	}
	f.unfinished.Store(idle)
	return true
}

// startFold begins a fold if it is time for one, and none is going on. One that
// finds nothing to fold still drops what the last one has folded.
func (f *Folder) startFold() {
	if f.folding {
		return
	}
	now := f.Clock.Elapsed()
	if now-f.lastUse >= quietWindows*f.Window ||
		f.waiting != idle && now-f.waiting >= maxFoldDelay ||
		f.journal.size >= f.maxJournal ||
		f.overlay.filling() {
		f.due, f.journaled, f.folding = f.overlay.begin(), f.journal.end(), true
		f.waiting = idle
	}
}

// foldPart writes some uses into their records, and reports whether it could.
// It does not judge the clock: a use that was acknowledged holds, however late
// it is written.
func (f *Folder) foldPart(ctx context.Context) bool {
	if part := f.due[:min(len(f.due), foldPart)]; len(part) > 0 {
		// The journal has to wait for it.
		if f.unfinished.CompareAndSwap(idle, int64(f.Clock.Elapsed())) {
			defer f.unfinished.Store(idle)
		}
		if err := f.Fold(ctx, part, false); err != nil {
			f.warn("shelflife: uses could not be written to their products, will try again", err)
			return false
		}
		f.overlay.folded(part)
		if f.due = f.due[len(part):]; len(f.due) > 0 {
			return true
		}
	}
	if err := f.journal.remove(ctx, f.journaled, false); err != nil {
		f.warn("shelflife: the use journal could not be shortened, will try again", err)
		return false
	}
	f.due, f.folding = nil, false
	f.overlay.prune()
	return true
}

// Finish folds everything at once, however long the engine takes. Where that
// fails, uses become durable in the journal at least.
func (f *Folder) Finish(ctx context.Context) error {
	if f.ReadOnly {
		return nil
	}
	for {
		// Uses that it would have brought back are in the records, or are found by the
		// next opening.
		f.reloaded(ctx)
		for part := range slices.Chunk(f.overlay.begin(), foldPart) {
			if err := f.Fold(ctx, part, true); err != nil {
				if fresh := f.overlay.takeFresh(); len(fresh) > 0 {
					err = errors.Join(err, f.journal.write(ctx, fresh))
				}
				return err
			}
			f.overlay.folded(part)
		}
		err := f.journal.remove(ctx, f.journal.end(), true)
		if !errors.Is(err, errTakenBack) {
			return err
		}
		f.reload.Store(true)
	}
}

func (f *Folder) warn(message string, err error) {
	if !errors.Is(err, context.Canceled) {
		f.Logger.Warn(message, "error", err)
	}
}

// Stuck reports whether uses have not become durable for so long that further ones
// must not wait.
func (f *Folder) Stuck() bool {
	since := f.unfinished.Load()
	if since == idle {
		return false
	}
	return f.Clock.Elapsed()-time.Duration(since) > f.Window/stuckFraction
}
