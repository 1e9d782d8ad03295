package linear

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
)

// staleBackend now and then answers a read with what an earlier one got.
type staleBackend struct {
	backend.Backend
	mu  sync.Mutex
	old map[string][]byte
}

func (b *staleBackend) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	b.mu.Lock()
	value, ok := b.old[string(key)]
	b.mu.Unlock()
	if ok && rand.IntN(50) == 0 {
		return true, fn(value)
	}
	return b.Backend.Get(ctx, key, func(value []byte) error {
		b.mu.Lock()
		b.old[string(key)] = bytes.Clone(value)
		b.mu.Unlock()
		return fn(value)
	})
}

// racingBackend runs the callbacks of Updates on what it read before it had
// their scopes: it loses updates.
type racingBackend struct{ backend.Backend }

func (b racingBackend) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	snapshot, err := b.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer snapshot.Close()
	yield()
	return b.Backend.Update(ctx, scopes, o, func(ctx context.Context, x backend.Txn) error {
		return fn(ctx, racingTxn{x, snapshot})
	})
}

type racingTxn struct {
	backend.Txn
	reader backend.Reader
}

func (x racingTxn) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	return x.reader.Get(ctx, key, fn)
}

// TestWrongStoresAreFound: a store that breaks its promise to the catalog does
// not pass.
func TestWrongStoresAreFound(t *testing.T) {
	for name, wrong := range map[string]func(backend.Backend) backend.Backend{
		"stale reads":  func(b backend.Backend) backend.Backend { return &staleBackend{Backend: b, old: map[string][]byte{}} },
		"lost updates": func(b backend.Backend) backend.Backend { return racingBackend{b} },
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t, []backend.Backend{wrong(memory.New(nil))}, catalog.Options{CacheBytes: -1, UseWindow: catalog.NoUseWindow}, 1)
			for n := range 100 {
				start := l.clock.Now().UnixMilli()
				histories, err := l.round(n)
				if err != nil {
					return // the catalog itself noticed
				}
				m := spec{times: l.times}.model(start)
				for _, ops := range histories {
					if porcupine.CheckOperationsTimeout(m, ops, 20*time.Second) == porcupine.Illegal {
						return
					}
				}
			}
			t.Fatal("it passed")
		})
	}
}

// TestContentionIsMeasured: clients that take turns prove nothing, and it
// shows.
func TestContentionIsMeasured(t *testing.T) {
	l := open(t, inMemory(t), catalog.Options{}, 1)
	l.idle = true
	_, err := l.round(0)
	require.NoError(t, err)
	require.Positive(t, l.calls)
	require.Zero(t, l.overlapping)
}
