package httpadapter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/shelflife-db/shelflife/httpadapter/internal/budget"
	"github.com/shelflife-db/shelflife/httpadapter/internal/rates"
	"github.com/shelflife-db/shelflife/ttl"
)

// BudgetOptions size a [Budget]. The zero value, and nil, mean the defaults. A
// negative number is an error of NewBudget.
type BudgetOptions struct {
	// Memory is how many bytes requests may hold in memory at once, for bodies and
	// answers; it does not count headers, connections, the catalog's caches, nor
	// what the Go runtime adds: plan for twice as much. At least 16 MiB. Default:
	// 64 MiB.
	Memory int64
	// AccountMemory is how much of Memory the requests of one account may hold
	// together. At least 8 MiB, at most Memory. Default: half of Memory.
	AccountMemory int64
	// Spool is how many bytes of uploads may wait in Options.SpoolDir at once.
	// Default: 1 GiB.
	Spool int64
	// AccountSpool is how much of Spool the requests of one account may take
	// together. At most Spool. Default: half of Spool.
	AccountSpool int64
	// SpoolReserve is the free space in bytes of the file system of
	// Options.SpoolDir below which uploads are refused, as they come: it is for
	// what else is on that file system, the store above all, whose own reserve
	// should be clearly less. It has no effect on a system that does not report its
	// free space. Default: three twentieths of the file system, at least 24 MiB or
	// three eighths of it, at most 384 MiB, which is half as much again as the
	// reserve of a store on Pebble.
	SpoolReserve int64
	// AccountRequests is how many requests of one account are worked on at once, of
	// any kind, so that an account with many clients that stand still does not take
	// the server's connections from the others. Further ones are refused at once.
	// Default: 1,024.
	AccountRequests int
	// AccountUploads is how many multipart requests of one account are worked on at
	// once, from the start of their body to the end of their answer, whatever their
	// size. Default: 32.
	AccountUploads int
	// AccountRate is how many requests a second one account may make in the long run,
	// of any kind: further ones are refused with 429 RATE_LIMITED when their account
	// and path are known, before their body is read, and Retry-After says when there
	// is one again. Each line of a bulk upsert counts as one: it waits instead, and
	// leaves half of AccountBurst to the account's other requests. At most 1,000,000.
	// Default: 0, no limit. It does not bound what happens before an account is known.
	AccountRate float64
	// AccountBurst is how many requests an account that has made none for a while
	// may make at once. Default: AccountRate, rounded up. It has no effect without
	// AccountRate.
	AccountBurst int
	// Clock is the clock of the rates. Default: that of the system.
	Clock ttl.Clock
	// Wait is how long a request that holds nothing yet waits for memory, or for
	// its turn among the uploads, before it is refused. Default: 2 s.
	Wait time.Duration
}

// maxAccountRate is more than a server answers.
const maxAccountRate = 1e6

// The least that a budget may have: some pages at once.
const (
	minMemory        = 4 * pageMemory
	minAccountMemory = 2 * pageMemory
)

// Budget bounds what all requests together, and those of one account, hold at
// once: memory, the disk for uploads, and uploads at work; and how many requests an account
// makes, at once and in a time. A request that would pass a bound is
// refused before anything happened: with 503 OVERLOADED where it is that of all
// requests, with 429 RATE_LIMITED where it is that of the account, so that no
// account takes the room of the others. Several handlers may share a Budget.
type Budget struct {
	memory, spool *budget.Pool
	// Both are without a bound for all accounts: a request has a connection, and an
	// upload takes memory.
	requests, uploads *budget.Pool
	rates             *rates.Limiter // nil where there is no limit
	clock             ttl.Clock
	reserve           int64 // 0 is the default
	wait              time.Duration
}

