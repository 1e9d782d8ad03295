package catalog

import (
	"context"
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
}

// Accounts yields the accounts that have products, in byte order: each that has
// one through the whole loop exactly once, whatever is written meanwhile. Those
// whose products have all expired are among them until the background has
// removed these; Stats counts what lives. The cost is one seek for each
// account, however many products it has. The loop ends after an error, which
// matches ErrDamaged where it met damage.
func (c *Catalog) Accounts(ctx context.Context, o AccountsOptions) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ctx, call := c.begin(ctx, OpAccounts)
		var last error
		defer func() { _ = call.end(last) }()
		start, end := encoding.SpaceRange(encoding.SpaceProduct)
		if o.After != "" {
			_, start = encoding.ProductRange(o.After)
		}
		for {
			account, err := c.firstAccount(ctx, backend.Range{Start: start, End: end})
			if account == "" && err == nil {
				return
			}
			last = c.wrap("list accounts", "", err)
			if !yield(account, last) || err != nil {
				return
			}
			_, start = encoding.ProductRange(account)
		}
	}
}

// firstAccount returns the account of the first product in r, "" if there is none.
func (c *Catalog) firstAccount(ctx context.Context, r backend.Range) (account string, err error) {
	if err := c.calls.Enter(); err != nil {
		return "", err
	}
	defer c.calls.Exit()
	for e, err := range c.backend.Scan(ctx, r, backend.ScanOptions{KeysOnly: true, Limit: 1}) {
		if err != nil {
			return "", err
		}
		account, _, err := encoding.DecodeProductKey(e.Key)
		return account, err
	}
	return "", nil
}
