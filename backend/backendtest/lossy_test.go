package backendtest_test

import (
	"context"
	"sync"
	"testing"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/memory"
)

// lossy is an engine that loses in a crash what was not made durable. Its
// fields are promises that it breaks.
type lossy struct {
	*memory.Store
	unsyncedRead bool // an Update that writes nothing makes nothing durable
	idleDurable  bool // Durable does nothing
	neverDurable bool // an Update that writes makes nothing durable

	mu    sync.Mutex // guards saved
	saved backend.Snapshot
}

func newLossy(like *lossy) *lossy {
	return &lossy{
		Store:        memory.New(nil),
		unsyncedRead: like.unsyncedRead,
		idleDurable:  like.idleDurable,
		neverDurable: like.neverDurable,
	}
}

type countingTxn struct {
	backend.Txn
	writes *int
}

func (t countingTxn) Put(key, value []byte) error {
	*t.writes++
	return t.Txn.Put(key, value)
}

func (t countingTxn) Delete(key []byte, size int) error {
	*t.writes++
	return t.Txn.Delete(key, size)
}

func (t countingTxn) DeleteRange(r backend.Range) error {
	*t.writes++
	return t.Txn.DeleteRange(r)
}

func (l *lossy) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	writes := 0
	err := l.Store.Update(ctx, scopes, o, func(ctx context.Context, t backend.Txn) error {
		return fn(ctx, countingTxn{t, &writes})
	})
	broken := writes == 0 && l.unsyncedRead || writes > 0 && l.neverDurable
	if !o.Buffered && !broken {
		// A failed one has read too.
		if serr := l.save(); err == nil {
			err = serr
		}
	}
	return err
}

func (l *lossy) Durable(ctx context.Context, scopes []backend.Scope) error {
	if err := l.Store.Durable(ctx, scopes); err != nil || l.idleDurable {
		return err
	}
	return l.save()
}

func (l *lossy) save() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Through another handle: a running Update may end after Close has begun.
	snap, err := l.Handle().Snapshot(context.Background())
	if err == nil {
		l.saved = snap
	}
	return err
}

// crash returns an engine that holds what was saved.
func (l *lossy) crash(t *testing.T) backend.Backend {
	after := newLossy(l)
	if l.saved != nil {
		err := after.Store.Update(t.Context(), nil, backend.UpdateOptions{}, func(ctx context.Context, txn backend.Txn) error {
			for e, err := range l.saved.Scan(t.Context(), backend.Range{}, backend.ScanOptions{}) {
				if err != nil {
					return err
				}
				if err := txn.Put(e.Key, e.Value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := after.save(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	return after
}

func lossyHarness(l *lossy) backendtest.Harness {
	return backendtest.Harness{
		Open:       func(*testing.T) backend.Backend { return newLossy(l) },
		Crash:      func(t *testing.T, b backend.Backend) backend.Backend { return b.(*lossy).crash(t) },
		Exceptions: []backendtest.Exception{backendtest.NotPersistent, backendtest.SingleHandle, backendtest.NoStall, backendtest.NoHeal},
	}
}

// TestLossy: losing what may be lost is right.
func TestLossy(t *testing.T) { backendtest.Run(t, lossyHarness(&lossy{})) }
