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

	IncludeStale bool `help:"Also copy what lies below the damage: products as they were before, and some that were deleted since."`
}

// Help returns the details.
func (*salvageCmd) Help() string {
	return `Copies every product of a damaged store that can be read, with its images and its lifetime, into a new store, and lists what it could not copy: products by name as far as the rest of the store knows them, and otherwise those between which they lie.

A product is copied as it was last written or not at all. Where what is newest can't be read, nothing older is taken in its place, and nothing that was deleted comes back. What is found below the damage is listed as possibly stale or deleted; with --include-stale it is copied too, and listed all the same. A product some of whose images can't be read is copied without them. The new store is checked at the end.

Files may be missing, cut off or damaged, and each that is known to be is listed. A log that is damaged in its middle ends there: what was written later is lost, and the store is copied as it was then, as it is where the newest log is missing. The damaged store must not be in use by a server; nothing in its folder is changed.

A store whose MANIFEST is damaged is out of reach, since nothing else says which files make it up. Restore a backup then. A table or blob file alone may be copied from a backup of the folder, since these files never change.

Exit status: 0 if everything was copied, 2 if something was not, 1 if it failed.`
}

// Run copies a store.
func (c *salvageCmd) Run(p *process) (err error) {
	if err := requireEmpty(c.Out); err != nil {
		return err
	}
	from, err := openDamaged(p.ctx, c.Data)
	if err != nil {
		return fmt.Errorf("the store can't be opened, and nothing was copied: %w", err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	report, err := c.copy(p.ctx, from)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "products copied  %d\nimages copied    %d\nlost             %d\npossibly stale   %d\n", report.Products, report.Images, len(report.Lost), len(report.Stale))
	for _, fault := range from.Faults() {
		fmt.Fprintln(p.stdout, visible(fault))
	}
	if log := from.LostFrom(); log != "" {
		fmt.Fprintf(p.stdout, "the last writes are lost, from the damage in %s on\n", log)
	}
	for _, lost := range report.Lost {
		fmt.Fprintln(p.stdout, visible(lost.String()))
	}
	for _, stale := range report.Stale {
		fmt.Fprintln(p.stdout, visible(stale.String()))
	}
	if err := requireSound(p.ctx, c.Out); err != nil {
		return err
	}
	if len(report.Lost)+len(report.Stale) > 0 || from.LostFrom() != "" {
		return statusError(exitRefused)
	}
	return nil
}

// openDamaged opens the store to be salvaged.
func openDamaged(ctx context.Context, dir string) (*pebble.Damaged, error) {
	from, err := pebble.OpenDamaged(ctx, dir, &pebble.Options{CacheSize: ownCache()})
	if err != nil {
		return nil, openingError(err, dir)
	}
	if err := requireCatalog(ctx, from, place{dir: dir}); err != nil {
		return nil, errors.Join(err, from.Close())
	}
	return from, nil
}

// copy fills the new store.
func (c *salvageCmd) copy(ctx context.Context, from *pebble.Damaged) (report catalog.SalvageReport, err error) {
	to, err := openEngine(ctx, c.Out, pebble.Options{CacheSize: ownCache()})
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return catalog.Salvage(ctx, from, to, catalog.SalvageOptions{IncludeStale: c.IncludeStale})
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
