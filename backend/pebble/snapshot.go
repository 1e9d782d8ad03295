package pebble

import (
	"context"
	"iter"
	"sync"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shelflife-db/shelflife/backend"
)

// snapshot is one state of an opening. It holds no reference to the opening, which
// closes it when it is closed itself; its calls do.
type snapshot struct {
	all *snapshots
	// mu is held shared while db is used, and guards its being closed and set
	// to nil. closed is closed with it.
	mu     sync.RWMutex
	db     *crdb.Snapshot
	closed chan struct{}
}

var _ backend.Snapshot = (*snapshot)(nil)

// snapshots are those of an opening that are open.
type snapshots struct {
	*engine
	// mu guards open. A snapshot's own lock is taken after it, Pebble's after
	// both.
	mu   sync.Mutex
	open map[*snapshot]struct{}
}

func newSnapshots(e *engine) *snapshots {
	return &snapshots{engine: e, open: make(map[*snapshot]struct{})}
}

// take returns the state that is visible now.
func (a *snapshots) take() (*snapshot, error) {
	if err := a.fail.Engine(); err != nil {
		return nil, err
	}
	n := &snapshot{all: a, db: a.db.NewSnapshot(), closed: make(chan struct{})}
	a.mu.Lock()
	a.open[n] = struct{}{}
	a.mu.Unlock()
	return n, nil
}

func (a *snapshots) forget(n *snapshot) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, n)
}

// release ends all that are open.
func (a *snapshots) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for n := range a.open {
		n.release()
	}
	clear(a.open)
}

// Close implements backend.Snapshot.
func (n *snapshot) Close() error {
	// An opening that closes does it itself.
	if n.all.life.Enter() != nil {
		return nil
	}
	defer n.all.life.Exit()
	n.all.forget(n)
	n.release()
	return nil
}

func (n *snapshot) release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.db != nil {
		if n.all.fail.Engine() == nil {
			_ = n.db.Close()
		}
		n.db = nil
		close(n.closed)
	}
}

// enter counts a call in; exit must follow a nil.
func (n *snapshot) enter(ctx context.Context) error {
	if err := n.all.enter(ctx); err != nil {
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
	n.all.life.Exit()
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
		if err := n.all.enter(ctx); err != nil {
			yield(backend.Entry{}, err)
			return
		}
		defer n.all.life.Exit()
		scan(ctx, n.all.db, n, r, o, ending{n.all.closing, n.all.ended, n.closed}, yield)
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
