package catalog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/imageheader"
	"github.com/shelflife-db/shelflife/catalog/internal/verbatim"
	"github.com/shelflife-db/shelflife/encoding"
)

const (
	// heldAccount is where image bytes are held that several products of a dump
	// have. No account has such a name: it is not UTF-8.
	heldAccount = "\xff"
	// heldLifetime is how long they stay where a load is broken off.
	heldLifetime = 7 * 24 * time.Hour
	// heldFresh is how long they must stay for a load that finds them.
	heldFresh = 2 * 24 * time.Hour
)

// Compare implements verbatim.Store.
func (c verbatimStore) Compare(ctx context.Context, r *encoding.Record, replace bool) (o verbatim.Outcome, err error) {
	// An Update, since what it finds decides what is brought to the next.
	err = c.update(ctx, []backend.Scope{productScope(r.Account, r.ID)}, backend.UpdateOptions{Buffered: true}, func(t *tx) error {
		f, err := t.load(r.Account, r.ID)
		if err == nil {
			_, o = t.restored(f, r, replace)
		}
		return err
	})
	return o, err
}

// restored returns what becomes of a product when r is restored, nil where it stays
// as it is.
func (t *tx) restored(f *found, r *encoding.Record, replace bool) (*encoding.Record, verbatim.Outcome) {
	next := *r
	if f.isOf(r) {
		// The product itself, here and there: times never go back.
		stored := t.c.uses.On(f.stored)
		next.LastUsedAt, next.Anchor = max(r.LastUsedAt, stored.LastUsedAt), max(r.Anchor, stored.Anchor)
	}
	switch {
	case f.live == nil && !isLive(&next, t.now):
		return nil, verbatim.Expired
	case f.live == nil:
		return &next, verbatim.Created
	case versionOf(f.live) != versionOf(r):
		if !replace {
			return nil, verbatim.Differs
		}
		if !isLive(&next, t.now) {
			return nil, verbatim.Expired
		}
		return &next, verbatim.Replaced
	case next.LastUsedAt == f.live.LastUsedAt && next.Anchor == f.live.Anchor:
		return nil, verbatim.Unchanged
	}
	// But for its times it is as it is.
	used := *f.live
	used.LastUsedAt, used.Anchor = next.LastUsedAt, next.Anchor
	return &used, verbatim.Used
}

// isOf reports whether f is stored, and the product that r is of, in whatever
// version.
func (f *found) isOf(r *encoding.Record) bool {
	return f.stored != nil && f.stored.Incarnation == r.Incarnation
}

// restoreBatch is how many products Restore writes in one Update that is not in bulk.
const restoreBatch = 256

// Restore implements verbatim.Store.
func (c verbatimStore) Restore(ctx context.Context, products []verbatim.Product, replace bool) ([]verbatim.Outcome, error) {
	outcomes := make([]verbatim.Outcome, len(products))
	if done, err := c.restoreInBulk(ctx, products, outcomes); done || err != nil {
		return outcomes, err
	}
	for begin := 0; begin < len(products); begin += restoreBatch {
		end := min(begin+restoreBatch, len(products))
		if err := c.restoreSome(ctx, products[begin:end], outcomes[begin:end], replace); err != nil {
			return outcomes, err
		}
	}
	return outcomes, nil
}

// restoreInBulk is Restore in bulk, if that can be; done reports whether it was.
func (c verbatimStore) restoreInBulk(ctx context.Context, products []verbatim.Product, outcomes []verbatim.Outcome) (done bool, err error) {
	if !c.exclusive || len(products) < c.bulk.items {
		return false, nil
	}
	var all []newOnes
	for i, p := range products {
		r := p.Record
		if slices.ContainsFunc(r.Images, func(img encoding.Image) bool { return !img.Blob.IsZero() }) {
			return false, nil
		}
		if i == 0 || r.Account != products[i-1].Record.Account {
			all = append(all, newOnes{r.Account, r.ID, r.ID})
			continue
		}
		if r.ID <= all[len(all)-1].last {
			return false, nil
		}
		all[len(all)-1].last = r.ID
	}
	err = c.inBulk(ctx, all, c.updateOptions(), func(t *tx) error {
		for i, p := range products {
			r := p.Record
			f := t.newProductAt(r.Account, r.ID)
			var next *encoding.Record
			if next, outcomes[i] = t.restored(f, r, false); next == nil {
				continue
			}
			if err := t.write(f, next, nil); err != nil {
				return fmt.Errorf("account %q, product %q: %w", r.Account, r.ID, err)
			}
		}
		return nil
	})
	if errors.Is(err, errNotNew) {
		return false, nil
	}
	return true, err
}

