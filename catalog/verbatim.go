package catalog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/catalog/internal/uses"
	"github.com/shelflife-db/shelflife/catalog/internal/verbatim"
	"github.com/shelflife-db/shelflife/encoding"
)

func init() {
	verbatim.Of = func(c any) verbatim.Store { return verbatimStore{c.(*Catalog)} }
}

// verbatimStore is what package dump sees of a catalog.
type verbatimStore struct{ *Catalog }

// Long implements verbatim.Store.
func (c verbatimStore) Long(ctx context.Context, op string, call func(context.Context) error) error {
	return c.wrap(op, "", c.long(ctx, call))
}

// verbatimView reads a snapshot of the store.
type verbatimView struct {
	c        *Catalog
	snapshot backend.Snapshot
	now      int64
	// pending are uses that the snapshot may lack.
	pending map[productkey.Key]encoding.Use
}

// View implements verbatim.Store.
//
// The order is that of a reader of one product: see look. No scan that pins the
// overlay may last as long as this: so the uses are copied, and before the snapshot
// is made. What has left the overlay by then, the snapshot shows. What becomes
// visible later, a renewal by an Update that is at work included, was not
// acknowledged when the view began.
func (c verbatimStore) View(ctx context.Context) (verbatim.View, error) {
	v := &verbatimView{c: c.Catalog, now: c.now.Now(), pending: make(map[productkey.Key]encoding.Use)}
	for _, u := range c.uses.Unfolded() {
		v.pending[productkey.Of(u.Account, u.ID)] = u
	}
	var err error
	v.snapshot, err = c.backend.Snapshot(ctx)
	return v, err
}

// Close implements verbatim.View.
func (v *verbatimView) Close() error { return v.snapshot.Close() }

// Records implements verbatim.View.
func (v *verbatimView) Records(ctx context.Context, pastDamage bool) iter.Seq2[*encoding.Record, error] {
	return func(yield func(*encoding.Record, error) bool) {
		start, end := encoding.SpaceRange(encoding.SpaceProduct)
		for e, err := range v.snapshot.Scan(ctx, backend.Range{Start: start, End: end}, backend.ScanOptions{PastDamage: pastDamage}) {
			var r *encoding.Record
			if err == nil {
				r, err = v.record(e.Key, e.Value)
			}
			if err != nil {
				err = damageAt(e.Key, err)
				v.c.noteDamage(err)
				if !yield(nil, err) || !pastDamage || !isDamage(err) {
					return
				}
				continue
			}
			if !isLive(r, v.now) {
				continue
			}
			r.IndexedAt, r.FeedPosition = encoding.None, 0
			if !yield(r, nil) {
				return
			}
		}
	}
}

// record decodes a record, with its pending use on top.
func (v *verbatimView) record(key, value []byte) (*encoding.Record, error) {
	account, id, err := encoding.DecodeProductKey(key)
	if err != nil {
		return nil, err
	}
	r := new(encoding.Record)
	if err := encoding.DecodeRecord(value, r); err != nil {
		return nil, err
	}
	if r.Account != account || r.ID != id {
		return nil, fmt.Errorf("%w: the record says account %q, product %q", encoding.ErrCorrupt, r.Account, r.ID)
	}
	if u, ok := v.pending[productkey.Of(account, id)]; ok && u.Incarnation == r.Incarnation {
		uses.Touch(r, u.At)
	}
	return r, nil
}

// damageAt is damageOf for a walk over all accounts: that of a stretch is the one in
// which it begins.
func damageAt(key []byte, err error) error {
	var engine *backend.DamageError
	if errors.As(err, &engine) && key == nil {
		key = engine.Range.Start
		if n := len(key); n > 0 && key[n-1] == 0 {
			if _, _, err := encoding.DecodeProductKey(key); err != nil {
				key = key[:n-1]
			}
		}
		if _, _, err := encoding.DecodeProductKey(key); err != nil {
			key = engine.Range.End
		}
	}
	account, _, keyErr := encoding.DecodeProductKey(key)
	if keyErr != nil && !isDamage(err) {
		return err
	}
	return damageOf(account, key, err)
}

// Image implements verbatim.View.
func (v *verbatimView) Image(ctx context.Context, r *encoding.Record, img *encoding.Image, fn func(piece []byte) error) error {
	h := new(encoding.BlobHeader)
	found, err := v.snapshot.Get(ctx, encoding.AppendBlobKey(nil, r.Account, img.Blob, 0), func(value []byte) error {
		return encoding.DecodeBlobHeader(value, h)
	})
	if err == nil && (!found || h.State != encoding.BlobOwned || h.Owner != r.ID || h.Incarnation != r.Incarnation || h.Size != img.Size) {
		err = fmt.Errorf("%w: the bytes %s of an image are missing or not its own", encoding.ErrCorrupt, img.Blob)
	}
	if err == nil {
		err = readBlob(ctx, v.snapshot, r.Account, img, h.Chunks, fn)
	}
	if err != nil && isDamage(err) {
		err = &DamageError{Account: r.Account, ExternalID: r.ID, Cause: err}
		v.c.noteDamage(err)
	}
	return err
}

// readBlob calls fn with the bytes of a blob, a chunk at a time, and fails with
// ErrCorrupt where they are not those that img says.
func readBlob(ctx context.Context, from backend.Reader, account string, img *encoding.Image, chunks uint32, fn func(piece []byte) error) error {
	hash, left := sha256.New(), img.Size
	var buf []byte
	for n := uint32(1); n <= chunks; n++ {
		var chunk []byte
		found, err := from.Get(ctx, encoding.AppendBlobKey(nil, account, img.Blob, n), func(value []byte) (err error) {
			buf = append(buf[:0], value...)
			chunk, err = encoding.DecodeChunk(buf, img.Blob, n)
			return err
		})
		if err != nil {
			return err
		}
		if left -= int64(len(chunk)); !found || left < 0 {
			return fmt.Errorf("%w: chunk %d of the bytes %s of an image", encoding.ErrCorrupt, n, img.Blob)
		}
		hash.Write(chunk)
		if err := fn(chunk); err != nil {
			return err
		}
	}
	if left != 0 || [sha256.Size]byte(hash.Sum(nil)) != img.SHA256 {
		return fmt.Errorf("%w: the bytes %s of an image are others than the product says", encoding.ErrCorrupt, img.Blob)
	}
	return nil
}
