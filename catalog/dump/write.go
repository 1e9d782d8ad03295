package dump

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/dump/internal/repeats"
	"github.com/shelflife-db/shelflife/catalog/internal/verbatim"
	"github.com/shelflife-db/shelflife/encoding"
)

const (
	// linesLen is from which length a file of products gets no more lines, and
	// maxLine how long one may be.
	linesLen = 1 << 20
	maxLine  = 32 << 20
)

// Write writes a dump of every product that lives, as they are at one instant, uses
// that were acknowledged before the call included. Reads and writes go on. Equal
// catalogs make equal dumps, whatever they are kept on.
//
// It reads the products twice and the images once, and holds a snapshot meanwhile:
// what is deleted or written anew keeps its room, so w is better a file than a slow
// network. It takes a bounded amount of memory. After an error what w has got is no
// dump. Errors of w are returned as they are. Close of the catalog has it end with
// catalog.ErrClosed, and waits for a call of w.
func Write(ctx context.Context, w io.Writer, c *catalog.Catalog, o *Options) (Info, error) {
	d := &writer{store: verbatim.Of(c)}
	if o != nil {
		d.options = *o
	}
	err := d.store.Long(ctx, "dump", func(ctx context.Context) error { return d.write(ctx, w) })
	return d.info, err
}

type writer struct {
	store   verbatim.Store
	options Options
	info    Info

	view    verbatim.View
	archive *archiveWriter
	images  *repeats.Counter
	account string // of the last product
	lines   bytes.Buffer
}

func (d *writer) write(ctx context.Context, w io.Writer) (err error) {
	if d.view, err = d.store.View(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.view.Close()) }()
	d.images = repeats.New(d.options.TempDir, repeats.DefaultMost)
	defer func() { err = errors.Join(err, d.images.Close()) }()
	if err := d.count(ctx); err != nil {
		return err
	}
	if d.archive, err = newArchiveWriter(w); err != nil {
		return err
	}
	for r, err := range d.view.Records(ctx, d.options.PastDamage) {
		if err == nil {
			err = d.product(ctx, r)
		}
		if err = d.passOver(err); err != nil {
			return err
		}
	}
	if err := d.flush(); err != nil {
		return err
	}
	err = d.archive.end(manifest{
		Accounts: d.info.Accounts, Products: d.info.Products,
		Images: d.info.Images, ImageBytes: d.info.ImageBytes, LeftOut: d.info.LeftOut,
	})
	d.info.Bytes = d.archive.out.n
	return err
}

// count looks at all products once, to know which images come again.
func (d *writer) count(ctx context.Context) error {
	for r, err := range d.view.Records(ctx, d.options.PastDamage) {
		if err != nil {
			if d.options.PastDamage && errors.Is(err, catalog.ErrDamaged) {
				continue // it is met again
			}
			return err
		}
		for _, u := range uploadsOf(r) {
			if err := d.images.Add(u.images[0].SHA256); err != nil {
				return err
			}
		}
	}
	return d.images.Counted()
}

// passOver returns err unless it is about products that are to be left out.
func (d *writer) passOver(err error) error {
	var damage *catalog.DamageError
	if !d.options.PastDamage || !errors.As(err, &damage) {
		return err
	}
	d.info.LeftOut++
	if d.options.Report != nil {
		d.options.Report(damage.Account, damage.ExternalID, damage)
	}
	return nil
}

// product writes a product with the images that no product before it had.
func (d *writer) product(ctx context.Context, r *encoding.Record) error {
	uploads := uploadsOf(r)
	if err := d.take(ctx, r, uploads); err != nil {
		return err
	}
	begin := d.lines.Len()
	err := appendLine(&d.lines, r, uploads)
	if n := d.lines.Len() - begin; err == nil && n > maxLine {
		err = fmt.Errorf("as a line it has %d bytes, more than %d", n, maxLine)
	}
	if err != nil {
		return fmt.Errorf("account %q, product %q: %w", r.Account, r.ID, err)
	}
	if d.info.Products == 0 || d.account != r.Account {
		d.account = r.Account
		d.info.Accounts++
	}
	d.info.Products++
	for _, u := range uploads {
		if !u.new {
			continue
		}
		if err := d.flush(); err != nil { // the line is the last of its file
			return err
		}
		if err := d.image(ctx, r, u.images[0]); err != nil {
			return err
		}
	}
	if d.lines.Len() >= linesLen {
		return d.flush()
	}
	return nil
}

// take finds out which of the bytes that a product has are new. It fails where the
// product must be left out: before its line is written, which would have to be
// taken back.
func (d *writer) take(ctx context.Context, r *encoding.Record, uploads []*upload) error {
	if err := d.sound(ctx, r, uploads); err != nil {
		for _, u := range uploads {
			if err := d.images.Pass(u.images[0].SHA256); err != nil {
				return err
			}
		}
		return err
	}
	for _, u := range uploads {
		var err error
		if u.new, u.again, err = d.images.Take(u.images[0].SHA256); err != nil {
			return err
		}
	}
	return nil
}

// sound returns nil if a product can be written, as far as that is to be known
// before.
func (d *writer) sound(ctx context.Context, r *encoding.Record, uploads []*upload) error {
	if err := cmp.Or(checkRecord(r), checkText(r)); err != nil {
		return &catalog.DamageError{Account: r.Account, ExternalID: r.ID, Cause: err}
	}
	if !d.options.PastDamage {
		return nil // an image that can't be read ends it
	}
	for _, u := range uploads {
		if err := d.view.Image(ctx, r, u.images[0], func([]byte) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// flush writes the lines that wait as a file.
func (d *writer) flush() error {
	if d.lines.Len() == 0 {
		return nil
	}
	err := d.archive.addProducts(d.lines.Bytes())
	d.lines.Reset()
	return err
}

// image writes the bytes of an image of r.
func (d *writer) image(ctx context.Context, r *encoding.Record, img *encoding.Image) error {
	if err := d.archive.add(imageName(img.SHA256), img.Size); err != nil {
		return err
	}
	d.info.Images++
	d.info.ImageBytes += img.Size
	return d.view.Image(ctx, r, img, func(piece []byte) error {
		_, err := d.archive.tar.Write(piece)
		return err
	})
}
