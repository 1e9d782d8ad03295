// Package accountusage knows about how much each account has, without a counter in
// the store: an account is counted in the background, and what this process writes
// is added until it is counted again.
//
// The invariants:
//
//   - An account is counted when it is asked for, not otherwise, and no sooner than
//     Config.Fresh after it was counted last, or that failed; one whose write was
//     refused, no sooner than Config.Recheck.
//   - No write is in the figure twice: one that began after the count had its state of
//     the store is added to what that found, and any other is not, though the count
//     may have missed it. An account is let beyond a bound rather than refused below.
//   - No more than one account is counted at a time, for no more than a fifth of the
//     time.
//   - Memory is bounded, however many accounts there are: where there are too many
//     some are forgotten, and counted anew when they are asked for.
package accountusage

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shelflife-db/shelflife/ttl"
)

// Amount is how much an account has, or a change of it.
type Amount struct {
	Products   int64
	ImageBytes int64
}

// Plus returns the sum of two amounts.
func (a Amount) Plus(b Amount) Amount {
	return Amount{a.Products + b.Products, a.ImageBytes + b.ImageBytes}
}

// Config of New. All fields are required.
type Config struct {
	// Count counts an account, and calls begun when it has the state of the store that
	// it counts. It is called by Run alone.
	Count func(ctx context.Context, account string, begun func()) (Amount, error)
	// Failed is told of a count that failed. The account is counted again when it is
	// asked for.
	Failed func(account string, err error)
	Clock  ttl.Clock
	// Fresh and Recheck are for how long a count serves: see the package.
	Fresh, Recheck time.Duration
	// Accounts is the largest number of accounts that are remembered.
	Accounts int
}

// restFactor is how many times as long as a count took no other begins.
const restFactor = 4

// Usage knows what accounts have. It is safe for concurrent use.
type Usage struct {
	config Config
	// wake holds a value when an account waits to be counted.
	wake chan struct{}
	// turn is how many counts have begun.
	turn atomic.Uint64

	mu       sync.Mutex // guards the rest
	accounts map[string]*usage
	waiting  []string // accounts to be counted, in order
}

// usage is what is known of an account.
type usage struct {
	tried, counted bool
	at             time.Duration // when its last count began, as the clock's Elapsed
	amount         Amount        // what it had then, and what was added since
	since          uint64        // the turn of the count that amount rests on
	waits          bool          // to be counted
	// running says that it is being counted, turn which count that is once it has
	// begun, 0 before, and added is what writes have changed that began later.
	running bool
	turn    uint64
	added   Amount
}

// New returns a Usage that knows no account. Its counts are made by Run.
func New(c Config) *Usage {
	return &Usage{config: c, wake: make(chan struct{}, 1), accounts: make(map[string]*usage)}
}

// Of returns about how much an account has. It is not known before it was counted
// once.
func (u *Usage) Of(account string) (have Amount, known bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	a := u.accounts[account]
	if a == nil {
		a = u.remember(account)
	}
	if !a.tried || u.config.Clock.Elapsed()-a.at >= u.config.Fresh {
		u.wants(account, a)
	}
	return a.amount, a.counted
}

// Refused says that a write of the account was refused for what it has.
func (u *Usage) Refused(account string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if a := u.accounts[account]; a != nil && u.config.Clock.Elapsed()-a.at >= u.config.Recheck {
		u.wants(account, a)
	}
}

// Turn is called before a write begins. What it returns is for Add.
func (u *Usage) Turn() uint64 { return u.turn.Load() }

// Add says that what an account has was changed, by a write that began at a turn.
func (u *Usage) Add(account string, change Amount, turn uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	a := u.accounts[account]
	if a == nil {
		return
	}
	if turn >= a.since {
		a.amount = a.amount.Plus(change)
	}
	if a.running && a.turn != 0 && turn >= a.turn {
		a.added = a.added.Plus(change)
	}
}

// remember makes room for an account. mu is held.
func (u *Usage) remember(account string) *usage {
	if len(u.accounts) >= u.config.Accounts {
		for name, a := range u.accounts {
			if len(u.accounts) <= u.config.Accounts/2 {
				break
			}
			if !a.waits && !a.running {
				delete(u.accounts, name)
			}
		}
	}
	a := new(usage)
	if len(u.accounts) < u.config.Accounts { // else it is not remembered
		u.accounts[account] = a
	}
	return a
}

// wants has an account counted. mu is held.
func (u *Usage) wants(account string, a *usage) {
	if a.waits || a.running || u.accounts[account] != a {
		return
	}
	a.waits = true
	u.waiting = append(u.waiting, account)
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// Run counts accounts until ctx ends.
func (u *Usage) Run(ctx context.Context) {
	clock := u.config.Clock
	for {
		account, ok := u.next()
		if !ok {
			select {
			case <-u.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		start := clock.Elapsed()
		amount, err := u.config.Count(ctx, account, func() { u.begins(account) })
		if ctx.Err() != nil {
			return
		}
		u.counted(account, start, amount, err)
		if err != nil {
			u.config.Failed(account, err)
		}
		rest := clock.NewTimer(restFactor * (clock.Elapsed() - start))
		select {
		case <-rest.C():
		case <-ctx.Done():
			rest.Stop()
			return
		}
	}
}

// next returns the account that has waited for longest.
func (u *Usage) next() (account string, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.waiting) == 0 {
		return "", false
	}
	account = u.waiting[0]
	u.waiting = u.waiting[1:]
	a := u.accounts[account] // nothing forgets one that waits
	a.waits, a.running, a.turn, a.added = false, true, 0, Amount{}
	return account, true
}

// begins says that the count of an account has its state of the store.
func (u *Usage) begins(account string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.accounts[account].turn = u.turn.Add(1)
}

// counted takes the result of a count that began at start.
func (u *Usage) counted(account string, start time.Duration, amount Amount, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	a := u.accounts[account]
	a.running = false
	a.tried, a.at = true, start
	if err == nil {
		a.counted, a.amount, a.since = true, amount.Plus(a.added), a.turn
	}
}
