package catalog

import (
	"context"
	"errors"

	"github.com/shelflife-db/shelflife/encoding"
)

// Preview returns what [Catalog.Upsert] would do with the same arguments, as the
// product is now, and writes nothing: the outcome, or a *ValidationError with
// every fault that can be found without reading uploads, or ErrQuotaExceeded. Uploads
// and staged images are taken to be sound, to differ from the images that the product
// has, and to have no size.
//
// It is a look, not a promise: another write may come before the upsert.
func (c *Catalog) Preview(ctx context.Context, account, externalID string, p Patch) (Outcome, error) {
	ctx, call := c.begin(ctx, OpPreview)
	outcome, err := c.preview(ctx, account, externalID, p)
	return outcome, call.end(c.wrap("preview", externalID, err))
}

func (c *Catalog) preview(ctx context.Context, account, id string, p Patch) (Outcome, error) {
	faults := new(ValidationError)
	checkAccount(faults, account)
	checkExternalID(faults, id)
	patch := c.prepare(faults, p)
	if err := faults.err(); err != nil {
		return 0, err
	}
	images, _ := p.Images.Get()
	for i := range images {
		if images[i].URL == "" {
			patch.images[i].blob = &incomingBlob{id: newBlobID()}
		}
	}
	var s seen
	switch err := c.readLive(ctx, account, id, &s); {
	case errors.Is(err, ErrNotFound):
		var next encoding.Record
		err := explicit.create(&next, account, id, patch, c.now.Now(), c.random)
		if err == nil {
			err = c.foresee(account, nil, &next)
		}
		return outcomeOf(Created, err)
	case err != nil:
		return 0, err
	}
	old, err := s.record()
	if err != nil {
		return 0, err
	}
	next, changed, _, err := explicit.edit(old, patch, c.now.Now(), c.random)
	switch {
	case err != nil:
	case !changed:
		return Unchanged, nil
	default:
		err = c.foresee(account, old, next)
	}
	return outcomeOf(Edited, err)
}

// foresee returns why old can't become next, for what can be told without a write.
func (c *Catalog) foresee(account string, old, next *encoding.Record) error {
	if err := c.checkSize(next); err != nil || c.usage == nil {
		return err
	}
	return c.admits(account, growthOf(old, next), nil)
}

// outcomeOf returns o, that of a write which err says would fail if it is not nil.
func outcomeOf(o Outcome, err error) (Outcome, error) {
	if err != nil {
		return 0, err
	}
	return o, nil
}
