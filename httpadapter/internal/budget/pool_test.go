package budget_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/httpadapter/internal/budget"
)

func TestShareAndSize(t *testing.T) {
	p := budget.NewPool(100, 60)
	size, share := p.Size()
	require.Equal(t, []int64{100, 60}, []int64{size, share})
	a1, a2, b := p.Open("a"), p.Open("a"), p.Open("b")
	require.NoError(t, a1.Grow(50))
	require.ErrorIs(t, a2.Grow(11), budget.ErrShare, "one account's requests share its share")
	require.NoError(t, a2.Grow(10))
	require.ErrorIs(t, b.Grow(41), budget.ErrFull)
	require.NoError(t, b.Grow(40), "what failed took nothing")
	require.EqualValues(t, 100, p.Held())
	a1.ShrinkTo(20)
	require.EqualValues(t, 20, a1.Has())
	a1.ShrinkTo(30)
	require.EqualValues(t, 20, a1.Has(), "ShrinkTo never takes more")
	require.EqualValues(t, 70, p.Held())
	for _, h := range []*budget.Hold{&a1, &a2, &b, &a1} { // closing twice is one close
		h.Close()
	}
	require.Zero(t, p.Held())
}

func TestAwait(t *testing.T) {
	p := budget.NewPool(10, 8)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	a, b := p.Open("a"), p.Open("b")
	defer b.Close()
	require.ErrorIs(t, a.Await(t.Context(), 9), budget.ErrTooLarge)
	require.NoError(t, a.Await(t.Context(), 8))
	require.Error(t, a.Await(t.Context(), 1), "a hold that has something must not wait")
	second := p.Open("a")
	require.ErrorIs(t, second.Await(ended, 1), budget.ErrShare)
	second.Close()
	require.ErrorIs(t, b.Await(ended, 3), budget.ErrFull)
	require.NoError(t, b.Await(t.Context(), 2), "what was not had was given back")
	b.ShrinkTo(0)

	got := make(chan error)
	go func() { got <- b.Await(t.Context(), 8) }()
	a.Close()
	require.NoError(t, <-got)
	require.EqualValues(t, 8, p.Held())
}

// TestRandomHolds has many requests of some accounts take and give, and checks
// the invariants at every step.
func TestRandomHolds(t *testing.T) {
	const size, share, accounts, workers, steps = 1000, 400, 3, 12, 3000
	p := budget.NewPool(size, share)
	var (
		mu    sync.Mutex // guards held; what is counted here is counted after it was taken, and before it is given back
		held  = make(map[string]int64)
		group sync.WaitGroup
	)
	count := func(account string, n int64) {
		mu.Lock()
		defer mu.Unlock()
		held[account] += n
		var all int64
		for name, n := range held {
			all += n
			if n > share {
				t.Errorf("%s holds %d", name, n)
			}
		}
		if all > size {
			t.Errorf("all hold %d", all)
		}
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for w := range workers {
		group.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(w)))
			account := fmt.Sprint(w % accounts)
			for range steps {
				h := p.Open(account)
				n := rnd.Int64N(share) + 1
				if rnd.IntN(2) == 0 {
					if err := h.Await(t.Context(), n); err != nil {
						t.Error(err)
					}
				} else if h.Grow(n) != nil {
					n = 0
				}
				count(account, n)
				if keep := rnd.Int64N(share); keep < n {
					count(account, keep-n)
					h.ShrinkTo(keep)
				}
				count(account, -h.Has())
				h.Close()
			}
		})
	}
	group.Wait()
	require.Zero(t, p.Held())
}
