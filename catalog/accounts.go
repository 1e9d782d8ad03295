package catalog

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/encoding"
)

// AccountsOptions choose the accounts of [Catalog.Accounts]. The zero value
// chooses all.
type AccountsOptions struct {
	// After is the account after which the loop begins, whether it exists or
	// not. Default: the beginning.
	After string
	// PastDamage makes the loop continue past accounts that can't be read: each
	// stretch of them is a step with an error that is an *AccountsDamageError. Any
	// other error is the last step. Default: damage is the last step too.
	PastDamage bool
}

// AccountsDamageError says between which accounts others may lie that can't be read. It
// matches [ErrDamaged].
type AccountsDamageError struct {
	// After and Before bound the accounts, exclusive; "" is the beginning or the end. Of
	// these two themselves some products may be unreadable.
	After, Before string
	// Cause is for the log.
	Cause error
}

// Error names the accounts, and not the cause.
func (e *AccountsDamageError) Error() string {
	switch {
	case e.After == "" && e.Before == "":
		return "accounts can't be read"
	case e.After == "":
		return fmt.Sprintf("accounts before %q can't be read", e.Before)
	case e.Before == "":
		return fmt.Sprintf("accounts after %q can't be read", e.After)
	}
	return fmt.Sprintf("accounts after %q and before %q can't be read", e.After, e.Before)
}

// Unwrap returns ErrDamaged and Cause.
func (e *AccountsDamageError) Unwrap() []error { return []error{ErrDamaged, e.Cause} }

// Accounts yields the accounts that have products, in byte order: each that has
// one through the whole loop exactly once, whatever is written meanwhile. Those
// whose products have all expired are among them until the background has
// removed these; Stats counts what lives. The cost is one seek for each
// account, however many products it has. The loop skips nothing silently: where accounts
// can't be read it ends with an *[AccountsDamageError] that says between which they lie,
// unless AccountsOptions.PastDamage. Any other error ends it too.
func (c *Catalog) Accounts(ctx context.Context, o AccountsOptions) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ctx, call := c.begin(ctx, OpAccounts)
		var last error
		defer func() { _ = call.end(last) }()
		start, end := encoding.SpaceRange(encoding.SpaceProduct)
		if o.After != "" {
			_, start = encoding.ProductRange(o.After)
		}
		for after := o.After; ; {
			account, damage, err := c.firstAccount(ctx, backend.Range{Start: start, End: end})
			if damage != nil {
				damage.After, damage.Before = after, account
				last = c.wrap("list accounts", "", damage)
				if !yield("", last) || !o.PastDamage {
					return
				}
				last = nil // what was passed by is not what the loop ended with
			}
			if account == "" && err == nil {
				return
			}
			last = c.wrap("list accounts", "", err)
			if !yield(account, last) || err != nil {
				return
			}
			after = account
			_, start = encoding.ProductRange(account)
		}
	}
}

// firstAccount returns the account of the first product in r that can be read, "" if
// there is none, and what can't be read in front of it.
func (c *Catalog) firstAccount(ctx context.Context, r backend.Range) (account string, damage *AccountsDamageError, err error) {
	if err := c.calls.Enter(); err != nil {
		return "", nil, err
	}
	defer c.calls.Exit()
	for e, err := range c.backend.Scan(ctx, r, backend.ScanOptions{KeysOnly: true, Limit: 1, PastDamage: true}) {
		var engine *backend.DamageError
		if errors.As(err, &engine) {
			if damage == nil {
				damage = &AccountsDamageError{Cause: err}
			}
			continue
		}
		if err != nil {
			return "", damage, err
		}
		account, _, err := encoding.DecodeProductKey(e.Key)
		return account, damage, err
	}
	return "", damage, nil
}
