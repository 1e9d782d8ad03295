package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/diskguard"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/reclaim"
)

// engine is Pebble, opened on a guarded disk, with what every call on it needs.
type engine struct {
	folder *folder
	lock   *crdb.Lock // none, see unlocked
	log    *slog.Logger
	guard  *diskguard.FS
	fail   *diskguard.Failure
	hang   *diskguard.Hang
	db     *crdb.DB
	// tables is how tables are written beside the store, see load.
	tables  sstable.WriterOptions
	permits *compactionPermits

	// life counts the calls; closing is closed when it refuses further ones, for why.
	life    backend.Lifecycle
	closing <-chan struct{}
	why     atomic.Pointer[error]
	// syncs counts the goroutines that wait in Pebble for the disk. Pebble must
	// not be closed below them.
	syncs sync.WaitGroup
	// readOnly is why no Update is admitted while the store is open, nil if they
	// are.
	readOnly error
	// dirty says that something was committed since Open, unflushed that something
	// was since the last flush for the room's sake.
	dirty, unflushed atomic.Bool
	// ranged says that a range was deleted since that flush.
	ranged atomic.Bool
	// ledger has what was deleted, blobs what becomes of garbage in blob files.
	ledger *reclaim.Ledger
	blobs  *blobRewrites
	// changed is poked when Pebble has done something.
	changed signal
	// newestLog is the newest log that Pebble counts among those in use, nil for none yet.
	newestLog atomic.Pointer[string]
	// levelsChanged says that Pebble's levels are to be looked at.
	levelsChanged atomic.Bool
}

// openEngine opens Pebble in a folder that is locked. keeper keeps what an earlier
// opening reads. If exists is set a store must be there.
func openEngine(f *folder, o Options, keeper *diskguard.Keeper, exists bool) (*engine, error) {
	before, err := crdb.Peek(f.dir, f.fs)
	if err == nil && exists && !before.Exists {
		err = ErrNoStore
	}
	if err != nil {
		return nil, err
	}
	e := newEngine(f, o, keeper)
	e.readOnly = f.readOnly
	// Before Pebble writes anything: a crash from here on must find a store that
	// may owe something.
	if e.readOnly == nil {
		if err := e.takeOver(before.Exists); err != nil {
			return nil, err
		}
	}
	p := e.options(o)
	p.ErrorIfNotExists = exists
	p.DisableConsistencyCheck = o.damaged
	err = e.open(p)
	if err == nil {
		// A nil is not enough: the guard hides failed writes from Pebble, also those
		// of its opening.
		if err = e.check(before.FormatMajorVersion, o.damaged); err != nil {
			_ = e.close()
		}
	}
	if err != nil {
		// Another may be opened in its place: what is left of it must not write.
		e.guard.Freeze()
		return nil, err
	}
	// Only now may compactions wait: Pebble's opening waits for them itself.
	e.guard.Opened()
	return e, nil
}

// takeOver has the ledger begin with what the store was left with.
func (e *engine) takeOver(exists bool) error {
	since, owed, err := e.folder.readOwed()
	if exists && owed {
		e.ledger.OwedSince(since)
	}
	return err
}

func newEngine(f *folder, o Options, keeper *diskguard.Keeper) *engine {
	e := &engine{
		folder:  f,
		log:     o.Logger,
		fail:    diskguard.NewFailure(o.Logger),
		ledger:  reclaim.NewLedger(o.EraseWithin),
		blobs:   new(blobRewrites),
		permits: newCompactionPermits(),
		changed: make(signal, 1),
	}
	e.lock, _ = crdb.LockDirectory(f.dir, unlocked{f.fs}) // which can't fail
	e.guard = diskguard.New(f.fs, e.fail, keeper)
	e.guard.Aside(f.checkpointDir())
	e.guard.Loads(f.loadsDir())
	if o.openTries > 0 {
		e.guard.TryToOpen(o.openTries)
	}
	if o.DiskReserve > 0 {
		e.guard.LookEvery(o.DiskReserve / 16)
	}
	e.hang = diskguard.NewHang(o.HangTimeout, o.Logger, e.guard.Answered)
	e.closing = e.life.Closing()
	return e
}

