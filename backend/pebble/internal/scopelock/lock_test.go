package scopelock

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// until waits until a lock is granted or ctx ends.
func until(ctx context.Context) Waiter {
	return func(granted <-chan struct{}) error {
		select {
		case <-granted:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// arrive has a goroutine ask for the lock and waits until it queues. Within a
// synctest bubble.
func arrive(l *rwlock, exclusive bool, order *[]string, name string) {
	go func() {
		_ = l.lock(until(context.Background()), exclusive)
		*order = append(*order, name)
		l.unlock(exclusive)
	}()
	synctest.Wait()
}

// TestLockFairness: whatever comes first is served first, so that readers do
// not starve a writer.
func TestLockFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l rwlock
		var order []string
		require.NoError(t, l.lock(until(t.Context()), false))
		arrive(&l, true, &order, "writer")
		arrive(&l, false, &order, "reader")
		arrive(&l, true, &order, "second writer")
		require.Empty(t, order)
		l.unlock(false)
		synctest.Wait()
		require.Equal(t, []string{"writer", "reader", "second writer"}, order)
		require.Zero(t, l.state.Load())
	})
}

// TestLockCancel: a waiter that gives up lets those behind it go on.
func TestLockCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l rwlock
		var order []string
		require.NoError(t, l.lock(until(t.Context()), false))
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() { failed <- l.lock(until(ctx), true) }()
		synctest.Wait()
		arrive(&l, false, &order, "reader")
		require.Empty(t, order)
		cancel()
		require.ErrorIs(t, <-failed, context.Canceled)
		synctest.Wait()
		require.Equal(t, []string{"reader"}, order)
		l.unlock(false)
		require.Zero(t, l.state.Load())
	})
}

// TestLockRandom looks for holders that exclude each other at the same time,
// and for a lock that is not free in the end.
func TestLockRandom(t *testing.T) {
	var l rwlock
	var writers, readers atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				ctx, cancel := context.WithCancel(t.Context())
				if rand.IntN(4) == 0 {
					cancel()
				}
				exclusive := rand.IntN(3) == 0
				if l.lock(until(ctx), exclusive) == nil {
					if exclusive {
						if writers.Add(1) != 1 || readers.Load() != 0 {
							t.Error("a writer is not alone")
						}
						writers.Add(-1)
					} else {
						readers.Add(1)
						if writers.Load() != 0 {
							t.Error("a reader beside a writer")
						}
						readers.Add(-1)
					}
					l.unlock(exclusive)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	require.Zero(t, l.state.Load())
	require.Empty(t, l.queue)
}
