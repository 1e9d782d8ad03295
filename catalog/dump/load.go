package dump

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/internal/verbatim"
	"github.com/shelflife-db/shelflife/encoding"
)

const (
	// loadBatch is how many products are written at once where one of them has uploaded
	// images, and inlineBudget about how many image bytes with them.
	loadBatch    = 256
	inlineBudget = 1 << 20
)

// Load writes what a dump holds into a catalog: each product as it was, with its
// times and its version, so that entity tags and conditions stay good. What the
// catalog has besides stays as it is; see Options.Existing for products that it has
// in another version.
//
// It writes as it reads, in bounded memory, each product whole or not at all and only
// from what was verified. What is wrong with a dump may be found at its end alone:
// then an error that matches ErrNotIntact is returned, and what was loaded stays.
// Call Verify first where that must not be. After an error of any kind Load may be
// called again with the same or a newer dump, and ends as if it had not failed: what
// is there is found to be unchanged. What it returns as loaded is durable, as
// Options.Durability of the catalog has it.
//
// Limits of the catalog are not judged: a dump holds what its store was allowed to
// hold. Errors of r are returned as they are. Close of the catalog has it end with
// catalog.ErrClosed, and waits for a call of r.
func Load(ctx context.Context, c *catalog.Catalog, r io.Reader, o *Options) (Info, error) {
	l := &loader{catalog: c, store: verbatim.Of(c)}
	if o != nil {
		l.options = *o
	}
	err := l.store.Long(ctx, "load", func(ctx context.Context) error { return l.load(ctx, r) })
	return l.info, err
}

type loader struct {
	ctx     context.Context
	catalog *catalog.Catalog
	store   verbatim.Store
	options Options
	info    Info

	product verbatim.Product // that is being read
	uploads []*upload
	wanted  bool // its bytes are
	inlined int64
	// batch are the products that wait to be written, and batchBytes the image bytes
	// that wait with them.
	batch      []verbatim.Product
	batchBytes int64
	// recordBytes is the size of the batch beside that, and uploaded says that one of its
	// products has uploaded images.
	recordBytes int
	uploaded    bool
	// used are image bytes that were held and that no later product has.
	used []*encoding.Image
}

func (l *loader) load(ctx context.Context, r io.Reader) error {
	l.ctx = ctx
	held, err := read(ctx, r, l)
	if err == nil {
		err = l.commit()
	}
	l.discard()
	outcomes := l.info
	l.info = held
	l.info.Created, l.info.Unchanged, l.info.Used, l.info.Replaced = outcomes.Created, outcomes.Unchanged, outcomes.Used, outcomes.Replaced
	l.info.Kept, l.info.Refused, l.info.Expired = outcomes.Kept, outcomes.Refused, outcomes.Expired
	if err == nil && l.info.Refused > 0 {
		err = fmt.Errorf("%w: %d of %d", ErrExists, l.info.Refused, l.info.Products)
	}
	return err
}

// discard removes the bytes of products that were not written.
func (l *loader) discard() {
	for _, p := range append(l.batch, l.product) {
		for _, img := range p.Images {
			img.Discard(l.ctx)
		}
	}
}

// begin implements consumer.
func (l *loader) begin(r *encoding.Record, uploads []*upload) error {
	if err := l.catalog.Validate(r.Account, r.ID, catalog.Patch{}); err != nil {
		return fmt.Errorf("%w: %w", ErrNotIntact, err)
	}
	l.product, l.uploads, l.inlined = verbatim.Product{Record: r}, uploads, 0
	l.wanted = false
	if len(uploads) > 0 {
		// Most of a load that goes on where another broke off is there.
		o, err := l.store.Compare(l.ctx, r, l.options.Existing == Replace)
		if err != nil {
			return l.failed(err)
		}
		l.wanted = o == verbatim.Created || o == verbatim.Replaced
	}
	return nil
}

// failed says which product err is about.
func (l *loader) failed(err error) error {
	r := l.product.Record
	return fmt.Errorf("account %q, product %q: %w", r.Account, r.ID, err)
}

