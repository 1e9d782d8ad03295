package catalog

import (
	"context"
	"fmt"

	"github.com/shelflife-db/shelflife/backend"
)

// A backend that heals takes back commits that were not durable: see
// backend.Healer. What the catalog has in memory rests on such commits in two ways.
//
// Some of it shows what the store holds: healed drops that. It is called when
// no Update of the generation before is at work any more, and none of the next
// has begun. A reader may still be at work, and bring what it read into the
// cache or the dead spans: the cache's epochs and the end of the spans' watches
// keep it out.
//
// The rest are promises that are under way: that what was committed as Buffered, or
// read, is durable now. The code that makes one takes the generation first, and finds out
// by durableSince, or inside the next Update by tx.since, that another has begun.

// errTakenBack says that what a call rests on may be gone.
var errTakenBack = fmt.Errorf("%w: the store has healed from a failed write meanwhile, and may have taken back what this rests on", backend.ErrUnavailable)

// healed drops what shows commits that may have been taken back.
func (c *Catalog) healed(uint64) {
	if c.cache != nil {
		c.cache.Clear()
	}
	if c.dead != nil {
		c.dead.Reset()
		c.deadListed.Reset()
	}
	c.uses.Forget()
	// Entries that a lost commit removed are due again, in front of the progress.
	c.sweeper.Restart()
	// Parts of the journal that a lost commit removed are there again.
	c.folder.Reload()
}

func (c *Catalog) generation() uint64 { return backend.Generation(c.backend) }

// durableSince returns when what was read or committed under the scopes is durable,
// all of it in one generation.
func (c *Catalog) durableSince(ctx context.Context, generation uint64, scopes []backend.Scope) error {
	err := c.backend.Durable(ctx, scopes)
	if err == nil && c.generation() != generation {
		err = errTakenBack
	}
	return err
}

// since returns an error where something may have been taken back since a
// generation. It is for the callback of an Update, which is of one.
func (t *tx) since(generation uint64) error {
	if t.c.generation() != generation {
		return errTakenBack
	}
	return nil
}
