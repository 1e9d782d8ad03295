package pebble

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/diskguard"
)

// Store is a [backend.Backend] in a directory. It is exclusive: only one Store
// can be open on a directory, in whatever process.
//
// It is a [backend.Healer]: a write that failed for want of disk space or of file
// descriptors ends its generation, and another begins by itself once there is room.
type Store struct {
	folder *folder
	opts   Options
	log    *slog.Logger
	healer *healer
	// ticks drive what looks at the disk now and then.
	ticks    <-chan time.Time
	stopTick func()

	// turn says which opening takes the calls.
	turn atomic.Pointer[turn]
	// checkpoints makes copies of the store.
	checkpoints *checkpointer

	closed  atomic.Bool
	closing chan struct{} // closed when closed is set
	close   sync.Once
	err     error // of Close
}

var (
	_ backend.Backend   = (*Store)(nil)
	_ backend.Reclaimer = (*Store)(nil)
	_ backend.Healer    = (*Store)(nil)
	_ backend.Measured  = (*Store)(nil)
)

// Open opens the store in dir, or creates it, the directory included. nil
// options are the default ones. ErrLocked says that it is open elsewhere;
// other errors carry Pebble's or the file system's cause. After a crash or a
// failed write it recovers everything that was acknowledged. ctx is looked at
// only at the start.
//
// A directory that holds other files and no store is refused with ErrForeign.
// What a volume or this project leaves in a directory does not count:
// lost+found, sockets, and the directories spool and checkpoint.
//
// A store that can't be written where it is, because its volume is full or
// read-only or for want of permission, is opened as with Options.ReadOnly, the
// cause in the log and in the error of Ready.
func Open(ctx context.Context, dir string, o *Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := opts.Resources.take(); err != nil {
		return nil, err
	}
	e, err := openFolder(dir, &opts)
	if err != nil {
		opts.Resources.give()
		if !opts.damaged {
			err = diagnose(ctx, dir, opts, err)
		}
		err = asDamagedStore(err)
		return nil, fmt.Errorf("backend/pebble: open %s: %w", dir, err)
	}
	s := &Store{
		folder: e.folder, opts: opts, log: opts.Logger,
		ticks: opts.tick, stopTick: func() {},
		closing: make(chan struct{}), checkpoints: newCheckpointer(),
	}
	if s.ticks == nil {
		t := time.NewTicker(watchEvery)
		s.ticks, s.stopTick = t.C, t.Stop
	}
	s.healer = newHealer(s, e.guard.Keeper())
	first := newOpening(s, e)
	s.turn.Store(&turn{opening: first})
	first.watch()
	s.healer.start()
	return s, nil
}

// openFolder locks the directory and opens Pebble in it, for writing if it can.
func openFolder(dir string, o *Options) (*engine, error) {
	if o.ReadOnly {
		return openLocked(dir, o, errAsked)
	}
	e, err := openLocked(dir, o, nil)
	if !unwritable(err) {
		return e, err
	}
	e, failed := openLocked(dir, o, err)
	if failed != nil {
		return nil, err
	}
	o.Logger.Error("backend/pebble: the store can't be written and was opened for reading", "error", err)
	return e, nil
}

// openLocked opens Pebble in the directory, for writing unless there is a reason
// why not.
func openLocked(dir string, o *Options, readOnly error) (*engine, error) {
	state, err := examine(o.FS, dir)
	if err == nil && state != folderStore && (o.MustExist || readOnly != nil) {
		err = ErrNoStore
	}
	if err != nil {
		return nil, err
	}
	var f *folder
	if readOnly == nil {
		f, err = takeFolder(o.FS, dir)
	} else {
		f, err = shareFolder(frozenFS{o.FS}, dir, readOnly)
	}
	if err != nil {
		return nil, err
	}
	if state == folderStore && !o.damaged {
		// Under the lock: a process that has the store open goes on from log to log.
		if err := refuseWithoutLog(o.FS, dir); err != nil {
			return nil, errors.Join(err, f.leave())
		}
	}
	if readOnly == nil {
		if err := f.removeCheckpoint(); err != nil {
			o.Logger.Warn("backend/pebble: a checkpoint that was left can't be removed", "error", err)
		}
		if err := f.removeLoads(); err != nil {
			o.Logger.Warn("backend/pebble: tables that were left beside the store can't be removed", "error", err)
		}
	}
	o.fit(dir)
	f.ballast = newBallast(f, o.Logger)
	if readOnly == nil && o.DiskReserve < 0 {
		f.ballast.drop()
	}
	e, err := openEngine(f, *o, diskguard.NewKeeper(f.fs), false)
	if readOnly == nil && isFull(err) && f.ballast.drop() {
		e, err = openEngine(f, *o, diskguard.NewKeeper(f.fs), false)
	}
	if err != nil {
		return nil, errors.Join(err, f.leave())
	}
	return e, nil
}