// NewBudget returns a budget. An error names the option that is out of range.
func NewBudget(o *BudgetOptions) (*Budget, error) {
	var v BudgetOptions
	if o != nil {
		v = *o
	}
	for _, option := range []struct {
		name  string
		value int64
	}{
		{"Memory", v.Memory},
		{"AccountMemory", v.AccountMemory},
		{"Spool", v.Spool},
		{"AccountSpool", v.AccountSpool},
		{"SpoolReserve", v.SpoolReserve},
		{"AccountRequests", int64(v.AccountRequests)},
		{"AccountUploads", int64(v.AccountUploads)},
		{"AccountBurst", int64(v.AccountBurst)},
		{"Wait", int64(v.Wait)},
	} {
		if option.value < 0 {
			return nil, fmt.Errorf("httpadapter: BudgetOptions.%s is negative", option.name)
		}
	}
	set(&v.Memory, 64<<20)
	set(&v.AccountMemory, v.Memory/2)
	set(&v.Spool, 1<<30)
	set(&v.AccountSpool, (v.Spool+1)/2)
	set(&v.AccountRequests, 1024)
	set(&v.AccountUploads, 32)
	if v.Wait == 0 {
		v.Wait = 2 * time.Second
	}
	if v.Clock == nil {
		v.Clock = ttl.SystemClock()
	}
	switch {
	case math.IsNaN(v.AccountRate) || v.AccountRate < 0 || v.AccountRate > maxAccountRate:
		return nil, fmt.Errorf("httpadapter: BudgetOptions.AccountRate %v is not within 0 and %d", v.AccountRate, int(maxAccountRate))
	case v.Memory < minMemory:
		return nil, fmt.Errorf("httpadapter: BudgetOptions.Memory %d is less than %d", v.Memory, minMemory)
	case v.AccountMemory < minAccountMemory:
		return nil, fmt.Errorf("httpadapter: BudgetOptions.AccountMemory %d is less than %d", v.AccountMemory, minAccountMemory)
	case v.AccountMemory > v.Memory:
		return nil, errors.New("httpadapter: BudgetOptions.AccountMemory is more than Memory")
	case v.AccountSpool > v.Spool:
		return nil, errors.New("httpadapter: BudgetOptions.AccountSpool is more than Spool")
	}
	b := &Budget{
		memory:   budget.NewPool(v.Memory, v.AccountMemory),
		spool:    budget.NewPool(v.Spool, v.AccountSpool),
		requests: budget.NewPool(math.MaxInt64, int64(v.AccountRequests)),
		uploads:  budget.NewPool(math.MaxInt64, int64(v.AccountUploads)),
		clock:    v.Clock,
		reserve:  v.SpoolReserve,
		wait:     v.Wait,
	}
	if v.AccountRate > 0 {
		set(&v.AccountBurst, int(math.Ceil(v.AccountRate)))
		b.rates = rates.New(v.AccountRate, v.AccountBurst, v.Clock)
	}
	return b, nil
}

// BudgetStats are the figures of a Budget.
type BudgetStats struct {
	Memory, Spool int64 // bytes that requests hold at the moment
	Requests      int64 // of known accounts that are worked on
	Uploads       int64 // multipart ones among them
}

// Stats returns the figures of the moment.
func (b *Budget) Stats() BudgetStats {
	return BudgetStats{Memory: b.memory.Held(), Spool: b.spool.Held(), Requests: b.requests.Held(), Uploads: b.uploads.Held()}
}

// What requests are charged for before more is known of them.
const (
	// answerMemory is for the answer to a write, which must not be refused when the
	// write has happened.
	answerMemory = 64 << 10
	// bodyMemory is for the first bytes of a body, as often as bodyFactor: what is
	// read of JSON is held as text and as what was made of it.
	bodyMemory = 64 << 10
	bodyFactor = 2
	// multipartMemory is for the small files of a multipart body and for taking it
	// apart.
	multipartMemory = spoolMemory + 128<<10
	// pageMemory is for the body of a page, twice while it grows.
	pageMemory = 2 * maxPage
	// imageMemory is for the chunks of an image that are being read: four and what
	// the store has of one.
	imageMemory = 1280 << 10
)

var (
	errOverloaded = &answer{status: http.StatusServiceUnavailable, code: "OVERLOADED", message: "the server has too much to do; nothing happened, try again soon"}
	errRequests   = &answer{status: http.StatusTooManyRequests, code: "RATE_LIMITED", message: "as many requests of this account are worked on as may be at once; nothing happened, try again when others have ended"}
	errRate       = &answer{status: http.StatusTooManyRequests, code: "RATE_LIMITED", message: "this account makes more requests than it may; nothing happened, try again after the time in Retry-After"}
	errUploads    = &answer{status: http.StatusTooManyRequests, code: "RATE_LIMITED", message: "as many uploads of this account are worked on as may be at once; nothing happened, try again when others have ended"}
	errShare      = &answer{status: http.StatusTooManyRequests, code: "RATE_LIMITED", message: "the requests of this account take as much as they may; nothing happened, try again when others have ended"}
)

