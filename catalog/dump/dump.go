package dump

import "errors"

// ErrNotIntact says that the input is not a dump, is cut off, or was changed.
var ErrNotIntact = errors.New("not an intact dump")

// ErrExists says that the catalog has products of the dump in another version, and
// that these were not loaded: see Options.Existing.
var ErrExists = errors.New("the store has products in another version than the dump")

// Existing says what Load does with a product that the catalog has in another
// version: one that was edited there or here since, or another product with the ID.
type Existing uint8

// What becomes of such products.
const (
	// Refuse leaves them as they are, and has Load return ErrExists when it has
	// loaded all others.
	Refuse Existing = iota
	// Keep leaves them as they are.
	Keep
	// Replace takes the dump's. A condition on a version that was replaced fails
	// from then on. Where it is the same product, uses that the catalog knows stay.
	Replace
)

// Options say how to dump and load. The zero value, and nil, are the safe ones.
type Options struct {
	// Existing is what Load does with products that the catalog has in another
	// version. Default: Refuse.
	Existing Existing
	// PastDamage has Write leave out products that can't be read, or whose images
	// can't. Their number is in the dump. It reads images twice. Default: false,
	// damage ends it.
	PastDamage bool
	// Report is called with each product that Write leaves out, with an error that
	// matches catalog.ErrDamaged, and each that Load refuses, with ErrExists; by one
	// goroutine at a time. The ID is "" where several may be concerned, which the
	// error says. Default: nil, they are only counted.
	Report func(account, externalID string, err error)
	// TempDir is where Write keeps what it has to know of more images than fit into
	// some 10 MiB: 72 bytes of each at most. Default: that of the system.
	TempDir string
}

// Info says what a dump holds and, of Load, what became of it.
type Info struct {
	Accounts, Products int
	// Images counts the stored images, equal ones of all products once, and
	// ImageBytes their bytes.
	Images     int
	ImageBytes int64
	// LeftOut counts what Write has left out for damage.
	LeftOut int
	// Bytes is the length of the dump.
	Bytes int64

	// Created products were not in the catalog. Unchanged ones were, in the version
	// of the dump; so were Used ones, but used or renewed earlier than in the dump,
	// and now as late. Replaced, Kept and Refused ones were in another version: see
	// Options.Existing. Expired ones have expired since the dump, and were not
	// loaded.
	Created, Unchanged, Used, Replaced, Kept, Refused, Expired int
}
