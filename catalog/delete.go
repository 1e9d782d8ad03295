package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
)

// deleteBatch is how many products DeleteAccount removes in one Update, during
// which nothing else is written to the account.
const deleteBatch = 64

// Delete removes a live product and all it owns. Where no live product has the
// ID it fails with ErrNotFound; but conditions are judged first, as for an
// upsert, and where one does not hold it fails with ErrPreconditionFailed:
//
//	condition            absent or expired      live
//	none                 ErrNotFound            deleted
//	IfVersion, IfExists  ErrPreconditionFailed  deleted if the version is one of them
//	CreateOnly           ErrNotFound            ErrPreconditionFailed
func (c *Catalog) Delete(ctx context.Context, account, externalID string, conds ...Condition) error {
	ctx, call := c.begin(ctx, OpDelete)
	return call.end(c.wrap("delete", externalID, c.delete(ctx, account, externalID, conds)))
}

func (c *Catalog) delete(ctx context.Context, account, id string, conds []Condition) error {
	if err := checkNames(account, id); err != nil {
		return err
	}
	if err := c.calls.Enter(); err != nil {
		return err
	}
	defer c.calls.Exit()
	o := c.updateOptions()
	o.Reclaim = true
	return c.update(ctx, []backend.Scope{productScope(account, id)}, o, func(t *tx) error {
		f, err := t.load(account, id)
		if err != nil {
			return err
		}
		if !conditionsHold(conds, f.live) {
			return preconditionFailed(f.live)
		}
		if f.live == nil {
			return ErrNotFound
		}
		return t.write(f, nil, nil)
	})
}

// A DeleteOption changes what DeleteAccount does.
type DeleteOption uint8

// EraseNow has DeleteAccount give back the room and leave nothing of the account
// where the backend keeps its data, values that were deleted before included, as
// [Catalog.Reclaim] does. Image bytes go at once, without Options.ImageGrace:
// a reader of one gets ErrImageGone. It takes as long as writing the files
// concerned anew, and ends early with the context; what was not done then is done
// in the background, as without EraseNow. IDs may stay in the backend's own
// files. On a backend that holds nothing back it only ends the grace.
const EraseNow DeleteOption = 1

// DeleteAccount removes every product of an account whose creation was
// acknowledged before the call began, with all it owns, and staged images that
// were not claimed, and returns how many live products that were. Each goes
// whole, the account in several steps: after an error some may be gone, and the
// call may be repeated. A product whose record is damaged goes too, and is not
// counted. Without [EraseNow] the backend gives back the room in time.
func (c *Catalog) DeleteAccount(ctx context.Context, account string, o ...DeleteOption) (removed int, err error) {
	ctx, call := c.begin(ctx, OpDeleteAccount)
	err = c.long(ctx, func(ctx context.Context) (err error) {
		removed, err = c.deleteAccount(ctx, account, o)
		return err
	})
	return removed, call.end(c.wrap("delete account", account, err))
}

func (c *Catalog) deleteAccount(ctx context.Context, account string, options []DeleteOption) (removed int, err error) {
	faults := new(ValidationError)
	checkAccount(faults, account)
	if err := faults.err(); err != nil {
		return 0, err
	}
	erase := false
	for _, o := range options {
		if o != EraseNow {
			return 0, fmt.Errorf("DeleteOption %d is none", o)
		}
		erase = true
	}
	scopes := []backend.Scope{{Group: encoding.AccountScope(account)}}
	o := c.updateOptions()
	o.Reclaim = true
	start, end := encoding.ProductRange(account)
	for start != nil {
		var next []byte
		live := 0
		err := c.update(ctx, scopes, o, func(t *tx) error {
			var err error
			live, next, err = t.deleteSome(account, backend.Range{Start: start, End: end})
			return err
		})
		if err != nil {
			return removed, err
		}
		removed += live
		start = next
	}
	if err := c.closeGaps(ctx, account); err != nil {
		return removed, err
	}
	if err := c.removeUnowned(ctx, account, erase); err != nil || !erase {
		return removed, err
	}
	return removed, backend.Reclaim(ctx, c.backend)
}

// maxGaps bounds how many ranges closeGaps removes of a space in one Update.
const maxGaps = 64