// bytes implements consumer.
func (l *loader) bytes(u *upload, from io.Reader) error {
	var to []verbatim.Image
	if u.again {
		held, err := l.store.Hold(l.ctx, u.images[0])
		if err != nil {
			return l.failed(err)
		}
		if held != nil {
			to = append(to, held)
		}
	}
	mine, err := l.begun(u)
	to = append(to, mine...)
	if err == nil {
		err = copyInto(to, from)
	}
	if err != nil {
		for _, img := range to {
			img.Discard(l.ctx)
		}
		return l.failed(err)
	}
	l.product.Images = append(l.product.Images, mine...)
	return nil
}

// begun begins to take in the images of an upload that the product lacks.
func (l *loader) begun(u *upload) (images []verbatim.Image, err error) {
	if !l.wanted {
		return nil, nil
	}
	for _, img := range u.images {
		inline := l.inlined+img.Size <= inlineBudget
		to, err := l.store.NewImage(l.ctx, l.product.Record, img, inline)
		if err != nil {
			return images, err
		}
		if to == nil {
			continue
		}
		if inline {
			l.inlined += img.Size
		}
		images = append(images, to)
	}
	return images, nil
}

// copyInto has images take in the bytes.
func copyInto(to []verbatim.Image, from io.Reader) error {
	writers := make([]io.Writer, len(to))
	for i := range to {
		writers[i] = to[i]
	}
	if _, err := io.Copy(io.MultiWriter(writers...), from); err != nil {
		return err
	}
	return finish(to)
}

func finish(images []verbatim.Image) error {
	for _, img := range images {
		if err := img.Finish(); err != nil {
			return err
		}
	}
	return nil
}

// end implements consumer.
func (l *loader) end() error {
	for _, u := range l.uploads {
		if u.new {
			continue
		}
		if err := l.fetch(u); err != nil {
			return l.failed(err)
		}
		if !u.again {
			l.used = append(l.used, u.images[0])
		}
	}
	l.batch = append(l.batch, l.product)
	l.batchBytes += l.inlined
	l.recordBytes += recordSize(l.product.Record)
	l.uploaded = l.uploaded || len(l.uploads) > 0
	l.product = verbatim.Product{}
	if l.uploaded && len(l.batch) >= loadBatch || l.recordBytes >= verbatim.BulkBytes || len(l.batch) >= verbatim.BulkMost || l.batchBytes >= inlineBudget || len(l.used) >= loadBatch {
		return l.commit()
	}
	return nil
}

// recordSize returns about how many bytes a product takes.
func recordSize(r *encoding.Record) int {
	n := len(r.Account) + len(r.ID) + len(r.Title) + len(r.Description) + len(r.Metadata) + 100
	for i := range r.Images {
		n += len(r.Images[i].URL) + len(r.Images[i].Classifications)
	}
	return n
}

var errNotHeld = errors.New("image bytes that an earlier product of the dump had are not held any more: load again")

// fetch brings the bytes of an upload that came with an earlier product.
func (l *loader) fetch(u *upload) error {
	images, err := l.begun(u)
	if err == nil && len(images) > 0 {
		var found bool
		found, err = l.store.Held(l.ctx, u.images[0], func(piece []byte) error {
			for _, img := range images {
				if _, err := img.Write(piece); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil && !found {
			err = errNotHeld
		}
		if err == nil {
			err = finish(images)
		}
	}
	l.product.Images = append(l.product.Images, images...)
	return err
}

// commit writes the products that wait.
func (l *loader) commit() error {
	if len(l.batch) > 0 {
		outcomes, err := l.store.Restore(l.ctx, l.batch, l.options.Existing == Replace)
		if err != nil {
			return err
		}
		for i, o := range outcomes {
			l.count(l.batch[i].Record, o)
		}
	}
	l.batch, l.batchBytes, l.recordBytes, l.uploaded = l.batch[:0], 0, 0, false
	for _, img := range l.used {
		if err := l.store.Release(l.ctx, img); err != nil {
			return err
		}
	}
	l.used = l.used[:0]
	return nil
}

func (l *loader) count(r *encoding.Record, o verbatim.Outcome) {
	switch o {
	case verbatim.Created:
		l.info.Created++
	case verbatim.Unchanged:
		l.info.Unchanged++
	case verbatim.Used:
		l.info.Used++
	case verbatim.Replaced:
		l.info.Replaced++
	case verbatim.Expired:
		l.info.Expired++
	case verbatim.Differs:
		if l.options.Existing == Keep {
			l.info.Kept++
			return
		}
		l.info.Refused++
		if l.options.Report != nil {
			l.options.Report(r.Account, r.ID, ErrExists)
		}
	}
}
