package pebble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelflife-db/shelflife/backend"
)

// ErrLocked is returned by Open for a directory that a Store, of this or of
// another process, has open.
var ErrLocked = errors.New("backend/pebble: the store is in use")

// Store is a [backend.Backend] in a directory. It is exclusive: only one Store
// can be open on a directory, in whatever process.
type Store struct {
	dir     string
	log     *slog.Logger
	reserve int64
	guard   *guardFS
	fail    *failure
	hang    *hangWatch
	lock    *crdb.Lock
	dirLock io.Closer // nil on a file system that is not the operating system's
	db      *crdb.DB
	stripes *stripes
	durable *durability
	life    backend.Lifecycle
	closing <-chan struct{}
	// dirty tells that something was committed since Open.
	dirty atomic.Bool

	space         atomic.Int32 // a spaceLevel
	stall         atomic.Pointer[chan struct{}]
	levelsChanged atomic.Bool
	stopWatch     chan struct{}
	watchers      sync.WaitGroup

	// mu guards snapshots, those that are open. Their own locks are taken
	// after it.
	mu        sync.Mutex
	snapshots map[*snapshot]struct{}
}

var _ backend.Backend = (*Store)(nil)

// Open opens the store in dir, or creates it, the directory included. nil
// options are the default ones. ErrLocked says that it is open elsewhere;
// other errors carry Pebble's or the file system's cause. After a crash or a
// failed write it recovers everything that was acknowledged. ctx is looked at
// only at the start.
func Open(ctx context.Context, dir string, o *Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	fail := newFailure(opts.Logger)
	s := &Store{
		dir:       dir,
		log:       opts.Logger,
		reserve:   opts.DiskReserve,
		guard:     newGuardFS(opts.FS, fail),
		fail:      fail,
		stripes:   newStripes(),
		stopWatch: make(chan struct{}),
		snapshots: make(map[*snapshot]struct{}),
	}
	s.hang = newHangWatch(opts, s.guard)
	s.closing = s.life.Closing()
	if err := s.open(opts); err != nil {
		return nil, fmt.Errorf("backend/pebble: open %s: %w", dir, err)
	}
	s.durable = newDurability(s.db, fail, s.hang)
	s.lookAtSpace()

	tick, stop := opts.tick, func() {}
	if tick == nil {
		t := time.NewTicker(watchEvery)
		tick, stop = t.C, t.Stop
	}
	s.watchers.Go(func() {
		defer stop()
		s.watch(tick)
	})
	s.watchers.Go(func() { s.hang.watch(s.stopWatch) })
	return s, nil
}

// open creates and locks the directory and opens Pebble on it.
func (s *Store) open(o Options) (err error) {
	if err := createDir(o.FS, s.dir); err != nil {
		return err
	}
	if vfs.Root(o.FS) == vfs.Default {
		if s.dirLock, err = lockDir(s.dir); err != nil {
			return err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, s.dirLock.Close())
			}
		}()
	}
	if s.lock, err = crdb.LockDirectory(s.dir, o.FS); err != nil {
		// Only the call that takes the lock fails with anything else than a
		// path's error. It does too where locks are not to be had.
		if path := (*fs.PathError)(nil); errors.As(err, &path) || errors.Is(err, syscall.ENOLCK) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrLocked, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.lock.Close())
		}
	}()
	if err := refuseHeadless(o.FS, s.dir); err != nil {
		return err
	}
	before, err := crdb.Peek(s.dir, o.FS)
	if err != nil {
		return err
	}
	e := engineOptions(o)
	e.FS = s.guard
	e.Experimental.ValueSeparationPolicy = func() crdb.ValueSeparationPolicy {
		p := separation()
		if o.rewriteAge > 0 {
			p.RewriteMinimumAge = o.rewriteAge
		}
		if s.guard.unreadable.Load() {
			// Pebble would try to write it anew again and again.
			p.TargetGarbageRatio = 1
		}
		return p
	}
	e.CompactionConcurrencyRange = func() (int, int) {
		if s.guard.parked.err() != nil {
			return 2, 3 // one of them does nothing
		}
		return 1, 2
	}
	e.Lock = s.lock
	e.Logger = engineLogger{o.Logger, s.fail}
	e.EventListener = s.listener()
	if s.db, err = openEngine(s.dir, e, s.fail); err != nil {
		return err
	}
	if err = s.fail.unavailable(); err == nil {
		err = s.refuseIncomplete()
	}
	if err == nil && before.FormatMajorVersion < formatMajorVersion {
		// Pebble begins the log before it raises the format. In this one damage
		// could not be told from the end that a crash leaves: begin another.
		err = s.flushEngine()
	}
	if err != nil {
		_ = s.closeEngine()
	}
	return err
}

// refuseIncomplete returns an error where there are fewer blob files than are in
// use: Pebble looks for its tables when it opens a store, but ends the process
// when it reads from a blob file that is missing. Blob files that are not in use
// any more, as a crash may leave, can hide that.
func (s *Store) refuseIncomplete() error {
	const looks = 3 // Pebble is at work already, and may replace a file between two counts
	var used, present uint64
	for range looks {
		used, present = s.db.Metrics().BlobFiles.LiveCount, 0
		names, err := s.guard.List(s.dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if strings.HasSuffix(name, ".blob") {
				present++
			}
		}
		if present >= used {
			return nil
		}
	}
	return fmt.Errorf("damaged: %d blob files are in use, but there are only %d", used, present)
}