// closeGaps removes the ranges of an account in which no product is, as ranges:
// what was deleted there one by one may stand in the way of every list, until the
// backend forgets it. There may be products that were created meanwhile.
func (c *Catalog) closeGaps(ctx context.Context, account string) error {
	o := c.updateOptions()
	o.Reclaim = true
	scopes := []backend.Scope{{Group: encoding.AccountScope(account)}}
	return c.update(ctx, scopes, o, func(t *tx) error {
		for _, rangeOf := range [...]func(string) (start, end []byte){encoding.ProductRange, encoding.ListedRange} {
			start, end := rangeOf(account)
			if err := t.closeGaps(start, end); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) closeGaps(start, end []byte) error {
	var gaps []backend.Range
	for e, err := range t.txn.Scan(t.ctx, backend.Range{Start: start, End: end}, backend.ScanOptions{KeysOnly: true}) {
		if err != nil {
			return err
		}
		gaps = append(gaps, backend.Range{Start: start, End: slices.Clone(e.Key)})
		if start = encoding.AppendSuccessor(nil, e.Key); len(gaps) == maxGaps {
			end = start
			break
		}
	}
	for _, gap := range append(gaps, backend.Range{Start: start, End: end}) {
		if err := t.txn.DeleteRange(gap); err != nil {
			return err
		}
	}
	return nil
}

// deleteSome removes the first products of r and returns how many of them were
// live, and where to go on, nil at the end.
func (t *tx) deleteSome(account string, r backend.Range) (live int, next []byte, err error) {
	var ids []string
	for e, err := range t.txn.Scan(t.ctx, r, backend.ScanOptions{KeysOnly: true, Limit: deleteBatch + 1}) {
		if err != nil {
			return 0, nil, err
		}
		if len(ids) == deleteBatch {
			next = append(next, e.Key...)
			break
		}
		_, id, err := encoding.DecodeProductKey(e.Key)
		if err != nil {
			return 0, nil, err
		}
		ids = append(ids, id)
	}
	products := make([]productkey.Key, 0, len(ids))
	for _, id := range ids {
		products = append(products, productkey.Of(account, id))
	}
	if err := t.fetchTogether(products); err != nil {
		return 0, nil, err
	}
	var damaged []*found
	for _, id := range ids {
		f, err := t.load(account, id)
		if errors.Is(err, encoding.ErrCorrupt) {
			damaged = append(damaged, f)
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		if f.live != nil {
			live++
		}
		if err := t.write(f, nil, nil); err != nil {
			return 0, nil, err
		}
	}
	if len(damaged) > 0 {
		err = t.removeDamaged(account, damaged)
	}
	return live, next, err
}

// removeDamaged removes products whose records can't be read, and the images
// whose headers say that they are theirs, in an Update of the whole account.
// Their expiry entries stand for nothing then, which the sweeper sees when they
// are due.
func (t *tx) removeDamaged(account string, damaged []*found) error {
	owned, err := t.blobsOwnedBy(account, damaged)
	if err != nil {
		return err
	}
	for _, r := range owned {
		if err := t.releaseBlob(account, r); err != nil {
			return err
		}
	}
	for _, f := range damaged {
		if err := t.write(f, nil, nil); err != nil {
			return err
		}
		// What can't be read doesn't show whether it is listed.
		t.key = encoding.AppendListedKey(t.key[:0], account, f.id)
		if err := t.txn.Delete(t.key, 0); err != nil {
			return err
		}
	}
	return nil
}

// blobsOwnedBy walks the images of an account and returns those of some of its
// products.
func (t *tx) blobsOwnedBy(account string, products []*found) (owned []release, err error) {
	var blobs []encoding.BlobID
	start, end := encoding.BlobRange(account)
	for e, err := range t.txn.Scan(t.ctx, backend.Range{Start: start, End: end}, backend.ScanOptions{KeysOnly: true}) {
		if err != nil {
			return nil, err
		}
		if _, blob, n, err := encoding.DecodeBlobKey(e.Key); err == nil && n == 0 {
			blobs = append(blobs, blob)
		}
	}
	for _, blob := range blobs {
		h, err := t.blobHeader(account, blob)
		if errors.Is(err, encoding.ErrCorrupt) {
			continue // its owner can't be read
		}
		if err != nil {
			return nil, err
		}
		if h == nil || h.State != encoding.BlobOwned {
			continue
		}
		if slices.ContainsFunc(products, func(f *found) bool { return f.id == h.Owner }) {
			owned = append(owned, release{blob, h})
		}
	}
	return owned, nil
}
