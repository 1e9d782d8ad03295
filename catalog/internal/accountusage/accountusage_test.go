package accountusage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/ttl"
)

// world is a Usage whose accounts are counted by hand.
type world struct {
	t     *testing.T
	usage *Usage
	clock *ttl.ManualClock
	// asked gets the account that is counted, and answers gives what it has.
	asked   chan string
	answers chan Amount
	fails   error
	// begins, where there is one, gets a value for each count to begin.
	begins chan struct{}
	failed []string
}

func start(t *testing.T, accounts int) *world {
	w := &world{t: t, clock: ttl.NewManualClock(time.Unix(0, 0)), asked: make(chan string), answers: make(chan Amount)}
	w.usage = New(Config{
		Count: func(ctx context.Context, account string, begun func()) (Amount, error) {
			select {
			case w.asked <- account:
			case <-ctx.Done():
				return Amount{}, ctx.Err()
			}
			if w.begins != nil {
				<-w.begins
			}
			begun()
			return <-w.answers, w.fails
		},
		Failed: func(account string, _ error) { w.failed = append(w.failed, account) },
		Clock:  w.clock, Fresh: time.Minute, Recheck: time.Second, Accounts: accounts,
	})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.usage.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return w
}

// counts awaits that an account is counted, and says what it has.
func (w *world) counts(account string, have Amount) {
	require.Equal(w.t, account, <-w.asked)
	w.answers <- have
	synctest.Wait()
}

// idle requires that nothing is counted.
func (w *world) idle() {
	synctest.Wait()
	select {
	case account := <-w.asked:
		w.t.Fatalf("%s is counted", account)
	default:
	}
}

// requireHas requires that so much is known of an account.
func (w *world) requireHas(account string, want Amount) {
	have, known := w.usage.Of(account)
	require.True(w.t, known)
	require.Equal(w.t, want, have)
}

func TestCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 10)
		w.idle()
		add := func(account string, change Amount) { w.usage.Add(account, change, w.usage.Turn()) }
		add("a", Amount{1, 1}) // of an account that was not asked for
		_, known := w.usage.Of("a")
		require.False(t, known)
		_, _ = w.usage.Of("a")
		w.counts("a", Amount{3, 50})
		w.idle()
		w.requireHas("a", Amount{3, 50})
		add("a", Amount{1, 7})
		add("b", Amount{1, 7})
		w.requireHas("a", Amount{4, 57})
		add("a", Amount{-2, -50})
		w.requireHas("a", Amount{2, 7})
	})
}

// TestCountAnew: an account is counted again when it is asked for after a while, or,
// sooner, when a write of it was refused.
func TestCountAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 10)
		_, _ = w.usage.Of("a")
		w.counts("a", Amount{3, 0})
		w.clock.Advance(time.Minute - 1)
		w.requireHas("a", Amount{3, 0})
		w.idle()
		w.clock.Advance(1)
		w.idle()
		w.requireHas("a", Amount{3, 0})
		w.counts("a", Amount{5, 0})
		w.usage.Refused("a")
		w.idle()
		w.clock.Advance(time.Second)
		w.usage.Refused("a")
		w.counts("a", Amount{4, 0})
		w.requireHas("a", Amount{4, 0})
		w.usage.Refused("unknown")
		w.idle()
	})
}

// TestChangesWhileCounting: what is written during a count is there once.
func TestChangesWhileCounting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 10)
		_, _ = w.usage.Of("a")
		w.counts("a", Amount{10, 100})
		w.clock.Advance(time.Minute)
		w.requireHas("a", Amount{10, 100})
		early := w.usage.Turn()
		w.begins = make(chan struct{})
		require.Equal(t, "a", <-w.asked)
		w.usage.Add("a", Amount{1, 10}, w.usage.Turn()) // which the count will find
		during := w.usage.Turn()
		w.begins <- struct{}{}
		synctest.Wait()
		late := w.usage.Turn()
		w.usage.Add("a", Amount{1, 10}, early) // which the count may have found
		w.usage.Add("a", Amount{1, 10}, during)
		w.usage.Add("a", Amount{1, 10}, late) // which it has not
		w.answers <- Amount{13, 130}
		synctest.Wait()
		w.requireHas("a", Amount{14, 140})
		w.usage.Add("a", Amount{1, 10}, during) // which has been slow to end
		w.requireHas("a", Amount{14, 140})
		w.usage.Add("a", Amount{1, 10}, late)
		w.requireHas("a", Amount{15, 150})
	})
}

func TestCountThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 10)
		w.fails = errors.New("damage")
		_, _ = w.usage.Of("a")
		w.counts("a", Amount{})
		require.Equal(t, []string{"a"}, w.failed)
		_, known := w.usage.Of("a")
		require.False(t, known)
		w.idle()
		w.fails = nil
		w.clock.Advance(time.Minute)
		_, _ = w.usage.Of("a")
		w.counts("a", Amount{2, 0})
		w.requireHas("a", Amount{2, 0})
	})
}

// TestOneAtATime: after a count that took long no other begins for a while.
func TestOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 10)
		_, _ = w.usage.Of("a")
		_, _ = w.usage.Of("b")
		require.Equal(t, "a", <-w.asked)
		w.idle()
		w.clock.Advance(time.Second)
		w.answers <- Amount{}
		w.idle()
		w.clock.Advance(restFactor*time.Second - 1)
		w.idle()
		w.clock.Advance(1)
		w.counts("b", Amount{})
	})
}

func TestManyAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 10)
		for i := range 10 {
			_, _ = w.usage.Of(fmt.Sprint(i))
		}
		_, known := w.usage.Of("beyond") // all others wait to be counted
		require.False(t, known)
		for i := range 10 {
			w.counts(fmt.Sprint(i), Amount{1, 0})
		}
		w.idle()
		_, _ = w.usage.Of("beyond")
		w.counts("beyond", Amount{2, 0})
		w.requireHas("beyond", Amount{2, 0})
		require.LessOrEqual(t, len(w.usage.accounts), 6)
	})
}