// refuseHeadless returns an error where there are tables but nothing says which
// of them make up the store: Pebble would begin a new one and remove them.
func refuseHeadless(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	tables := 0
	for _, name := range names {
		switch {
		case strings.HasPrefix(name, "marker.manifest."):
			return nil
		case strings.HasSuffix(name, ".sst"), strings.HasSuffix(name, ".blob"):
			tables++
		}
	}
	if tables > 0 {
		return fmt.Errorf("damaged: %d tables, but the file marker.manifest.* is missing", tables)
	}
	return nil
}

func openEngine(dir string, e *crdb.Options, fail *failure) (db *crdb.DB, err error) {
	defer fail.onPanic(&err)
	return crdb.Open(dir, e)
}

// createDir creates dir and what is missing above it, durably.
func createDir(fsys vfs.FS, dir string) error {
	var missing []string
	for d := dir; ; d = fsys.PathDir(d) {
		_, err := fsys.Stat(d)
		if err == nil || d == fsys.PathDir(d) {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		missing = append(missing, d)
	}
	if len(missing) == 0 {
		return nil
	}
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range missing {
		parent, err := fsys.OpenDir(fsys.PathDir(d))
		if err != nil {
			return err
		}
		if err := errors.Join(parent.Sync(), parent.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Properties implements backend.Backend.
func (s *Store) Properties() backend.Properties {
	return backend.Properties{
		Name:         "pebble",
		Exclusive:    true,
		Shards:       1,
		MaxKeySize:   maxKeySize,
		MaxValueSize: maxValueSize,
	}
}

// Ready implements backend.Backend.
func (s *Store) Ready() error {
	if s.life.Closed() {
		return backend.ErrClosed
	}
	if err := s.ready(false); err != nil {
		return err
	}
	return s.hang.err()
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
	if err := s.fail.engine(); err != nil {
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

// lastKey is above every key that is not made of 0xff alone.
var lastKey = []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")

// Metrics returns Pebble's own figures, nil after Close or a panic of Pebble. Their meaning may
// change with Pebble.
func (s *Store) Metrics() *crdb.Metrics {
	if err := s.life.Enter(); err != nil {
		return nil
	}
	defer s.life.Exit()
	if s.fail.engine() != nil {
		return nil
	}
	return s.db.Metrics()
}

// Close implements backend.Backend. It writes the memtable out, so that the
// next Open is quick, and waits for a disk that hangs. After a failed write it
// returns the cause, matching backend.ErrUnavailable: commits with
// UpdateOptions.Buffered may be lost.
func (s *Store) Close() error {
	return s.life.Close(func() error {
		s.closeSnapshots()
		close(s.stopWatch)
		s.watchers.Wait()
		err := s.closeEngine()
		e := s.lock.Close()
		if s.dirLock != nil {
			e = errors.Join(e, s.dirLock.Close())
		}
		if err == nil && e != nil {
			err = fmt.Errorf("backend/pebble: close %s: %w", s.dir, e)
		}
		return err
	})
}

// closeEngine closes Pebble, or leaves it alone where it can't be.
func (s *Store) closeEngine() (err error) {
	if s.durable != nil {
		s.durable.syncs.Wait()
	}
	if s.dirty.Load() {
		err = s.flushEngine()
	}
	close(s.guard.stopping)
	if s.fail.engine() == nil && s.shutUnlessParked(&err) {
		return s.closed(err)
	}
	// Pebble's share of the lock.
	return s.closed(errors.Join(err, s.lock.Close()))
}

// closed returns what Close says of err.
func (s *Store) closed(err error) error {
	if e := s.fail.unavailable(); e != nil {
		return e
	}
	if err != nil {
		return fmt.Errorf("backend/pebble: close %s: %w", s.dir, err)
	}
	return nil
}

// flushEngine also puts the log on the disk: it is closed with the memtable.
func (s *Store) flushEngine() (err error) {
	if s.fail.failed() {
		return nil
	}
	defer s.fail.onPanic(&err)
	return s.db.Flush()
}

// shutUnlessParked closes Pebble, which waits for its goroutines: not if one of
// them is parked. Then nothing that it still does may reach the disk.
func (s *Store) shutUnlessParked(err *error) (shut bool) {
	done := make(chan error, 1)
	if s.guard.parked.err() == nil {
		go func() { done <- s.shutEngine() }()
	}
	select {
	case e := <-done:
		*err = errors.Join(*err, e)
		return true
	case <-s.guard.parked.set:
		s.fail.fail(s.guard.parked.err())
		return false
	}
}

func (s *Store) shutEngine() (err error) {
	defer s.fail.onPanic(&err)
	return s.db.Close()
}

// enter counts a call in whose context must be alive.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.life.Enter()
}

// engineError marks an error as Pebble's.
func engineError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("backend/pebble: %w", err)
}
