package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productimport"
)

// plans are what a dry run calls what it expects, as the dashboard does.
var plans = map[catalog.Outcome]string{catalog.Created: "new", catalog.Edited: "edit", catalog.Unchanged: "unchanged"}

// dryRun says what the import of in would do, and does nothing.
func (c *importCmd) dryRun(p *process, at place, in *input) (err error) {
	cat, err := c.openForDryRun(p.ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	if err := checkAccount(cat, c.Account); err != nil {
		return err
	}
	m := newImporter(cat, c.Account, c.Strict, p.stderr)
	m.progress = newProgress(p.stderr, "looking", fileSize(c.File))
	var unsaid error
	m.into = productimport.New(cat, c.Account, productimport.Options{Strict: c.Strict, Preview: true, Report: func(r productimport.Result) {
		m.report(r)
		if r.Refused() || unsaid != nil {
			return
		}
		m.progress.clear()
		_, unsaid = fmt.Fprintf(p.stdout, "%s: %s\n", entryName(r), plans[r.Outcome])
	}})
	failure := m.run(p.ctx, in)
	m.progress.clear()
	if unsaid == nil {
		_, unsaid = fmt.Fprintf(p.stdout, "new %d, edits %d, unchanged %d, refused %d; nothing was written\n",
			m.outcomes[catalog.Created], m.outcomes[catalog.Edited], m.outcomes[catalog.Unchanged], m.refused)
	}
	switch {
	case failure != nil && m.into.Done().Number == 0:
		return fmt.Errorf("the dry run stopped before anything was looked at: %w", failure)
	case failure != nil:
		return fmt.Errorf("the dry run stopped after %s: %w; --from-line %d goes on behind it", m.into.Done(), failure, lineBehind(m.into.Done()))
	case unsaid != nil:
		return unsaid
	case m.refused > 0:
		return statusError(exitRefused)
	}
	return nil
}

// openForDryRun opens the store for reading. In the place of one that the import
// would make, it opens an empty one in memory.
func (c *importCmd) openForDryRun(ctx context.Context, at place) (*catalog.Catalog, error) {
	cat, err := openForCheck(ctx, at)
	if missing := (*noStoreError)(nil); errors.As(err, &missing) && !c.MustExist {
		return catalog.Open(ctx, memory.New(nil), nil)
	}
	return cat, err
}
