package main

import (
	"errors"
	"fmt"
)

// checkCmd is shelflife check.
type checkCmd struct {
	storeFlags
}

// Help returns the details.
func (*checkCmd) Help() string {
	return `Reads the whole store, as it is at one instant, prints how many products, images and entries it holds, and every broken invariant: a product without its expiry entry, a list that disagrees with the products, an image whose bytes are missing, damaged or without an owner. Where a part of the store can't be read, it names the products concerned, or those between which they lie, and goes on after them; shelflife salvage copies what can be read into a new store.

It creates, changes and removes nothing, so that a store on a read-only or a full volume can be checked too. A store in a folder must not be in use by a server, unless that runs with --read-only; one in a database may.

Exit status: 0 if the store is sound, 1 if something in it is broken or it can't be read.`
}

// Run checks a store.
func (c *checkCmd) Run(p *process) (err error) {
	at, err := c.place()
	if err != nil {
		return err
	}
	cat, err := openForCheck(p.ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	report, err := cat.Check(p.ctx)
	if err != nil {
		return err
	}
	if report.Unreadable > 0 {
		fmt.Fprintf(p.stderr, "parts of the store that can't be read: %d; shelflife salvage copies the rest into a new store\n", report.Unreadable)
	}
	fmt.Fprintf(p.stdout, "products        %d\nlisted          %d\nstored images   %d\nexpiry entries  %d (%d stale)\nbroken          %d\n",
		report.Products, report.Listed, report.Blobs, report.Entries, report.Stale, len(report.Problems))
	for _, problem := range report.Problems {
		fmt.Fprintln(p.stdout, problem)
	}
	if report.Truncated {
		fmt.Fprintln(p.stdout, "the check ended early: there may be more")
	}
	if !report.Sound() {
		return statusError(exitFailure)
	}
	return nil
}
