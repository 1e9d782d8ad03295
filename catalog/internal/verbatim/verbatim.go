// Package verbatim is the door through which package dump, and nothing else,
// reads and writes products as they are stored: with the times, the version and the
// image references that they have, which the rules of package catalog let no caller
// set. It holds no rule of its own: package catalog stands behind it.
package verbatim

import (
	"context"
	"io"
	"iter"

	"github.com/shelflife-db/shelflife/encoding"
)

// Of returns the door of a *catalog.Catalog. Package catalog sets it.
var Of func(catalog any) Store

// Store is a catalog behind its rules.
type Store interface {
	// Long runs a call, called op in errors, that Close of the catalog ends, as it
	// does Check. All other methods are called inside of one.
	Long(ctx context.Context, op string, call func(context.Context) error) error
	// View returns the store as it is now.
	View(ctx context.Context) (View, error)

	// Compare returns what Restore would make of a product now.
	Compare(ctx context.Context, r *encoding.Record, replace bool) (Outcome, error)
	// NewImage begins to take in the bytes of an image of r, for Restore; it returns
	// nil where the stored product has them. With inline those of a small one wait in
	// memory.
	NewImage(ctx context.Context, r *encoding.Record, img *encoding.Image, inline bool) (Image, error)
	// Restore writes products as they are, each whole, and returns what became of
	// each. Many in the order of their accounts and IDs, without uploaded images, cost
	// the least: BulkBytes of them at a time. Of a product that is stored in another version it writes nothing unless
	// replace says so. The images of a product are those of its references that the
	// stored product may lack.
	Restore(ctx context.Context, products []Product, replace bool) ([]Outcome, error)

	// Hold begins to take in image bytes that are no product's, under their hash;
	// it returns nil where they are held already. They stay for at least a day.
	Hold(ctx context.Context, img *encoding.Image) (Image, error)
	// Held calls fn with the bytes that Hold has taken in, piece by piece, and
	// reports whether it did.
	Held(ctx context.Context, img *encoding.Image, fn func(piece []byte) error) (found bool, err error)
	// Release drops what Hold has taken in.
	Release(ctx context.Context, img *encoding.Image) error
}

// View is a store at one instant.
type View interface {
	// Records yields the products that live, uses that were acknowledged before the
	// instant included, in the order of account and ID, without what only their
	// store knows (IndexedAt, FeedPosition). With pastDamage an error that matches
	// catalog.ErrDamaged names products that can't be read, and does not end the
	// loop; any other is the last step. A record is the caller's.
	Records(ctx context.Context, pastDamage bool) iter.Seq2[*encoding.Record, error]
	// Image calls fn with the bytes of an image of r, piece by piece. Where they can't
	// be read, or are others than r says, it fails with an error that matches
	// catalog.ErrDamaged and names the product.
	Image(ctx context.Context, r *encoding.Record, img *encoding.Image, fn func(piece []byte) error) error
	Close() error
}

// BulkBytes is about how many bytes of records the catalog writes at once where all of
// them are new, and BulkMost how many records at most.
const (
	BulkBytes = 16 << 20
	BulkMost  = 1 << 15
)

// Image is image bytes on their way in.
type Image interface {
	io.Writer
	// Finish is called when all was written, and fails if these are other bytes than
	// was said.
	Finish() error
	// Discard removes what no product has claimed.
	Discard(ctx context.Context)
}

// Product is a product to restore.
type Product struct {
	Record *encoding.Record
	Images []Image
}

// Outcome is what became of a product.
type Outcome uint8

// The outcomes.
const (
	Created   Outcome = 1 + iota // it was not there
	Unchanged                    // it is there, as it is or used later
	Used                         // it was there, in the same version, used earlier
	Replaced                     // it was there in another version
	Differs                      // it is there in another version, and stays
	Expired                      // it has expired by now, and was not written
)
