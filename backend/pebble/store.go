package pebble

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/reclaim"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/scopelock"
)

// Store is a [backend.Backend] in a directory. It is exclusive: only one Store
// can be open on a directory, in whatever process.
type Store struct {
	*engine
	gate      *gate
	scopes    *scopelock.Table
	durable   *durability
	snapshots *snapshots
	reclaimer *reclaimer

	resources *Resources // nil, or counted in until Close

	// watching is done when the watchers are to end.
	watching  context.Context
	stopWatch context.CancelFunc
	watchers  sync.WaitGroup
}

var _ backend.Backend = (*Store)(nil)

// Open opens the store in dir, or creates it, the directory included. nil
// options are the default ones. ErrLocked says that it is open elsewhere;
// other errors carry Pebble's or the file system's cause. After a crash or a
// failed write it recovers everything that was acknowledged. ctx is looked at
// only at the start.
//
// A directory that holds other files and no store is refused with ErrForeign. Of
// what a volume or this project leaves in a directory there is no account taken:
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
		return nil, fmt.Errorf("backend/pebble: open %s: %w", dir, err)
	}
	s := &Store{
		engine:    e,
		gate:      newGate(e, opts.DiskReserve),
		scopes:    scopelock.New(),
		durable:   newDurability(e),
		snapshots: newSnapshots(e),
		resources: opts.Resources,
	}
	s.watching, s.stopWatch = context.WithCancel(context.Background())
	s.reclaimer = newReclaimer(e, s.gate)
	s.gate.ticked = s.reclaimer.tick
	s.watch(opts.tick)
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
	o.fit(dir)
	e, err := openEngine(f, *o)
	if err != nil {
		return nil, errors.Join(err, f.leave())
	}
	return e, nil
}

// watch starts what watches the disk until stopWatch is called.
func (s *Store) watch(tick <-chan time.Time) {
	if s.readOnly != nil {
		return
	}
	stop := func() {}
	if tick == nil {
		t := time.NewTicker(watchEvery)
		tick, stop = t.C, t.Stop
	}
	s.watchers.Go(func() {
		defer stop()
		s.gate.watch(tick, s.watching.Done())
	})
	s.watchers.Go(func() { s.hang.Watch(s.watching.Done()) })
	s.watchers.Go(func() { s.reclaimer.run(s.watching) })
}

// Close implements backend.Backend. It writes the memtable out, so that the
// next Open is quick, and waits for a disk that hangs. After a failed write it
// returns the cause, matching backend.ErrUnavailable: commits with
// UpdateOptions.Buffered may be lost.
func (s *Store) Close() error {
	return s.life.Close(func() error {
		s.snapshots.release()
		s.stopWatch()
		s.watchers.Wait()
		err := s.engine.close()
		s.resources.give()
		if err == nil && s.readOnly == nil {
			s.closeOwed()
		}
		if e := s.folder.leave(); err == nil && e != nil {
			err = fmt.Errorf("backend/pebble: close %s: %w", s.folder.dir, e)
		}
		return err
	})
}

// Get implements backend.Reader.
func (s *Store) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.life.Exit()
	return get(s.db, key, fn)
}

// GetMany implements backend.Reader.
func (s *Store) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.life.Exit()
	if len(keys) < 2 {
		return getMany(ctx, s.db, keys, fn)
	}
	if err := s.fail.Engine(); err != nil {
		return err
	}
	snap := s.db.NewSnapshot()
	defer func() { _ = snap.Close() }()
	return getMany(ctx, snap, keys, fn)
}

// Scan implements backend.Reader.
func (s *Store) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		if err := s.enter(ctx); err != nil {
			yield(backend.Entry{}, err)
			return
		}
		defer s.life.Exit()
		scan(ctx, s.db, s.db, r, o, s.closing, nil, yield)
	}
}

// Snapshot implements backend.Backend.
func (s *Store) Snapshot(ctx context.Context) (backend.Snapshot, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.life.Exit()
	n, err := s.snapshots.take()
	if err != nil {
		return nil, err
	}
	return n, nil
}

// Properties implements backend.Backend.
func (s *Store) Properties() backend.Properties {
	return backend.Properties{
		Name:         "pebble",
		Exclusive:    true,
		Shards:       1,
		ReadOnly:     s.readOnly != nil,
		MaxKeySize:   maxKeySize,
		MaxValueSize: maxValueSize,
	}
}

// Ready implements backend.Backend.
func (s *Store) Ready() error {
	if s.life.Closed() {
		return backend.ErrClosed
	}
	if err := s.gate.ready(false); err != nil {
		return err
	}
	return s.hang.Err()
}

// Size implements backend.Backend. It counts the tables and, by their average,
// the blob files, not the memtables: up to a few times Options.MemTableSize of
// the latest writes are missing.
func (s *Store) Size(ctx context.Context, r backend.Range) (int64, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.life.Exit()
	if emptyRange(r) {
		return 0, nil
	}
	if err := s.fail.Engine(); err != nil {
		return 0, err
	}
	end := r.End
	if end == nil {
		end = lastKey
	}
	n, err := s.db.EstimateDiskUsage(r.Start, end)
	if err != nil {
		return 0, engineError(err)
	}
	return int64(n), nil
}

// Reclaim gives back the room of what has been deleted, and leaves nothing of it
// in the store's files, where the background would take until Options.EraseWithin.
// It returns when that is done; open snapshots and scans keep what they show. It
// implements backend.Reclaimer.
func (s *Store) Reclaim(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.life.Exit()
	if s.readOnly != nil {
		return s.readOnly
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := s.reclaimer.pass(ctx, reclaim.Erase, false)
	switch {
	case err == nil, errors.Is(err, backend.ErrUnavailable):
		return err
	case ctx.Err() != nil && s.life.Closed():
		return backend.ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", backend.ErrUnavailable, err)
}

// lastKey is above every key that is not made of 0xff alone.
var lastKey = []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")

// Metrics returns Pebble's own figures, nil after Close or a panic of Pebble. Their meaning may
// change with Pebble.
func (s *Store) Metrics() *crdb.Metrics {
	if err := s.life.Enter(); err != nil {
		return nil
	}
	defer s.life.Exit()
	if s.fail.Engine() != nil {
		return nil
	}
	return s.db.Metrics()
}