// options are Pebble's for this engine.
func (e *engine) options(o Options) *crdb.Options {
	p := engineOptions(o)
	p.FS = e.guard
	p.Lock = e.lock
	p.ReadOnly = e.readOnly != nil
	p.Logger = engineLogger{e.log, e.fail}
	p.EventListener = e.listener()
	p.Experimental.ValueSeparationPolicy = func() crdb.ValueSeparationPolicy {
		policy := separation()
		policy.TargetGarbageRatio = e.blobs.target()
		if e.guard.Unreadable() {
			// Pebble would try to write it anew again and again.
			//
			// Pebble v2.1.7: unnecessary when DB.runBlobFileRewriteLocked backs off,
			// or leaves such a file alone (TestPebbleRetriesRewrites).
			policy.TargetGarbageRatio = 1
		}
		return policy
	}
	p.Experimental.CompactionScheduler = e.permits
	p.CompactionConcurrencyRange = func() (int, int) {
		if e.guard.Parked() != nil {
			return 2, 3 // one of them does nothing
		}
		return 1, 2
	}
	return p
}

// open opens Pebble, which may panic on what it finds.
func (e *engine) open(p *crdb.Options) (err error) {
	defer e.fail.OnPanic(&err)
	if e.db, err = crdb.Open(e.folder.dir, p); err != nil {
		e.permits.Unregister()
		return err
	}
	e.permits.open()
	// Most of what is ingested is new, and goes to the lowest level.
	e.tables = p.MakeWriterOptions(len(p.Levels)-1, e.db.TableFormat())
	return nil
}

// check looks at what Pebble has opened, and at what it wrote meanwhile.
func (e *engine) check(before crdb.FormatMajorVersion, damaged bool) error {
	// Pebble reports success where writes failed, see diskguard.FS.
	if err := e.fail.Cause(); err != nil {
		return err
	}
	if !damaged {
		if err := e.folder.refuseIncomplete(e.db); err != nil {
			return err
		}
	}
	if before < formatMajorVersion && e.readOnly == nil {
		// Pebble begins the log before it raises the format. In this one damage
		// could not be told from the end that a crash leaves: begin another.
		//
		// Pebble v2.1.7: unnecessary when crdb.Open creates a store in the format
		// that it is to have (TestPebbleBeginsLogBeforeFormat).
		return e.flush()
	}
	return nil
}

// enter counts a call in whose context must be alive. life.Exit must follow a
// nil.
func (e *engine) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.life.Enter() != nil {
		return e.ended()
	}
	return nil
}

// ended returns why no more calls are taken, given that none are.
func (e *engine) ended() error {
	if why := e.why.Load(); why != nil {
		return *why
	}
	return backend.ErrClosed
}

// flush writes the memtables out. It also puts the log on the disk: it is closed
// with the memtable.
func (e *engine) flush() (err error) {
	if e.fail.Failed() || e.readOnly != nil {
		return nil
	}
	defer e.fail.OnPanic(&err)
	return e.db.Flush()
}

// close closes Pebble, or leaves it alone where it can't be closed. The folder
// may be left then.
func (e *engine) close() error {
	e.syncs.Wait()
	var err error
	if e.dirty.Load() {
		err = e.flush()
	}
	e.guard.Stop()
	err = errors.Join(err, e.shutUnlessParked(), e.lock.Close())
	if failed := e.fail.Unavailable(); failed != nil {
		return failed
	}
	if err != nil {
		return fmt.Errorf("backend/pebble: close %s: %w", e.folder.dir, err)
	}
	return nil
}

// shutUnlessParked closes Pebble, which waits for its goroutines: not if one of
// them is parked. Then nothing that it still does may reach the disk.
func (e *engine) shutUnlessParked() error {
	if e.fail.Engine() != nil {
		return nil
	}
	shut := make(chan error, 1)
	if e.guard.Parked() == nil {
		go func() { shut <- e.shut() }()
	}
	select {
	case err := <-shut:
		return err
	case <-e.guard.Parking():
		e.fail.Fail(e.guard.Parked())
		return nil
	}
}

func (e *engine) shut() (err error) {
	defer e.fail.OnPanic(&err)
	// Nothing will be written over them for as long as the store is closed.
	e.keepLogs(0)
	return e.db.Close()
}
