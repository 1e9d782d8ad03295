package pebble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/shelflife-db/shelflife/backend"
)

// checkpointDir returns the directory of a store's checkpoint. It is within the
// store's own, so that tables are linked there, and not copied: on another file
// system Pebble would have to copy them.
func (f *folder) checkpointDir() string { return f.fs.PathJoin(f.dir, "checkpoint") }

// removeCheckpoint removes a checkpoint, also one that a crash has left.
func (f *folder) removeCheckpoint() error {
	dir := f.checkpointDir()
	if _, err := f.fs.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return f.fs.RemoveAll(dir)
}

// checkpointer makes the checkpoints of a Store, one at a time.
type checkpointer struct {
	// turn holds a value while there is a checkpoint, or one is being made or removed.
	turn chan struct{}
	// mu guards open.
	mu   sync.Mutex
	open *checkpoint // nil if there is none
}

func newCheckpointer() *checkpointer { return &checkpointer{turn: make(chan struct{}, 1)} }

// end closes the checkpoint that is open. No other is made any more.
func (c *checkpointer) end() error {
	c.mu.Lock()
	open := c.open
	c.mu.Unlock()
	if open == nil {
		return nil
	}
	return open.Close()
}

// checkpoint is a copy of a Store in a directory of its own.
type checkpoint struct {
	store *Store
	dir   string
	// mu is held shared while a file of the copy is read, and guards closed.
	mu     sync.RWMutex
	closed bool
	once   sync.Once
	err    error // of Close
}

var (
	_ backend.Checkpointer = (*Store)(nil)
	_ backend.Checkpoint   = (*checkpoint)(nil)
	_ backend.Restored     = (*Store)(nil)
)

// checkpointCache is the cache of a checkpoint that is read, beside the store's.
const checkpointCache = 8 << 20

// Checkpoint makes a copy of the store as it is, in the directory checkpoint of
// the store's own, where it shares the store's files. It implements
// backend.Checkpointer.
//
// What the store removes or writes anew takes room until the checkpoint is closed.
// A crash leaves the directory, and the next Open removes it. A store that is open
// for reading makes none.
func (s *Store) Checkpoint(ctx context.Context) (backend.Checkpoint, error) {
	select {
	case s.checkpoints.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.closing:
		return nil, backend.ErrClosed
	}
	o, err := s.enter(ctx)
	if err != nil {
		<-s.checkpoints.turn
		return nil, err
	}
	// Pebble waits for the disk, which may hang, and takes no context. The call that
	// is counted ends when Pebble has: Close waits for that.
	type result struct {
		c   *checkpoint
		err error
	}
	done := make(chan result)
	go func() {
		defer o.life.Exit()
		c, err := o.checkpoint()
		if err != nil {
			<-s.checkpoints.turn
		}
		select {
		case done <- result{c, err}:
		case <-ctx.Done():
			if c != nil {
				_ = c.Close() // the caller has left; the next one removes what remains
			}
		}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, r.err
		}
		return r.c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// checkpoint makes a copy. The turn is the caller's.
func (o *opening) checkpoint() (*checkpoint, error) {
	s := o.store
	if o.readOnly != nil {
		return nil, o.readOnly
	}
	if err := o.folder.removeCheckpoint(); err != nil {
		return nil, fmt.Errorf("backend/pebble: remove the last checkpoint: %w", err)
	}
	// Everything that was acknowledged becomes tables. What the copy has of the logs
	// came later, and goes: Pebble copies a log while it is written to, and may have
	// read a part before it was written and the next one after it, which is damage.
	// Tables alone are what was committed up to the last flush, in order.
	//
	// Pebble v2.1.7: unnecessary when DB.Checkpoint copies a log up to what is synced
	// (TestPebbleCopiesTornLogs).
	if err := o.flush(); err != nil {
		return nil, fmt.Errorf("%w: %w", backend.ErrUnavailable, err)
	}
	c := &checkpoint{store: s, dir: o.folder.checkpointDir()}
	err := errors.Join(o.db.Checkpoint(c.dir), o.guard.TakeAsideError())
	if err == nil {
		err = c.removeLogs()
	}
	if err == nil {
		// Pebble has seen no failure of the store's own files, see diskguard.FS.
		err = o.fail.Unavailable()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("backend/pebble: checkpoint: %w", err), o.folder.removeCheckpoint())
	}
	s.checkpoints.mu.Lock()
	s.checkpoints.open = c
	s.checkpoints.mu.Unlock()
	return c, nil
}

// removeLogs removes what Pebble has copied of the logs.
func (c *checkpoint) removeLogs() error {
	fsys := c.store.opts.FS
	names, err := fsys.List(c.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			if err := fsys.Remove(fsys.PathJoin(c.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Open implements backend.Checkpoint.
func (c *checkpoint) Open(ctx context.Context) (backend.Backend, error) {
	if err := c.use(); err != nil {
		return nil, err
	}
	defer c.mu.RUnlock()
	b, err := Open(ctx, c.dir, &Options{ReadOnly: true, CacheSize: checkpointCache, MaxOpenFiles: minOpenFiles, FS: c.store.opts.FS, Logger: c.store.log})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// use counts a reader of the copy in; c.mu.RUnlock must follow a nil.
func (c *checkpoint) use() error {
	c.mu.RLock()
	if c.closed {
		c.mu.RUnlock()
		return backend.ErrClosed
	}
	return nil
}

// Write implements backend.Checkpoint. See [Restore] for the way back.
func (c *checkpoint) Write(ctx context.Context, w io.Writer, taken time.Time) (backend.BackupInfo, error) {
	list, err := c.list()
	if err != nil {
		return backend.BackupInfo{}, err
	}
	return writeBackup(w, backupHeader{Taken: taken.UnixMilli(), Files: list}, func(name string, w io.Writer) error {
		return c.copy(ctx, name, w)
	})
}

// list returns the files of the copy.
func (c *checkpoint) list() ([]backupFile, error) {
	if err := c.use(); err != nil {
		return nil, err
	}
	defer c.mu.RUnlock()
	fsys := c.store.opts.FS
	names, err := fsys.List(c.dir)
	if err != nil {
		return nil, err
	}
	var list []backupFile
	for _, name := range names {
		if !backupName.MatchString(name) {
			continue
		}
		info, err := fsys.Stat(fsys.PathJoin(c.dir, name))
		if err != nil {
			return nil, err
		}
		list = append(list, backupFile{Name: name, Size: info.Size()})
	}
	return list, nil
}

// copy writes a file of the copy to w. While w takes its time nothing is held but
// the open file.
func (c *checkpoint) copy(ctx context.Context, name string, w io.Writer) error {
	f, err := c.store.opts.FS.Open(c.store.opts.FS.PathJoin(c.dir, name))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := c.read(f, buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *checkpoint) read(f io.Reader, buf []byte) (int, error) {
	if err := c.use(); err != nil {
		return 0, err
	}
	defer c.mu.RUnlock()
	return f.Read(buf)
}

// Close implements backend.Checkpoint.
func (c *checkpoint) Close() error {
	c.once.Do(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.closed = true
		// Only then may the next one be made in the same place.
		c.err = c.store.folder.removeCheckpoint()
		all := c.store.checkpoints
		all.mu.Lock()
		all.open = nil
		all.mu.Unlock()
		<-all.turn
	})
	return c.err
}
