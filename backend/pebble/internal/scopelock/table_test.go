package scopelock

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

func TestHoldsOrder(t *testing.T) {
	for name, c := range map[string]struct{ in, want []Hold }{
		"sorted": {
			[]Hold{{holdShared, 9, 0}, {holdItem, 9, 1}, {holdShared, 2, 0}, {holdItem, 2, 7}},
			[]Hold{{holdShared, 2, 0}, {holdShared, 9, 0}, {holdItem, 9, 1}, {holdItem, 2, 7}},
		},
		"the whole group includes its items": {
			[]Hold{{holdShared, 3, 0}, {holdItem, 3, 1}, {holdWhole, 3, 0}},
			[]Hold{{holdWhole, 3, 0}, {holdItem, 3, 1}},
		},
		"items of one stripe": {
			[]Hold{{holdShared, 3, 0}, {holdItem, 3, 5}, {holdShared, 4, 0}, {holdItem, 4, 5}, {holdShared, 3, 0}, {holdItem, 3, 5}},
			[]Hold{{holdShared, 3, 0}, {holdShared, 4, 0}, {holdItem, 3, 5}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := Holds(c.in).order()
			for i := range h {
				if h[i].kind == holdItem {
					h[i].group, c.want[i].group = 0, 0
				}
			}
			require.Equal(t, Holds(c.want), h)
		})
	}
}

// TestHoldsOfMany: the scopes of many are held as each of them alone is.
func TestHoldsOfMany(t *testing.T) {
	s := New()
	var scopes []backend.Scope
	var alone Holds
	for _, c := range []backend.Scope{
		{Group: "g", Item: "1"}, {Group: "g", Item: "2"}, {Group: "h", Item: "1"}, {Group: "g", Item: "3"},
		{Group: "w"}, {Group: "w", Item: "1"}, {Group: "w", Item: "2"}, {Group: "x", Item: "1"}, {Group: "x"},
	} {
		scopes = append(scopes, c)
		h, err := s.Acquire(until(t.Context()), nil, []backend.Scope{c})
		require.NoError(t, err)
		s.Release(h)
		alone = append(alone, h...)
		h, err = s.Acquire(until(t.Context()), nil, scopes)
		require.NoError(t, err)
		s.Release(h)
		for i := 1; i < len(h); i++ {
			require.False(t, h[i-1].kind == holdItem && h[i].kind != holdItem, "groups come first")
		}
		want := append(Holds{}, alone...).order()
		for i := range min(len(h), len(want)) {
			if h[i].kind == holdItem && want[i].kind == holdItem {
				h[i].group, want[i].group = 0, 0 // of items that share a stripe it is either's
			}
		}
		require.Equal(t, want, h)
	}
}

// TestAcquireCancelled: an Update that gives up on one of its scopes leaves no
// lock behind.
func TestAcquireCancelled(t *testing.T) {
	s := New()
	held, err := s.Acquire(until(t.Context()), nil, []backend.Scope{{Group: "g", Item: "2"}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	scopes := []backend.Scope{{Group: "a"}, {Group: "g", Item: "1"}, {Group: "g", Item: "2"}, {Group: "g", Item: "3"}}
	_, err = s.Acquire(until(ctx), nil, scopes)
	require.ErrorIs(t, err, context.Canceled)
	s.Release(held)
	for i := range uint16(groupStripes) {
		require.Zero(t, s.groups.at(i).lock.state.Load())
	}
	for i := range uint16(itemStripes) {
		require.Zero(t, s.items.at(i).lock.state.Load())
	}
}

// TestVisiblePosition: a commit that is being applied shows, to a look without
// a lock, under every scope that overlaps its own.
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
			s := New()
			h, err := s.Acquire(until(t.Context()), nil, []backend.Scope{c.commit})
			require.NoError(t, err)
			s.Begin(h)
			for _, o := range c.overlapping {
				require.Equal(t, Applying, s.Visible(o), o)
			}
			s.Applied(h, 77)
			s.Release(h)
			for _, o := range c.overlapping {
				require.Equal(t, uint64(77), s.Visible(o), o)
				h, err := s.Acquire(until(t.Context()), nil, []backend.Scope{o})
				require.NoError(t, err)
				require.Equal(t, uint64(77), s.Last(h), o)
				s.Release(h)
			}
			cg, ci := s.index(c.commit)
			for _, o := range c.not {
				// Unless the seed has them share a stripe.
				if og, oi := s.index(o); og != cg || c.commit.Item != "" && oi != ci {
					require.Zero(t, s.Visible(o), o)
				}
			}
		})
	}
}

func BenchmarkAcquire(b *testing.B) {
	s := New()
	scopes := []backend.Scope{{Group: "account-17", Item: "product-4711"}}
	wait := until(context.Background())
	b.ReportAllocs()
	for b.Loop() {
		var space [6]Hold
		if h, err := s.Acquire(wait, space[:0], scopes); err == nil {
			s.Release(h)
		}
	}
}