// restoreSome is Restore in one Update.
func (c verbatimStore) restoreSome(ctx context.Context, products []verbatim.Product, outcomes []verbatim.Outcome, replace bool) error {
	var scopes []backend.Scope
	for _, p := range products {
		scopes = append(scopes, productScope(p.Record.Account, p.Record.ID))
		for _, img := range p.Images {
			scopes = append(scopes, blobScope(p.Record.Account, img.(*restoringImage).blob.id))
		}
	}
	var images []*restoringImage
	err := c.update(ctx, scopes, c.updateOptions(), func(t *tx) error {
		images = images[:0]
		for i, p := range products {
			incoming := make([]*incomingBlob, 0, len(p.Images))
			for _, img := range p.Images {
				b := img.(*restoringImage)
				b.blob.claimed = false
				images = append(images, b)
				incoming = append(incoming, b.blob)
			}
			var err error
			if outcomes[i], err = t.restore(p.Record, incoming, replace); err != nil {
				return fmt.Errorf("account %q, product %q: %w", p.Record.Account, p.Record.ID, err)
			}
		}
		return nil
	})
	for _, img := range images {
		img.settled = err == nil && img.blob.claimed || errors.Is(err, backend.ErrUnknownOutcome)
		img.Discard(ctx)
	}
	return err
}

var errBytesTaken = errors.New("the store has a product with the same image bytes under another ID")

// restore writes r as it is, if what is stored allows it.
func (t *tx) restore(r *encoding.Record, incoming []*incomingBlob, replace bool) (verbatim.Outcome, error) {
	f, err := t.load(r.Account, r.ID)
	if err != nil {
		return 0, err
	}
	next, outcome := t.restored(f, r, replace)
	if next == nil {
		return outcome, nil
	}
	if err := t.makeWay(f, next, incoming); err != nil {
		return 0, err
	}
	if !f.isOf(r) {
		t.expire(f)
	}
	return outcome, t.write(f, next, incoming)
}

