package httpadapter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/shelflife-db/shelflife/httpadapter/internal/budget"
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
	// together. At least 8 MiB. Default: half of Memory.
	AccountMemory int64
	// Spool is how many bytes of uploads may wait in Options.SpoolDir at once.
	// Default: 1 GiB.
	Spool int64
	// AccountSpool is how much of Spool the requests of one account may take
	// together. Default: half of Spool.
	AccountSpool int64
	// SpoolReserve is the free space in bytes of the file system of
	// Options.SpoolDir below which uploads are refused, as they come: it is for
	// what else is on that file system, the store above all. It has no effect on
	// a system that does not tell its free space. Default: 128 MiB, or a sixteenth
	// of the file system if that is less.
	SpoolReserve int64
	// Wait is how long a request that holds nothing yet waits for memory before it
	// is refused. Default: 2 s.
	Wait time.Duration
}

// The least that a budget may have: some pages at once.
const (
	minMemory        = 4 * pageMemory
	minAccountMemory = 2 * pageMemory
)

// Budget bounds what all requests together, and those of one account, hold at
// once: memory, and the disk for uploads. A request that would pass a bound is
// refused before anything happened: with 503 OVERLOADED where it is that of all
// requests, with 429 RATE_LIMITED where it is that of the account, so that no
// account takes the room of the others. Several handlers may share a Budget.
type Budget struct {
	memory, spool *budget.Pool
	reserve       int64 // 0 is the default
	wait          time.Duration
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
	if v.Wait == 0 {
		v.Wait = 2 * time.Second
	}
	switch {
	case v.Memory < minMemory:
		return nil, fmt.Errorf("httpadapter: BudgetOptions.Memory %d is less than %d", v.Memory, minMemory)
	case v.AccountMemory < minAccountMemory:
		return nil, fmt.Errorf("httpadapter: BudgetOptions.AccountMemory %d is less than %d", v.AccountMemory, minAccountMemory)
	case v.AccountMemory > v.Memory:
		return nil, errors.New("httpadapter: BudgetOptions.AccountMemory is more than Memory")
	case v.AccountSpool > v.Spool:
		return nil, errors.New("httpadapter: BudgetOptions.AccountSpool is more than Spool")
	}
	return &Budget{
		memory:  budget.NewPool(v.Memory, v.AccountMemory),
		spool:   budget.NewPool(v.Spool, v.AccountSpool),
		reserve: v.SpoolReserve,
		wait:    v.Wait,
	}, nil
}

// BudgetStats are the figures of a Budget.
type BudgetStats struct {
	Memory, Spool int64 // bytes that requests hold at the moment
}

// Stats returns the figures of the moment.
func (b *Budget) Stats() BudgetStats {
	return BudgetStats{Memory: b.memory.Held(), Spool: b.spool.Held()}
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
	// pageMemory is for a page: its products and its body.
	pageMemory = 2 * maxPage
	// imageMemory is for the chunks of an image that are being read.
	imageMemory = 512 << 10
)

var (
	errOverloaded = &answer{status: http.StatusServiceUnavailable, code: "OVERLOADED", message: "the server has too much to do; nothing happened, try again soon"}
	errShare      = &answer{status: http.StatusTooManyRequests, code: "RATE_LIMITED", message: "the requests of this account take as much as they may; nothing happened, try again when others have ended"}
)

// usage is what one request holds of a budget.
type usage struct {
	budget        *Budget
	memory, spool *budget.Hold
	charged       int64 // of memory
}

func (b *Budget) open(account string) *usage {
	return &usage{budget: b, memory: b.memory.Open(account), spool: b.spool.Open(account)}
}

// close gives everything back. Calling it again does nothing.
func (u *usage) close() {
	u.memory.Close()
	u.spool.Close()
}

// await takes the first memory of a request, and waits a while for it.
func (u *usage) await(ctx context.Context, n int64) error {
	waiting, cancel := context.WithTimeout(ctx, u.budget.wait)
	defer cancel()
	err := refusal(u.memory.Await(waiting, n))
	if err != nil && ctx.Err() != nil {
		return ctx.Err() // the client left
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
