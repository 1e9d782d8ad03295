package pebble

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// arrive has a goroutine ask for the lock and waits until it queues. Within a
// synctest bubble.
func arrive(l *rwlock, exclusive bool, order *[]string, name string) {
	go func() {
		_ = l.lock(context.Background(), nil, exclusive)
		*order = append(*order, name)
		l.unlock(exclusive)
	}()
	synctest.Wait()
}

// TestLockFairness: who comes first is served first, so that readers do not
// starve a writer.
func TestLockFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l rwlock
		var order []string
		require.NoError(t, l.lock(t.Context(), nil, false))
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
		require.NoError(t, l.lock(t.Context(), nil, false))
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() { failed <- l.lock(ctx, nil, true) }()
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
				if l.lock(ctx, nil, exclusive) == nil {
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

func TestHoldsOrder(t *testing.T) {
	for name, c := range map[string]struct{ in, want []hold }{
		"sorted": {
			[]hold{{holdShared, 9, 0}, {holdItem, 9, 1}, {holdShared, 2, 0}, {holdItem, 2, 7}},
			[]hold{{holdShared, 2, 0}, {holdShared, 9, 0}, {holdItem, 9, 1}, {holdItem, 2, 7}},
		},
		"the whole group includes its items": {
			[]hold{{holdShared, 3, 0}, {holdItem, 3, 1}, {holdWhole, 3, 0}},
			[]hold{{holdWhole, 3, 0}, {holdItem, 3, 1}},
		},
		"items of one stripe": {
			[]hold{{holdShared, 3, 0}, {holdItem, 3, 5}, {holdShared, 4, 0}, {holdItem, 4, 5}, {holdShared, 3, 0}, {holdItem, 3, 5}},
			[]hold{{holdShared, 3, 0}, {holdShared, 4, 0}, {holdItem, 3, 5}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := holds(c.in).order()
			for i := range h {
				if h[i].kind == holdItem {
					h[i].group, c.want[i].group = 0, 0
				}
			}
			require.Equal(t, holds(c.want), h)
		})
	}
}

// TestAcquireCancelled: an Update that gives up on one of its scopes leaves no
// lock behind.
func TestAcquireCancelled(t *testing.T) {
	s := newStripes()
	held, err := s.acquire(t.Context(), nil, nil, []backend.Scope{{Group: "g", Item: "2"}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	scopes := []backend.Scope{{Group: "a"}, {Group: "g", Item: "1"}, {Group: "g", Item: "2"}, {Group: "g", Item: "3"}}
	_, err = s.acquire(ctx, nil, nil, scopes)
	require.ErrorIs(t, err, context.Canceled)
	s.release(held)
	for i := range s.groups {
		require.Zero(t, s.groups[i].lock.state.Load())
	}
	for i := range s.items {
		require.Zero(t, s.items[i].lock.state.Load())
	}
}

// TestVisiblePosition: a commit that is being applied shows, to those who look
// without a lock, under every scope that overlaps its own.
func TestVisiblePosition(t *testing.T) {
	item, other, group := backend.Scope{Group: "g", Item: "1"}, backend.Scope{Group: "g", Item: "2"}, backend.Scope{Group: "g"}
	for name, c := range map[string]struct {
		commit      backend.Scope
		overlapping []backend.Scope
		not         []backend.Scope
	}{
		"item":  {item, []backend.Scope{item, group}, []backend.Scope{other}},
		"group": {group, []backend.Scope{item, other, group}, []backend.Scope{{Group: "h"}, {Group: "h", Item: "1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStripes()
			h, err := s.acquire(t.Context(), nil, nil, []backend.Scope{c.commit})
			require.NoError(t, err)
			s.begin(h)
			for _, o := range c.overlapping {
				require.Equal(t, applying, s.visible(o), o)
			}
			s.applied(h, 77)
			s.release(h)
			for _, o := range c.overlapping {
				require.Equal(t, uint64(77), s.visible(o), o)
				h, err := s.acquire(t.Context(), nil, nil, []backend.Scope{o})
				require.NoError(t, err)
				require.Equal(t, uint64(77), s.last(h), o)
				s.release(h)
			}
			cg, ci := s.index(c.commit)
			for _, o := range c.not {
				// Unless the seed has them share a stripe.
				if og, oi := s.index(o); og != cg || c.commit.Item != "" && oi != ci {
					require.Zero(t, s.visible(o), o)
				}
			}
		})
	}
}
