// Package peer is what the harness asks of every store that it compares: the
// one job, done with the store's own natural means.
package peer

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
)

var (
	// ErrNotFound says that there is no live product under a key.
	ErrNotFound = errors.New("peer: no such product")
	// ErrNotOffered says that a store has no such operation, or none that
	// would mean the same.
	ErrNotOffered = errors.New("peer: not offered")
)

// A Peer is a store that can be measured.
type Peer struct {
	// Name is short, and unique: "bbolt".
	Name string
	// Data, where not empty, is the name of the peer on whose stored data this
	// one works.
	Data string
	// About says in a line how it is used and tuned.
	About string
	// Module is the Go module whose version is reported.
	Module string
	// Only are patterns of path.Match for the workloads in which it takes part; an
	// empty list means all.
	Only []string
	// Floor says that the store does less than the job: it holds the bytes
	// and judges no lifetime. Its edits replace the whole product by a made
	// one.
	Floor bool
	// Open opens the store in a directory, which exists, and creates it there
	// the first time.
	Open func(ctx context.Context, dir string, o Options) (Store, error)
}

// Options of Open.
type Options struct {
	// Durable says that every write is on the disk before it returns: a power
	// cut takes nothing that was acknowledged. Without it a power cut may take
	// the last writes. Imports are durable when the store is closed, in both
	// modes.
	Durable bool
	// Offset is added to the time of the machine, in stores that let it; see
	// Store.Advance.
	Offset time.Duration
	// Edits are what the edits of this run write.
	Edits *dataset.Edits
	// Models are the products from which the floor makes its edits.
	Models *dataset.Set
}

// Clock is that of a store: the machine's, and what is added to it. It is safe
// for concurrent use.
type Clock struct{ offset atomic.Int64 }

// Advance moves the clock forward.
func (c *Clock) Advance(d time.Duration) { c.offset.Add(int64(d)) }

// Time returns the time.
func (c *Clock) Time() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// Now returns the time in Unix milliseconds.
func (c *Clock) Now() int64 { return c.Time().UnixMilli() }

// WriterCounter is a store that works better when it knows how many goroutines
// write at a time.
type WriterCounter interface {
	// ExpectWriters is called while nothing is written.
	ExpectWriters(n int)
}

// SweepPreparer is a store that must have noticed what has expired before it
// can sweep.
type SweepPreparer interface {
	// PrepareSweep waits until n expired products have been noticed.
	PrepareSweep(ctx context.Context, n int) error
}

// Store is an open store. Calls are concurrent, except Import, Sweep, Compact
// and Close. A key in a call belongs to the caller for as long as it likes.
type Store interface {
	// Import creates products that do not exist, in the store's fastest way.
	Import(ctx context.Context, products []dataset.Product) error
	// Create makes one product that does not exist.
	Create(ctx context.Context, p *dataset.Product) error
	// Edit replaces the metadata of a live product and nothing else, and loses
	// no concurrent edit. The metadata are the caller's again afterwards.
	Edit(ctx context.Context, k dataset.Key, metadata []byte) error
	// Use renews the lifetime of a live product and notes when it was used.
	Use(ctx context.Context, k dataset.Key) error
	// Get reads and decodes a live product. The result is for Product; it may
	// be nil unless keep is set.
	Get(ctx context.Context, k dataset.Key, keep bool) (any, error)
	// Page reads and decodes a page of a list; the same goes for its result.
	Page(ctx context.Context, p dataset.Page, keep bool) (any, error)
	// PutImage makes data the only image of a live product.
	PutImage(ctx context.Context, k dataset.Key, data []byte) error
	// GetImage appends the uploaded image of a live product to dst.
	GetImage(ctx context.Context, k dataset.Key, dst []byte) ([]byte, error)

	// Product returns what Get found; uploaded images have no URL.
	Product(got any) (dataset.Product, error)
	// Products returns what Page found.
	Products(page any) ([]dataset.Product, error)

	// Advance adds to Options.Offset, in stores that have one.
	Advance(d time.Duration)
	// Sweep removes everything that has expired, durably, and returns how much
	// that was since the store was opened.
	Sweep(ctx context.Context) (removed int, err error)
	// Compact gives back the space that is not needed.
	Compact(ctx context.Context) error
	// Close ends the use of the store; everything is durable then.
	Close() error
}

// Toucher is a store with a use that returns no product.
type Toucher interface {
	// Touch is Use, and returns nothing of the product but when it expires.
	Touch(ctx context.Context, k dataset.Key) error
}

// How says what is done with a product that is lent.
type How int

// What is done with it: nothing, all fields are read, its JSON is written.
const (
	Untouched How = iota
	Fields
	JSON
)

// Lender is a store that lends products to callers that only look, and reads many
// at once.
type Lender interface {
	// View looks at a live product, in the way how; with keep it returns what Get
	// returns. JSON is written to scratch, which is the caller's.
	View(ctx context.Context, k dataset.Key, how How, scratch *[]byte, keep bool) (any, error)
	// PageOfViews reads all fields of a page of a list; the same goes for its
	// result.
	PageOfViews(ctx context.Context, p dataset.Page, keep bool) (any, error)
	// GetMany reads and decodes products of one account, of which all live.
	GetMany(ctx context.Context, keys []dataset.Key, keep bool) (any, error)
	// WriteImage writes the uploaded image of a live product to w.
	WriteImage(ctx context.Context, k dataset.Key, w io.Writer) error
}