// Close implements backend.Backend. It writes the memtable out, so that the
// next Open is quick, and waits for a disk that hangs. After a failed write from
// which the store has not healed it returns the cause, matching
// backend.ErrUnavailable: commits with UpdateOptions.Buffered may be lost.
func (s *Store) Close() error {
	s.close.Do(func() {
		s.closed.Store(true)
		close(s.closing)
		// Its loops and waiting calls end at once, though the healer may be at work.
		s.turn.Load().refuse(backend.ErrClosed)
		s.healer.end()
		// From here on no other opening takes its turn.
		last := s.turn.Load().opening
		last.refuse(backend.ErrClosed)
		s.err = last.close()
		s.healer.leaving.Wait()
		if err := s.checkpoints.end(); err != nil {
			s.log.Warn("backend/pebble: the checkpoint can't be removed", "error", err)
		}
		if s.folder.readOnly == nil {
			_ = s.folder.removeLoads() // and if it fails, when the store is opened next
		}
		s.opts.Resources.give()
		s.stopTick()
		if err := s.folder.leave(); s.err == nil && err != nil {
			s.err = fmt.Errorf("backend/pebble: close %s: %w", s.folder.dir, err)
		}
	})
	return s.err
}

// enter counts a call in, whose context must be alive, and returns the opening that
// takes it. life.Exit must follow.
func (s *Store) enter(ctx context.Context) (*opening, error) { return s.admit(ctx, false) }

// admit is enter for a call that may be patient with a disk that hangs.
func (s *Store) admit(ctx context.Context, patient bool) (*opening, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t := s.turn.Load()
		if t.life.Enter() == nil {
			return t.opening, nil
		}
		if s.closed.Load() {
			return nil, backend.ErrClosed
		}
		// Its turn is over, or was when it was looked at.
		if err := s.healer.await(ctx, t.next, patient); err != nil {
			return nil, err
		}
	}
}

// enterUpdate is enter for an Update, which waits for the end of healing too. Exit
// of updates and life must follow.
func (s *Store) enterUpdate(ctx context.Context, patient bool) (*opening, error) {
	for {
		if t := s.turn.Load(); t.next != nil {
			if err := s.healer.await(ctx, t.next, patient); err != nil {
				return nil, err
			}
		}
		o, err := s.admit(ctx, patient)
		if err != nil {
			return nil, err
		}
		if o.updates.Enter() == nil {
			return o, nil
		}
		o.life.Exit()
		if s.closed.Load() {
			return nil, backend.ErrClosed
		}
	}
}

// Get implements backend.Reader.
func (s *Store) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	o, err := s.enter(ctx)
	if err != nil {
		return false, err
	}
	defer o.life.Exit()
	return get(o.db, key, fn)
}

// GetMany implements backend.Reader.
func (s *Store) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	o, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer o.life.Exit()
	return o.getMany(ctx, keys, fn)
}

// Scan implements backend.Reader.
func (s *Store) Scan(ctx context.Context, r backend.Range, so backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		o, err := s.enter(ctx)
		if err != nil {
			yield(backend.Entry{}, err)
			return
		}
		defer o.life.Exit()
		scan(ctx, o.db, o.db, r, so, ending{closing: o.closing, why: o.ended}, yield)
	}
}

// Snapshot implements backend.Backend.
func (s *Store) Snapshot(ctx context.Context) (backend.Snapshot, error) {
	o, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer o.life.Exit()
	n, err := o.snapshots.take()
	if err != nil {
		return nil, err
	}
	return n, nil
}

// Update implements backend.Backend. The callback runs once.
func (s *Store) Update(ctx context.Context, scopes []backend.Scope, u backend.UpdateOptions,
	fn func(context.Context, backend.Txn) error,
) error {
	if backend.InUpdate(ctx, s) {
		return backend.ErrNested
	}
	o, err := s.enterUpdate(ctx, u.Patient)
	if err != nil {
		return err
	}
	defer o.life.Exit()
	defer o.updates.Exit()
	return o.update(ctx, scopes, u, fn)
}

// Durable implements backend.Backend.
func (s *Store) Durable(ctx context.Context, scopes []backend.Scope) error {
	o, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer o.life.Exit()
	return o.makeDurable(ctx, scopes)
}

// Properties implements backend.Backend.
func (s *Store) Properties() backend.Properties {
	return backend.Properties{
		Name:         "pebble",
		Exclusive:    true,
		Checksums:    true, // of each block, in tables and blob files alike
		Shards:       1,
		ReadOnly:     s.turn.Load().readOnly != nil,
		MaxKeySize:   maxKeySize,
		MaxValueSize: maxValueSize,
	}
}

// Ready implements backend.Backend.
func (s *Store) Ready() error {
	if s.closed.Load() {
		return backend.ErrClosed
	}
	o := s.turn.Load()
	if err := o.gate.ready(false); err != nil {
		return err
	}
	return o.hang.Err()
}

// Size implements backend.Backend. It counts the tables and, by their average,
// the blob files, not the memtables: up to a few times Options.MemTableSize of
// the latest writes are missing.
func (s *Store) Size(ctx context.Context, r backend.Range) (int64, error) {
	o, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer o.life.Exit()
	return o.size(r)
}

// Reclaim gives back the room of what has been deleted, and leaves nothing of it
// in the store's files, where the background would take until Options.EraseWithin.
// It returns when that is done; open snapshots and scans keep what they show. It
// implements backend.Reclaimer.
func (s *Store) Reclaim(ctx context.Context) error {
	o, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer o.life.Exit()
	return o.reclaim(ctx)
}

// Metrics returns Pebble's own figures, nil after Close or a panic of Pebble. Their
// meaning may change with Pebble, and they begin anew when the store has healed.
func (s *Store) Metrics() *crdb.Metrics {
	o, err := s.enter(context.Background())
	if err != nil {
		return nil
	}
	defer o.life.Exit()
	if o.fail.Engine() != nil {
		return nil
	}
	return o.db.Metrics()
}
