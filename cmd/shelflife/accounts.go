package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
)

// accountsCmd is shelflife accounts.
type accountsCmd struct {
	List   accountsListCmd   `cmd:"" help:"List the accounts that have products."`
	Stats  accountsStatsCmd  `cmd:"" help:"Count what an account has."`
	Delete accountsDeleteCmd `cmd:"" help:"Delete an account with all it has."`
}

// accountsListCmd is shelflife accounts list.
type accountsListCmd struct {
	storeFlags
	After string `placeholder:"ACCOUNT" help:"Account after which the list begins."`
}

// Help returns the details.
func (*accountsListCmd) Help() string {
	return `Prints the accounts that have products, one a line, in byte order; characters that would break a line are escaped. It reads one product of each account. An account whose products have all expired is listed until a server has removed them. Where a store is damaged the accounts that can be read are listed, and it fails with the names of those between which others may lie.

A store in a folder must not be in use by a server, unless that runs with --read-only; one in a database may.`
}

// Run lists the accounts.
func (c *accountsListCmd) Run(p *process) error {
	return c.read(p.ctx, func(cat *catalog.Catalog) error {
		var met error // damage, behind which the list goes on
		for account, err := range cat.Accounts(p.ctx, catalog.AccountsOptions{After: c.After, PastDamage: true}) {
			var damage *catalog.AccountsDamageError
			if errors.As(err, &damage) {
				met = errors.Join(met, err)
				continue
			}
			if err != nil {
				return errors.Join(met, err)
			}
			if _, err := fmt.Fprintln(p.stdout, visible(account)); err != nil {
				return err
			}
		}
		return met
	})
}

// read opens the store for reading.
func (f storeFlags) read(ctx context.Context, do func(*catalog.Catalog) error) (err error) {
	at, err := f.place()
	if err != nil {
		return err
	}
	cat, err := openForCheck(ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	return do(cat)
}

// accountsStatsCmd is shelflife accounts stats.
type accountsStatsCmd struct {
	storeFlags
	Account string `arg:"" name:"ACCOUNT" help:"The account."`
}

// Help returns the details.
func (*accountsStatsCmd) Help() string {
	return `Counts what an account has at one instant, by reading all of its products.

A store in a folder must not be in use by a server, unless that runs with --read-only; one in a database may.`
}

// Run counts.
func (c *accountsStatsCmd) Run(p *process) error {
	return c.read(p.ctx, func(cat *catalog.Catalog) error {
		s, err := cat.Stats(p.ctx, c.Account)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.stdout, "products        %d\nlisted          %d\nwith a lifetime %d\nimages          %d\nstored images   %d\nimage bytes     %d\nrecord bytes    %d\n",
			s.Products, s.Listed, s.Expiring, s.Images, s.Uploads, s.ImageBytes, s.RecordBytes)
		return err
	})
}

// accountsDeleteCmd is shelflife accounts delete.
type accountsDeleteCmd struct {
	storeFlags
	Yes      bool   `help:"Delete it. Without it, what would be deleted is counted, and nothing is."`
	EraseNow bool   `help:"Give back the room, and leave nothing of the account in the store's files, before the command ends."`
	Account  string `arg:"" name:"ACCOUNT" help:"The account."`
}

// Help returns the details.
func (*accountsDeleteCmd) Help() string {
	return `Deletes every product of an account with its images. A server gives back the room in time, and erases what was deleted; --erase-now does it now, which takes as long as writing the files concerned anew.

A store in a folder must not be in use by a server; one in a database may. A command that was stopped may be called again.

Exit status: 0 if the account is gone, 1 if it failed, was stopped, or --yes is missing.`
}

// Run deletes the account.
func (c *accountsDeleteCmd) Run(p *process) (err error) {
	if !c.Yes {
		return c.read(p.ctx, func(cat *catalog.Catalog) error {
			s, err := cat.Stats(p.ctx, c.Account)
			if err != nil {
				return err
			}
			return fmt.Errorf("account %q has %d products and %d stored images: nothing was deleted, --yes deletes them", c.Account, s.Products, s.Uploads)
		})
	}
	at, err := c.place()
	if err != nil {
		return err
	}
	cat, err := openStore(context.WithoutCancel(p.ctx), at, pebble.Options{CacheSize: ownCache(), MustExist: true}, catalog.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	var o []catalog.DeleteOption
	if c.EraseNow {
		o = append(o, catalog.EraseNow)
	}
	n, err := cat.DeleteAccount(p.ctx, c.Account, o...)
	if err != nil {
		return fmt.Errorf("%d products were deleted, calling it again goes on: %w", n, err)
	}
	_, err = fmt.Fprintf(p.stdout, "deleted         %d products\n", n)
	return err
}
