package catalog

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/encoding"
)

// Result is what an upsert returns: the product as it left it, and what it did.
// Of one that failed both are zero: no product, and no valid outcome.
type Result struct {
	Product *Product
	Outcome Outcome
}

// plainUseError ends the Update of an inline upsert that turned out to be
// nothing but a use of the product as it is at this version.
type plainUseError struct{ version Version }

func (plainUseError) Error() string { return "nothing but a use" }

// Upsert creates the product the first time and edits it partially afterwards:
// see [Patch]. It is explicit: the product is listed from then on, and one
// that it creates without ValidForDays is kept forever.
//
// It is atomic, image bytes included, and durable when it returns (see
// Options.Durability). Concurrent upserts of one product never lose an update.
// A patch that changes nothing writes nothing.
//
// It fails with a *ValidationError, ErrPreconditionFailed, ErrUploadSpent,
// ErrQuotaExceeded, ErrClosed, ErrUnavailable, ErrUnknownOutcome, the context's error, or that of
// the reader of an Upload; after all but ErrUnknownOutcome nothing was changed.
func (c *Catalog) Upsert(ctx context.Context, account, externalID string, p Patch, conds ...Condition) (Result, error) {
	ctx, call := c.begin(ctx, OpUpsert)
	res, err := c.upsert(ctx, explicit, account, externalID, p, conds)
	return res, call.upserted(res.Outcome, c.wrap("upsert", externalID, err))
}

// UpsertInline is an upsert that is also a use: a product that it creates is
// not listed, and lives for 15 days where the patch has no ValidForDays; one
// that it edits stays listed or unlisted. An upsert that changes nothing is a
// plain use, see [Catalog.Use].
//
// For all else, errors included, it is like [Catalog.Upsert].
func (c *Catalog) UpsertInline(ctx context.Context, account, externalID string, p Patch, conds ...Condition) (Result, error) {
	ctx, call := c.begin(ctx, OpUpsertInline)
	res, err := c.upsert(ctx, inline, account, externalID, p, conds)
	return res, call.upserted(res.Outcome, c.wrap("upsert inline", externalID, err))
}

func (c *Catalog) upsert(ctx context.Context, kind upsertKind, account, id string, p Patch, conds []Condition) (Result, error) {
	if err := c.calls.Enter(); err != nil {
		return Result{}, err
	}
	defer c.calls.Exit()
	in, err := c.receive(ctx, account, id, p)
	if err != nil {
		return Result{}, err
	}
	defer in.discard(ctx, c)
	if kind.isUse() {
		return c.upsertOrUse(ctx, kind, id, in, conds)
	}
	return c.commitUpsert(ctx, kind, id, in, conds)
}

// commitUpsert runs one upsert in an Update of its own.
func (c *Catalog) commitUpsert(ctx context.Context, kind upsertKind, id string, in *intake, conds []Condition) (res Result, err error) {
	scopes := append(in.scopes(), productScope(in.account, id))
	err = c.update(ctx, scopes, c.updateOptions(), func(t *tx) (err error) {
		res, err = t.upsert(kind, in.account, id, in, conds)
		return err
	})
	if err != nil {
		in.failed(err)
		return Result{}, err
	}
	return res, nil
}

// upsertOrUse is an upsert that counts as a use. One that turns out to change
// nothing is a use of the version that it was compared with. If the product was
// changed or is gone by then, the patch may say something new.
func (c *Catalog) upsertOrUse(ctx context.Context, kind upsertKind, id string, in *intake, conds []Condition) (Result, error) {
	for {
		res, err := c.commitUpsert(ctx, kind, id, in, conds)
		var plain plainUseError
		if !errors.As(err, &plain) {
			return res, err
		}
		product, err := c.useWhole(ctx, in.account, id, &plain.version)
		switch {
		case err == nil:
			return Result{product, Unchanged}, nil
		case !errors.Is(err, ErrNotFound) && !errors.Is(err, errOtherVersion):
			return Result{}, err
		}
	}
}

// upsert runs one upsert in a transaction.
func (t *tx) upsert(kind upsertKind, account, id string, in *intake, conds []Condition) (Result, error) {
	for _, b := range in.blobs {
		b.claimed = false
	}
	f, err := t.load(account, id)
	if err != nil {
		return Result{}, err
	}
	if kind == oneShot && f.live != nil {
		return Result{newProduct(f.live), Unchanged}, nil // made by the same key before
	}
	if !conditionsHold(conds, f.live) {
		return Result{}, preconditionFailed(f.live)
	}
	if f.live == nil {
		return t.create(kind, f, in)
	}
	return t.editLive(kind, f, in)
}

// create is upsert of a product that does not live.
func (t *tx) create(kind upsertKind, f *found, in *intake) (Result, error) {
	next := f.space
	if next == nil {
		next = new(encoding.Record)
	}
	if err := kind.create(next, f.account, f.id, in.patch, t.now, t.c.random); err != nil {
		return Result{}, t.refuse(err, f, next, in)
	}
	if err := t.admit(f.account, nil, next); err != nil {
		return Result{}, err
	}
	replaced := *f
	if err := t.write(f, next, in.blobs); err != nil {
		return Result{}, err
	}
	t.expire(&replaced)
	return Result{newProduct(next), Created}, nil
}

// editLive is upsert of a product that lives.
func (t *tx) editLive(kind upsertKind, f *found, in *intake) (Result, error) {
	next, changed, renewed, err := kind.edit(f.live, in.patch, t.now, t.c.random)
	if err != nil {
		return Result{}, t.refuse(err, f, next, in)
	}
	outcome := Unchanged
	switch {
	case changed:
		outcome = Edited
	case !renewed && !kind.isUse():
		return Result{newProduct(next), Unchanged}, nil
	case !renewed:
		return Result{}, plainUseError{versionOf(next)}
	case next.Anchor == f.stored.Anchor && next.LastUsedAt == f.stored.LastUsedAt:
		return Result{newProduct(next), Unchanged}, nil
	}
	if err := t.admit(f.account, f.live, next); err != nil {
		return Result{}, err
	}
	if err := t.write(f, next, in.blobs); err != nil {
		return Result{}, err
	}
	return Result{newProduct(next), outcome}, nil
}

// refuse returns bad, the faults of a merge, with those of the staged images
// that the incomplete next refers to.
func (t *tx) refuse(bad error, f *found, next *encoding.Record, in *intake) error {
	_, err := t.checkClaims(f, next, in.blobs)
	var faults, more *ValidationError
	switch {
	case errors.As(bad, &faults) && errors.As(err, &more):
		faults.Fields = append(faults.Fields, more.Fields...)
	case err != nil:
		return err
	}
	return bad
}

// updateOptions are those of the host's own writes.
func (c *Catalog) updateOptions() backend.UpdateOptions {
	return backend.UpdateOptions{Buffered: c.opts.Durability == Buffered}
}

// randomID returns a number for a product or an edit that no other will get.
func randomID() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: see crypto/rand
	return binary.LittleEndian.Uint64(b[:])
}

func newBlobID() (id encoding.BlobID) {
	_, _ = rand.Read(id[:]) // never fails: see crypto/rand
	return id
}