// usage is what one request holds of a budget.
type usage struct {
	budget        *Budget
	memory, spool budget.Hold
	requests      budget.Hold
	uploads       budget.Hold
	charged       int64 // of memory
}

// open counts a request of the account in, which takes nothing else yet.
func (b *Budget) open(account string) (*usage, error) {
	u := &usage{
		budget: b, memory: b.memory.Open(account), spool: b.spool.Open(account),
		requests: b.requests.Open(account), uploads: b.uploads.Open(account),
	}
	if u.requests.Grow(1) != nil {
		u.close()
		return nil, errRequests
	}
	return u, nil
}

// spend takes one of the requests that the account may make in a time.
func (b *Budget) spend(account string) error { return b.take(account, (*rates.Limiter).Take) }

// spendSpare is spend for a line of a bulk upsert: it leaves some to the account's
// other requests.
func (b *Budget) spendSpare(account string) error {
	return b.take(account, (*rates.Limiter).TakeSpare)
}

// take takes a token of the account's in one of the ways of a limiter.
func (b *Budget) take(account string, take func(*rates.Limiter, string) (time.Duration, bool)) error {
	if b.rates == nil {
		return nil
	}
	wait, ok := take(b.rates, account)
	if ok {
		return nil
	}
	return &rateError{errRate, wait}
}

// sleep waits for d, or until ctx ends: its error.
func (b *Budget) sleep(ctx context.Context, d time.Duration) error {
	timer := b.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rateError is errRate with how long it holds.
type rateError struct {
	*answer
	wait time.Duration
}

// Unwrap returns how the client is told.
func (e *rateError) Unwrap() error { return e.answer }

// retryAfter returns the whole seconds after which a client that was refused may try
// again.
func retryAfter(err error) string {
	if rate := (*rateError)(nil); errors.As(err, &rate) {
		return strconv.Itoa(max(int(math.Ceil(rate.wait.Seconds())), 1))
	}
	return "1"
}

// close gives everything back. Calling it again does nothing.
func (u *usage) close() {
	u.memory.Close()
	u.spool.Close()
	u.uploads.Close()
	u.requests.Close()
}

// await takes the first memory of a request, and waits a while for it.
func (u *usage) await(ctx context.Context, n int64) error {
	if u.memory.Grow(n) == nil {
		return nil // as a rule, and without a timer
	}
	waiting, cancel := context.WithTimeout(ctx, u.budget.wait)
	defer cancel()
	return left(ctx, refusal(u.memory.Await(waiting, n)))
}

// admit is what a request with a body passes when its account, path and kind are
// known and before any of its body is read: the place for whatever bounds what an
// account may ask for. It takes the request's turn among the uploads, if it is
// one, and its first n bytes of memory, in this order: what waits for a turn
// keeps no memory from others.
func (u *usage) admit(ctx context.Context, kind bodyKind, n int64) error {
	waiting, cancel := context.WithTimeout(ctx, u.budget.wait)
	defer cancel()
	if kind == kindMultipart && u.uploads.Await(waiting, 1) != nil {
		return left(ctx, errUploads)
	}
	return left(ctx, refusal(u.memory.Await(waiting, n)))
}

// left returns err, or that the client left if that is why it was not waited
// longer.
func left(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// charge accounts for n more bytes of memory, which takes more than await took
// where that is used up.
func (u *usage) charge(n int64) error {
	u.charged += n
	return refusal(u.memory.Grow(u.charged - u.memory.Has()))
}

// keep gives back the memory that an answer of n bytes does not need.
func (u *usage) keep(n int64) { u.memory.ShrinkTo(n) }

// refusal returns how the client is told of an error of a pool.
func refusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, budget.ErrShare):
		return errShare
	}
	return errOverloaded
}

// metered is a reader that charges for what it returns.
type metered struct {
	io.Reader
	usage *usage
}

// Read implements io.Reader.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if e := m.usage.charge(bodyFactor * int64(n)); e != nil {
		return 0, e
	}
	return n, err
}
