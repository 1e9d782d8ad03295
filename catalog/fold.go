package catalog

import (
	"context"
	"errors"
	"slices"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/uses"
	"github.com/shelflife-db/shelflife/encoding"
)

// foldBatch is how many products are folded in one Update: small, for writers
// of the same products wait for it.
const foldBatch = 64

// foldUses writes uses into their records, durably: see uses.Config.Fold.
func (c *Catalog) foldUses(ctx context.Context, due []encoding.Use, patient bool) error {
	o := backend.UpdateOptions{Buffered: true, Reclaim: true, Patient: patient}
	generation := c.generation()
	scopes := make([]backend.Scope, 0, len(due))
	for batch := range slices.Chunk(due, foldBatch) {
		first := len(scopes)
		for _, d := range batch {
			scopes = append(scopes, productScope(d.Account, d.ID))
		}
		var unreadable []error // in the run that counts
		err := c.update(ctx, scopes[first:], o, func(t *tx) (err error) {
			unreadable, err = t.foldUses(batch)
			return err
		})
		if err != nil {
			c.noteDamage(wrap("fold uses", "", err))
			return err
		}
		for _, err := range unreadable {
			c.noteDamage(wrap("fold uses", "", err))
			c.opts.Logger.Error("shelflife: could not read what was used", "error", err)
		}
	}
	if !patient {
		return c.durableSince(ctx, generation, scopes)
	}
	return c.durablePatiently(ctx, generation, scopes)
}

// durablePatiently is durableSince, however long that takes.
func (c *Catalog) durablePatiently(ctx context.Context, generation uint64, scopes []backend.Scope) error {
	err := c.durableSince(ctx, generation, scopes)
	if !errors.Is(err, backend.ErrUnavailable) || errors.Is(err, backend.ErrStopped) || errors.Is(err, errTakenBack) {
		return err
	}
	o := backend.UpdateOptions{Reclaim: true, Patient: true}
	return c.update(ctx, scopes, o, func(t *tx) error { return t.since(generation) })
}

// foldUses returns the errors of the records that it passed over.
func (t *tx) foldUses(due []encoding.Use) (unreadable []error, err error) {
	for _, d := range due {
		f, err := t.load(d.Account, d.ID)
		if encoding.IsUnreadable(err) {
			unreadable = append(unreadable, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		if f.stored == nil || f.stored.Incarnation != d.Incarnation || f.stored.LastUsedAt >= d.At {
			continue
		}
		used := *f.stored
		uses.Touch(&used, d.At)
		if err := t.write(f, &used, nil); err != nil {
			return nil, err
		}
	}
	return unreadable, nil
}
