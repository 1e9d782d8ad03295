package pebble

import (
	"context"
	"iter"
	"sync"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shelflife-db/shelflife/backend"
)

// snapshot is one state of a Store. It holds no reference to the Store, which
// closes it when it is closed itself; its calls do.
type snapshot struct {
	store *Store
	// mu is held shared while db is used, and guards its being closed and set
	// to nil. closed is closed with it.
	mu     sync.RWMutex
	db     *crdb.Snapshot
	closed chan struct{}
}

var _ backend.Snapshot = (*snapshot)(nil)

// Snapshot implements backend.Backend.
func (s *Store) Snapshot(ctx context.Context) (backend.Snapshot, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.life.Exit()
	if err := s.fail.engine(); err != nil {
		return nil, err
	}
	n := &snapshot{store: s, db: s.db.NewSnapshot(), closed: make(chan struct{})}
	s.mu.Lock()
	s.snapshots[n] = struct{}{}
	s.mu.Unlock()
	return n, nil
}

func (s *Store) closeSnapshots() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.snapshots {
		n.release()
	}
	clear(s.snapshots)
}

// Close implements backend.Snapshot.
func (n *snapshot) Close() error {
	// A Store that closes does it itself.
	if n.store.life.Enter() != nil {
		return nil
	}
	defer n.store.life.Exit()
	n.store.mu.Lock()
	delete(n.store.snapshots, n)
	n.store.mu.Unlock()
	n.release()
	return nil
}

func (n *snapshot) release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.db != nil {
		if n.store.fail.engine() == nil {
			_ = n.db.Close()
		}
		n.db = nil
		close(n.closed)
	}
}

// enter counts a call in; exit must follow a nil.
func (n *snapshot) enter(ctx context.Context) error {
	if err := n.store.enter(ctx); err != nil {
		return err
	}
	n.mu.RLock()
	if n.db == nil {
		n.exit()
		return backend.ErrClosed
	}
	return nil
}

func (n *snapshot) exit() {
	n.mu.RUnlock()
	n.store.life.Exit()
}

// Get implements backend.Reader.
func (n *snapshot) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	if err := n.enter(ctx); err != nil {
		return false, err
	}
	defer n.exit()
	return get(n.db, key, fn)
}

// GetMany implements backend.Reader.
func (n *snapshot) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	if err := n.enter(ctx); err != nil {
		return err
	}
	defer n.exit()
	return getMany(ctx, n.db, keys, fn)
}

// Scan implements backend.Reader. The iterator outlives the snapshot, so that
// the loop may close it.
func (n *snapshot) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		if err := n.store.enter(ctx); err != nil {
			yield(backend.Entry{}, err)
			return
		}
		defer n.store.life.Exit()
		scan(ctx, n, r, o, n.store.closing, n.closed, yield)
	}
}

// NewIterWithContext implements ranger.
func (n *snapshot) NewIterWithContext(ctx context.Context, o *crdb.IterOptions) (*crdb.Iterator, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.db == nil {
		return nil, backend.ErrClosed
	}
	return n.db.NewIterWithContext(ctx, o)
}