// makeWay makes sure that each blob that next refers to is brought or held by the
// stored product, and removes what an earlier load has left under the IDs of those
// that come with the commit.
func (t *tx) makeWay(f *found, next *encoding.Record, incoming []*incomingBlob) error {
	for id := range blobsOf(next) {
		if f.isOf(next) && indexOfBlob(f.stored.Images, id) >= 0 {
			continue
		}
		var b *incomingBlob
		for _, in := range incoming {
			if in.id == id {
				b = in
			}
		}
		if b == nil {
			return errors.New("was changed while it was loaded: load again")
		}
		if b.chunk == nil {
			continue // NewImage has seen to it
		}
		owned, err := t.vacate(next.Account, id)
		if err == nil && owned != nil {
			err = errBytesTaken
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// vacate removes a blob that is no product's, and returns the header of one that is.
func (t *tx) vacate(account string, id encoding.BlobID) (owned *encoding.BlobHeader, err error) {
	h, err := t.blobHeader(account, id)
	if err != nil || h == nil {
		return nil, err
	}
	if h.State == encoding.BlobOwned {
		return h, nil
	}
	return nil, t.removeBlob(account, id, h)
}

// restoringImage is image bytes that come with their ID.
type restoringImage struct {
	c    *Catalog
	blob *incomingBlob // nil before Finish
	img  encoding.Image
	w    *blobWriter
	// settled says that a product has the bytes, or may have.
	settled bool
}

// NewImage implements verbatim.Store.
func (c verbatimStore) NewImage(ctx context.Context, r *encoding.Record, img *encoding.Image, inline bool) (verbatim.Image, error) {
	inlined := 0
	if inline {
		inlined = chunkSize
	}
	owned, err := c.vacateFor(ctx, r.Account, img, inlined)
	if err != nil {
		return nil, err
	}
	if owned != nil {
		if owned.Owner == r.ID && owned.Incarnation == r.Incarnation && owned.SHA256 == img.SHA256 {
			return nil, nil
		}
		return nil, errBytesTaken
	}
	return c.newRestoringImage(ctx, r.Account, img, inlined, c.opts.StageLifetime)
}

// vacateFor removes what an earlier load has left of an image that is to be staged.
func (c *Catalog) vacateFor(ctx context.Context, account string, img *encoding.Image, inline int) (owned *encoding.BlobHeader, err error) {
	if img.Size <= int64(inline) {
		return nil, nil // what it travels in sees to it
	}
	err = c.update(ctx, []backend.Scope{blobScope(account, img.Blob)}, backend.UpdateOptions{Buffered: true}, func(t *tx) (err error) {
		owned, err = t.vacate(account, img.Blob)
		return err
	})
	return owned, err
}

func (c *Catalog) newRestoringImage(ctx context.Context, account string, img *encoding.Image, inline int, lifetime time.Duration) (*restoringImage, error) {
	if !imageheader.IsKind(img.ContentType) || img.Size <= 0 || img.Width <= 0 || img.Height <= 0 {
		return nil, fmt.Errorf("an image of %d × %d pixels of the kind %q in %d bytes is none", img.Width, img.Height, img.ContentType, img.Size)
	}
	w := &blobWriter{
		c: c, ctx: ctx, account: account, id: img.Blob, inline: inline, hash: sha256.New(), limit: img.Size, lifetime: lifetime,
	}
	return &restoringImage{c: c, img: *img, w: w}, nil
}

// Write implements io.Writer.
func (r *restoringImage) Write(p []byte) (int, error) { return r.w.Write(p) }

var errOtherBytes = errors.New("image bytes are not those that were announced")

// Finish implements verbatim.Image.
func (r *restoringImage) Finish() error {
	if r.w.header.Size != r.img.Size || [sha256.Size]byte(r.w.hash.Sum(nil)) != r.img.SHA256 {
		return errOtherBytes
	}
	info := imageheader.Info{ContentType: r.img.ContentType, Width: r.img.Width, Height: r.img.Height}
	if err := r.w.finish(info, r.c.updateOptions()); err != nil {
		return err
	}
	r.blob = r.w.incoming()
	r.blob.field, r.blob.ours = "source", true
	r.w.giveBack()
	return nil
}

// Discard implements verbatim.Image.
func (r *restoringImage) Discard(ctx context.Context) {
	r.w.giveBack()
	if r.blob != nil {
		giveBack(r.blob.pooled)
		r.blob.pooled = nil
	}
	if r.w.staged && !r.settled {
		r.c.discardStaged(ctx, r.w.account, r.img.Blob)
	}
}

// held returns the image under which bytes are held.
func held(img *encoding.Image) *encoding.Image {
	h := *img
	h.Blob = encoding.BlobID(img.SHA256[:])
	return &h
}

// Hold implements verbatim.Store.
func (c verbatimStore) Hold(ctx context.Context, img *encoding.Image) (verbatim.Image, error) {
	img = held(img)
	there := false
	err := c.update(ctx, []backend.Scope{blobScope(heldAccount, img.Blob)}, backend.UpdateOptions{Buffered: true}, func(t *tx) error {
		h, err := t.blobHeader(heldAccount, img.Blob)
		there = err == nil && h != nil && isHeld(h, img) && h.Deadline > t.now+heldFresh.Milliseconds()
		if err != nil || h == nil || there {
			return err
		}
		return t.removeBlob(heldAccount, img.Blob, h)
	})
	if err != nil || there {
		return nil, err
	}
	return c.newRestoringImage(ctx, heldAccount, img, 0, heldLifetime)
}

// isHeld reports whether h is of all the bytes of img.
func isHeld(h *encoding.BlobHeader, img *encoding.Image) bool {
	return h.State == encoding.BlobStaged && h.Kind != "" && h.SHA256 == img.SHA256
}

// Held implements verbatim.Store.
func (c verbatimStore) Held(ctx context.Context, img *encoding.Image, fn func(piece []byte) error) (found bool, err error) {
	img = held(img)
	h := new(encoding.BlobHeader)
	found, err = c.backend.Get(ctx, encoding.AppendBlobKey(nil, heldAccount, img.Blob, 0), func(value []byte) error {
		return encoding.DecodeBlobHeader(value, h)
	})
	if err != nil || !found || !isHeld(h, img) {
		return false, err
	}
	return true, readBlob(ctx, c.backend, heldAccount, img, h.Chunks, fn)
}

// Release implements verbatim.Store.
func (c verbatimStore) Release(ctx context.Context, img *encoding.Image) error {
	img = held(img)
	o := backend.UpdateOptions{Buffered: true, Reclaim: true}
	return c.update(ctx, []backend.Scope{blobScope(heldAccount, img.Blob)}, o, func(t *tx) error {
		_, err := t.vacate(heldAccount, img.Blob)
		return err
	})
}
