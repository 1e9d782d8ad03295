package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/accountusage"
	"github.com/shelflife-db/shelflife/encoding"
)

// ErrQuotaExceeded says that the write would have taken the account beyond its
// Options.Quota; nothing was changed. An error that matches it is a
// [*QuotaError].
var ErrQuotaExceeded = errors.New("quota exceeded")

// Quota is what an account may have. A field that is 0 bounds nothing, and so does
// one that is negative.
type Quota struct {
	// Products bounds the products that live, one-shots included.
	Products int64
	// ImageBytes bounds the bytes of the uploaded images that they have. Images by URL
	// take none, and those that are staged or wait for the end of their readers' grace
	// don't count.
	ImageBytes int64
}

// QuotaError is the [ErrQuotaExceeded] of a write.
type QuotaError struct {
	// Quota holds the bound that the write would have exceeded; its other field
	// is 0.
	Quota Quota
}

// Error says what the account may have.
func (e *QuotaError) Error() string {
	if e.Quota.Products > 0 {
		return fmt.Sprintf("%v: the account may have %d products", ErrQuotaExceeded, e.Quota.Products)
	}
	return fmt.Sprintf("%v: the images of the account may have %d bytes", ErrQuotaExceeded, e.Quota.ImageBytes)
}

// Unwrap returns ErrQuotaExceeded.
func (e *QuotaError) Unwrap() error { return ErrQuotaExceeded }

// For how long a count of what an account has serves, also where a write was refused
// for it; and of how many accounts it is remembered, some 150 bytes each.
const (
	quotaFresh    = time.Minute
	quotaRecheck  = time.Second
	quotaAccounts = 1 << 16
)

// newUsage returns what is known of accounts for Options.Quota, nil if there is none.
func (c *Catalog) newUsage() *accountusage.Usage {
	if c.opts.Quota == nil || c.readOnly {
		return nil
	}
	return accountusage.New(accountusage.Config{
		Count: func(ctx context.Context, account string, begun func()) (accountusage.Amount, error) {
			s, err := c.accountStats(ctx, account, begun)
			return accountusage.Amount{Products: int64(s.Products), ImageBytes: s.ImageBytes}, err
		},
		Failed: func(account string, err error) {
			if !errors.Is(err, backend.ErrClosed) {
				c.opts.Logger.Warn("shelflife: could not count what an account has: its quota waits for that",
					slog.String("account", account), slog.Any("error", err))
			}
		},
		Clock: c.opts.Clock, Fresh: quotaFresh, Recheck: quotaRecheck, Accounts: quotaAccounts,
	})
}

// growth is by how much an Update changes what an account has.
type growth struct {
	account string
	accountusage.Amount
}

// grow notes that live becomes next, either nil if there is no product that lives.
// Where it does, what the account has follows when the Update has been committed.
func (t *tx) grow(account string, live, next *encoding.Record) {
	if t.c.usage == nil {
		return
	}
	g := growthOf(live, next)
	if n := len(t.grown); n > 0 && t.grown[n-1].account == account {
		t.grown[n-1].Amount = t.grown[n-1].Plus(g)
	} else if g != (accountusage.Amount{}) {
		t.grown = append(t.grown, growth{account, g})
	}
}

// admit refuses a write by which live becomes next if the account has what it may
// have of what that makes more.
func (t *tx) admit(account string, live, next *encoding.Record) error {
	if t.c.usage == nil {
		return nil
	}
	err := t.c.admits(account, growthOf(live, next), t.grown)
	if err != nil {
		t.c.usage.Refused(account)
	}
	return err
}

// admits returns a *QuotaError if the account has no room for more, besides what an
// Update has made it grow by.
func (c *Catalog) admits(account string, more accountusage.Amount, grown []growth) error {
	if more.Products <= 0 && more.ImageBytes <= 0 {
		return nil
	}
	quota := c.opts.Quota(account)
	if quota.Products <= 0 && quota.ImageBytes <= 0 {
		return nil
	}
	have, known := c.usage.Of(account)
	if !known {
		return nil
	}
	for _, g := range grown {
		if g.account == account {
			have = have.Plus(g.Amount)
		}
	}
	switch {
	case quota.Products > 0 && more.Products > 0 && have.Products+more.Products > quota.Products:
		return &QuotaError{Quota{Products: quota.Products}}
	case quota.ImageBytes > 0 && more.ImageBytes > 0 && have.ImageBytes+more.ImageBytes > quota.ImageBytes:
		return &QuotaError{Quota{ImageBytes: quota.ImageBytes}}
	}
	return nil
}

// growthOf returns what next has more than live.
func growthOf(live, next *encoding.Record) (g accountusage.Amount) {
	if live != nil {
		g.Products--
		g.ImageBytes -= uploadedBytes(live)
	}
	if next != nil {
		g.Products++
		g.ImageBytes += uploadedBytes(next)
	}
	return g
}

// uploadedBytes returns the bytes of the uploaded images of r, each counted once.
func uploadedBytes(r *encoding.Record) (n int64) {
	for i := range r.Images {
		if id := r.Images[i].Blob; !id.IsZero() && indexOfBlob(r.Images, id) == i {
			n += r.Images[i].Size
		}
	}
	return n
}
