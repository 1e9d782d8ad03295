package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
)

// salvageCmd is shelflife salvage.
type salvageCmd struct {
	Data string `required:"" placeholder:"DIR" help:"Folder of the damaged store."`
	Out  string `required:"" placeholder:"DIR" help:"Folder of the new store: one that is missing or empty."`
}

// Help returns the details.
func (*salvageCmd) Help() string {
	return `Copies every product of a damaged store that can be read, with its images and its lifetime, into a new store, and lists what it could not copy: products by name as far as the rest of the store knows them, and otherwise those between which they lie.

A product is copied as it was last written or not at all. Where what is newest can't be read, nothing older is taken in its place, and nothing that was deleted comes back. A product some of whose images can't be read is copied without them. The new store is checked at the end.

The damaged store must not be in use by a server. Copy its folder first if it is the only one: a store that is opened tidies up its files.

A store that can't be opened is out of reach, since what says which files make it up, and in which order, is not to be had or not to be relied on: a damaged MANIFEST, a log damaged in its middle, a table or blob file that is missing or cut off. The message names the file. Restore a backup then; a table or blob file alone may be copied from a backup of the folder, since these files never change.

Exit status: 0 if everything was copied, 2 if something was not, 1 if it failed.`
}

// Run copies a store.
func (c *salvageCmd) Run(p *process) (err error) {
	if err := requireEmpty(c.Out); err != nil {
		return err
	}
	from, err := openEngineForCheck(p.ctx, c.Data)
	if err != nil {
		return fmt.Errorf("the store can't be opened, and nothing was copied: %w", err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	report, err := c.copy(p.ctx, from)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "products copied  %d\nimages copied    %d\nlost             %d\n", report.Products, report.Images, len(report.Lost))
	for _, lost := range report.Lost {
		fmt.Fprintln(p.stdout, visible(lost.String()))
	}
	if err := requireSound(p.ctx, c.Out); err != nil {
		return err
	}
	if len(report.Lost) > 0 {
		return statusError(exitRefused)
	}
	return nil
}

// copy fills the new store.
func (c *salvageCmd) copy(ctx context.Context, from *pebble.Store) (report catalog.SalvageReport, err error) {
	to, err := openEngine(ctx, c.Out, pebble.Options{CacheSize: defaultCache})
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return catalog.Salvage(ctx, from, to)
}

// requireEmpty refuses a folder that has anything in it.
func requireEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("--out: %s is not empty", visible(dir))
	}
	return nil
}

// requireSound checks the new store.
func requireSound(ctx context.Context, dir string) (err error) {
	cat, err := openForCheck(ctx, place{dir: dir})
	if err != nil {
		return fmt.Errorf("the new store: %w", err)
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	report, err := cat.Check(ctx)
	if err != nil {
		return fmt.Errorf("the new store: %w", err)
	}
	if !report.Sound() {
		return fmt.Errorf("the new store is not sound: %d problems, see shelflife check", len(report.Problems))
	}
	return nil
}
