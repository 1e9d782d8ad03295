package catalog

import "encoding/json"

// Optional is a field of a [Patch]: absent (the zero value), null, or a value.
// The three mean different things; see [Patch].
type Optional[T any] struct {
	value T
	state optionalState
}

type optionalState uint8

const (
	absent optionalState = iota
	null
	set
)

// Set returns an Optional that holds v.
func Set[T any](v T) Optional[T] { return Optional[T]{value: v, state: set} }

// Null returns an Optional that is explicitly null.
func Null[T any]() Optional[T] { return Optional[T]{state: null} }

// Get returns the value and whether there is one: false for absent and null.
func (o Optional[T]) Get() (v T, ok bool) { return o.value, o.state == set }

// IsNull reports whether o is explicitly null.
func (o Optional[T]) IsNull() bool { return o.state == null }

// IsAbsent reports whether o says nothing: the zero value.
func (o Optional[T]) IsAbsent() bool { return o.state == absent }

// Patch says what an upsert sets. An absent field keeps what is stored when
// the upsert edits, and means the default when it creates:
//
//	field         absent, creating   absent, editing   null
//	Title         ""                 kept              refused
//	Description   ""                 kept              refused
//	Images        refused            kept              refused
//	Metadata      none               kept              cleared
//	ValidForDays  see the methods    kept              kept forever
//
// [Product.Patch] gives the patch of a product that was read. A patch has the
// JSON form that package productjson reads: see [Patch.AppendJSON].
type Patch struct {
	// Title is at most Limits.TitleLength code points.
	Title Optional[string]
	// Description is at most Limits.DescriptionLength code points.
	Description Optional[string]
	// Images replaces all images of the product: 1 to Limits.Images of them,
	// in display order.
	Images Optional[[]NewImage]
	// Metadata is any JSON value of at most Limits.MetadataBytes compact, with
	// no duplicate names and no lone surrogates. Null, the JSON value null and
	// a nil RawMessage, which is what a Product without metadata has, clear it. A
	// RawMessage that is empty and not nil is no JSON, and refused.
	Metadata Optional[json.RawMessage]
	// ValidForDays is the lifetime between uses, 1 to 365 days of 24 hours, or
	// null for a product that is kept forever, for which Product.ValidForDays is 0.
	// Setting a number restarts the lifetime, even if it is the stored one.
	ValidForDays Optional[int]
}

// IsEmpty reports whether the patch sets nothing.
func (p Patch) IsEmpty() bool {
	return p.Title.IsAbsent() && p.Description.IsAbsent() && p.Images.IsAbsent() &&
		p.Metadata.IsAbsent() && p.ValidForDays.IsAbsent()
}

// NewImage is one image of a [Patch]. Exactly one of URL, Upload and Staged
// must be given.
type NewImage struct {
	// URL is an absolute http or https URL with a host, at most
	// Limits.URLBytes long, kept byte for byte; the catalog never fetches it.
	// Package catalog says which are accepted. The SourceURL of an
	// uploaded image that the product has now keeps its bytes; that of any
	// other image is refused.
	URL string
	// Upload is the image's bytes. One Upload may serve several images of a
	// patch; its bytes are stored once. An image that has equal bytes at its
	// position already keeps those, and does not count as changed.
	Upload *Upload
	// Staged is the reference of bytes that StageImage took in for the same
	// account. One product can claim it, for as many of its images as refer to
	// it in one patch; from then on they are kept by their SourceURL, and for
	// that product the reference is still good while it has them. Bytes equal to
	// those that the image at the position has already are left unclaimed, and
	// vanish as if nothing had claimed them.
	Staged StagedRef
	// Classifications is a JSON object of at most Limits.ClassificationBytes
	// compact; nil and null mean none, also for an image that is kept:
	// Image.NewImage gives them again. Empty and not nil is no JSON, and refused.
	Classifications json.RawMessage
}

// StagedRef names staged image bytes; see [Catalog.StageImage]. It is not a
// secret, but of use within its account only.
type StagedRef string
