package catalog

import (
	"context"
	"slices"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/encoding"
)

// removeUnowned removes image bytes of an account that no product has: those that
// were staged whole, and with garbage set those that products had. What
// an upload has brought so far is left to that upload.
func (c *Catalog) removeUnowned(ctx context.Context, account string, garbage bool) error {
	o := c.updateOptions()
	o.Reclaim = true
	scopes := []backend.Scope{{Group: encoding.AccountScope(account)}}
	start, end := encoding.BlobRange(account)
	for start != nil {
		var next []byte
		err := c.update(ctx, scopes, o, func(t *tx) (err error) {
			next, err = t.removeSomeUnowned(account, backend.Range{Start: start, End: end}, garbage)
			return err
		})
		if err != nil {
			return err
		}
		start = next
	}
	return nil
}

// removeSomeUnowned looks at the first images of r, and returns where to go on,
// nil at the end.
func (t *tx) removeSomeUnowned(account string, r backend.Range, garbage bool) (next []byte, err error) {
	var blobs []encoding.BlobID
	for e, err := range t.txn.Scan(t.ctx, r, backend.ScanOptions{KeysOnly: true}) {
		if err != nil {
			return nil, err
		}
		_, id, n, err := encoding.DecodeBlobKey(e.Key)
		if err != nil || n > 0 {
			continue
		}
		if len(blobs) == deleteBatch {
			next = slices.Clone(e.Key)
			break
		}
		blobs = append(blobs, id)
	}
	for _, id := range blobs {
		h, err := t.blobHeader(account, id)
		if encoding.IsUnreadable(err) {
			continue // it does not say whose it is
		}
		if err != nil {
			return nil, err
		}
		if h != nil && (h.State == encoding.BlobStaged && h.Kind != "" || h.State == encoding.BlobGarbage && garbage) {
			if err := t.removeBlob(account, id, h); err != nil {
				return nil, err
			}
		}
	}
	return next, nil
}
