package backendtest_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/memory"
)

// remote is an engine that several processes share through a link of a few
// connections, which may stall. Its first fields are promises that it breaks.
type remote struct {
	*memory.Store
	localLocks  bool // its Updates exclude each other on one handle only
	boldCommits bool // a commit without an answer is taken for done
	impatient   bool // Patient changes nothing
	sharedPool  bool // loops hold the connections that calls need

	mu   sync.Mutex // of the Updates of one handle
	link *link
}

// link is what the handles of a remote store share.
type link struct {
	connections chan struct{}
	mu          sync.Mutex    // guards stalled
	stalled     chan struct{} // closed when the stall ends, nil without one
}

func newRemote(like *remote, s *memory.Store, l *link) *remote {
	return &remote{
		Store: s, link: l,
		localLocks: like.localLocks, boldCommits: like.boldCommits, impatient: like.impatient, sharedPool: like.sharedPool,
	}
}

func remoteHarness(like *remote) backendtest.Harness {
	return backendtest.Harness{
		Open: func(*testing.T) backend.Backend {
			return newRemote(like, memory.New(&memory.Options{Shared: true}), &link{connections: make(chan struct{}, 4)})
		},
		Second: func(_ *testing.T, b backend.Backend) backend.Backend {
			r := b.(*remote)
			return newRemote(like, r.Store.Handle(), r.link)
		},
		Stall: func(_ *testing.T, b backend.Backend) func() {
			l := b.(*remote).link
			l.mu.Lock()
			defer l.mu.Unlock()
			stalled := make(chan struct{})
			l.stalled = stalled
			return func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.stalled = nil
				close(stalled)
			}
		},
		Exceptions: []backendtest.Exception{backendtest.NotPersistent, backendtest.NoCrash, backendtest.NoHeal},
	}
}

func (r *remote) isStalled() bool {
	r.link.mu.Lock()
	defer r.link.mu.Unlock()
	return r.link.stalled != nil
}

// answered waits for the end of a stall, and gives up with err soon.
func (r *remote) answered(patient bool, err error) error {
	r.link.mu.Lock()
	stalled := r.link.stalled
	r.link.mu.Unlock()
	if stalled == nil {
		return nil
	}
	var late <-chan time.Time
	if !patient || r.impatient {
		late = time.After(10 * time.Millisecond)
	}
	select {
	case <-stalled:
		return nil
	case <-late:
		return err
	}
}

// connect takes one of the connections.
func (r *remote) connect() (release func(), err error) {
	if !r.sharedPool {
		return func() {}, nil
	}
	select {
	case r.link.connections <- struct{}{}:
		return func() { <-r.link.connections }, nil
	case <-time.After(100 * time.Millisecond):
		return nil, backend.ErrUnavailable
	}
}

func (r *remote) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	release, err := r.connect()
	if err != nil {
		return false, err
	}
	defer release()
	if err := r.answered(false, backend.ErrUnavailable); err != nil {
		return false, err
	}
	return r.Store.Get(ctx, key, fn)
}

func (r *remote) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	if err := r.answered(false, backend.ErrUnavailable); err != nil {
		return err
	}
	return r.Store.GetMany(ctx, keys, fn)
}

func (r *remote) Scan(ctx context.Context, rng backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		release, err := r.connect()
		if err == nil {
			defer release()
			err = r.answered(false, backend.ErrUnavailable)
		}
		if err != nil {
			yield(backend.Entry{}, err)
			return
		}
		r.Store.Scan(ctx, rng, o)(yield)
	}
}

func (r *remote) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	for {
		err := r.update(ctx, scopes, o, func(ctx context.Context, t backend.Txn) error {
			if err := fn(ctx, t); err != nil {
				return err
			}
			if r.isStalled() {
				return errStalled
			}
			return nil
		})
		if err != errStalled {
			return err
		}
		// Waited for outside the store's Update, which holds up all others.
		if err := r.answered(o.Patient, backend.ErrUnavailable); err != nil {
			if r.boldCommits {
				return nil
			}
			return err
		}
	}
}

var errStalled = errors.New("stalled")

func (r *remote) update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if !r.localLocks {
		return r.Store.Update(ctx, scopes, o, fn)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	snap, err := r.Store.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer snap.Close()
	runtime.Gosched() // the other handle has its turn
	return r.Store.Update(ctx, scopes, o, func(ctx context.Context, t backend.Txn) error {
		return fn(ctx, staleTxn{t, snap})
	})
}
