package catalog

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shelflife-db/shelflife/encoding"
)

// Product is a product as it was at one instant. It belongs to the caller:
// changing it affects nothing else. Its times are UTC with millisecond
// precision.
type Product struct {
	// ExternalID identifies the product within its account.
	ExternalID string
	// Title and Description are "" where none was given.
	Title, Description string
	// Images are in display order; there is at least one.
	Images []Image
	// Metadata is compact JSON, byte for byte as it was given apart from
	// insignificant white space; nil where there is none.
	Metadata json.RawMessage
	// ValidForDays is the lifetime between uses in days of 24 hours; 0 means
	// that the product is kept forever.
	ValidForDays int
	// Listed reports whether the product appears in lists by default.
	Listed bool
	// LastUsedAt is the zero time for a product never used, ExpiresAt for one
	// that is kept forever.
	LastUsedAt, ExpiresAt time.Time
	// UpdatedAt moves when an edit changed something, never on a use.
	CreatedAt, UpdatedAt time.Time

	version Version
}

// Image is one image of a Product.
type Image struct {
	// SourceURL is the URL that was given, or "upload://" and an opaque ID for
	// uploaded bytes, which OpenImage reads.
	SourceURL string
	// Order is the position in Product.Images, from 0.
	Order int
	// Classifications is a compact JSON object, nil where none was given.
	Classifications json.RawMessage
	// ContentType, Size in bytes, Width and Height in stored pixels are known
	// for uploaded bytes and zero otherwise.
	ContentType   string
	Size          int64
	Width, Height int
}

// Uploaded reports whether the catalog holds the bytes of the image.
func (i Image) Uploaded() bool { return strings.HasPrefix(i.SourceURL, uploadScheme) }

// NewImage returns the image as a patch gives it, to keep it in a list of
// others: with its bytes, if it has any, and its classifications.
func (i Image) NewImage() NewImage {
	return NewImage{URL: i.SourceURL, Classifications: i.Classifications}
}

// Version names one edit of one product, for [IfVersion]. It is opaque and
// never names two edits, not even of a product that was deleted and created
// again. Uses and renewals of the lifetime keep it. The zero Version names no
// edit.
type Version struct {
	incarnation, edit uint64
}

const (
	versionLength = 22 // 16 bytes in base64
	// etagFormat is raised whenever the same product begins to be written as other
	// JSON, so that a tag never names two representations. What clients have kept from
	// before, of oldestETagFormat and later ones, still names a version.
	etagFormat       = 2
	oldestETagFormat = 2
)

// String returns a form of v that [ParseVersion] reads, and that the JSON form of
// a product has as its version.
func (v Version) String() string { return string(v.append(nil)) }

func (v Version) append(dst []byte) []byte {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], v.incarnation)
	binary.BigEndian.PutUint64(raw[8:], v.edit)
	return base64.RawURLEncoding.AppendEncode(dst, raw[:])
}

// ParseVersion reads what [Version.String] returned; ok is false for any other
// string.
func ParseVersion(s string) (v Version, ok bool) {
	var raw [16]byte
	if len(s) != versionLength {
		return Version{}, false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(s))
	if err != nil || n != len(raw) {
		return Version{}, false
	}
	return Version{binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])}, true
}

// MarshalText returns what String does, so that a version kept as JSON is not
// lost.
func (v Version) MarshalText() ([]byte, error) { return v.append(nil), nil }

// UnmarshalText reads what MarshalText returned.
func (v *Version) UnmarshalText(text []byte) error {
	parsed, ok := ParseVersion(string(text))
	if !ok {
		return fmt.Errorf("shelflife: %q is no version", text)
	}
	*v = parsed
	return nil
}

// versionOf returns the version of a record.
func versionOf(r *encoding.Record) Version { return Version{r.Incarnation, r.Edit} }

// Version returns the version of the product.
func (p *Product) Version() Version { return p.version }

// ETag returns a strong entity tag of the product's JSON form, quotes
// included. It changes with every byte of that form, a use included;
// [ETagVersion] gives back the part that only edits change.
func (p *Product) ETag() string {
	return string(appendETag(make([]byte, 0, etagSize), p.version, millisOf(p.LastUsedAt), millisOf(p.ExpiresAt)))
}

// ETagVersion returns the version that a tag made by [Product.ETag] is of; ok
// is false for any other string.
func ETagVersion(etag string) (v Version, ok bool) {
	inner, ok := strings.CutPrefix(etag, `"`)
	if !ok {
		return Version{}, false
	}
	inner, ok = strings.CutSuffix(inner, `"`)
	if !ok {
		return Version{}, false
	}
	parts := strings.Split(inner, ".")
	if len(parts) != 4 {
		return Version{}, false
	}
	format, err := strconv.Atoi(parts[1])
	if err != nil || format < oldestETagFormat || format > etagFormat || strconv.Itoa(format) != parts[1] {
		return Version{}, false
	}
	for _, p := range parts[2:] {
		if ms, err := strconv.ParseInt(p, 36, 64); err != nil || strconv.FormatInt(ms, 36) != p {
			return Version{}, false
		}
	}
	return ParseVersion(parts[0])
}

// inlineImages is how many images share an allocation with their product: most
// have no more.
const inlineImages = 4

// productMemory is a product with its images.
type productMemory struct {
	product Product
	images  [inlineImages]Image
}

// newProduct makes a product of r with raw JSON of its own. Strings are shared,
// they can't be changed.
func newProduct(r *encoding.Record) *Product {
	m := new(productMemory)
	m.product.Images = m.imagesOf(len(r.Images))
	for i := range r.Images {
		m.product.Images[i].set(i, &r.Images[i])
	}
	m.product.set(r)
	m.product.copyRaw()
	return &m.product
}

// decode sets the product, which is zero, to the record that has been decoded
// but for its images. It shares the memory of the record.
func (m *productMemory) decode(r *encoding.Record, images encoding.Images) error {
	list := m.imagesOf(images.Len())
	var img encoding.Image
	for i := 0; images.Next(&img); i++ {
		list[i].set(i, &img)
	}
	if err := images.End(); err != nil {
		return err
	}
	m.product.Images = list
	m.product.set(r)
	return nil
}

// imagesOf returns memory for n images.
func (m *productMemory) imagesOf(n int) []Image {
	if n <= len(m.images) {
		return m.images[:n:n]
	}
	return make([]Image, n)
}

// set sets all fields but the images.
func (p *Product) set(r *encoding.Record) {
	p.ExternalID = r.ID
	p.Title = r.Title
	p.Description = r.Description
	p.Metadata = r.Metadata
	p.ValidForDays = r.ValidForDays
	p.Listed = r.Listed
	p.LastUsedAt = timeOf(r.LastUsedAt)
	p.ExpiresAt = timeOf(r.ExpiresAt())
	p.CreatedAt = timeOf(r.CreatedAt)
	p.UpdatedAt = timeOf(r.UpdatedAt)
	p.version = versionOf(r)
}

// set sets the image, which is zero, to the one at the position order.
func (i *Image) set(order int, from *encoding.Image) {
	i.SourceURL = from.URL
	i.Order = order
	i.Classifications = from.Classifications
	i.ContentType = from.ContentType
	i.Size = from.Size
	i.Width = from.Width
	i.Height = from.Height
	if !from.Blob.IsZero() {
		i.SourceURL = uploadScheme + from.Blob.String()
	}
}

// copyRaw gives p raw JSON of its own.
func (p *Product) copyRaw() {
	size := len(p.Metadata)
	for i := range p.Images {
		size += len(p.Images[i].Classifications)
	}
	raw := make(rawCopies, 0, size)
	p.Metadata = raw.copy(p.Metadata)
	for i := range p.Images {
		p.Images[i].Classifications = raw.copy(p.Images[i].Classifications)
	}
}

// rawCopies is memory for copies of raw JSON. Its capacity is that of all
// copies together.
type rawCopies []byte

// copy returns a copy of raw that can't grow into its neighbour, nil of nil.
func (c *rawCopies) copy(raw []byte) json.RawMessage {
	if raw == nil {
		return nil
	}
	begin := len(*c)
	*c = append(*c, raw...)
	return json.RawMessage((*c)[begin:len(*c):len(*c)])
}

// timeOf and millisOf translate between Unix milliseconds and time.Time;
// encoding.None is the zero time.
func timeOf(ms int64) time.Time {
	if ms == encoding.None {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func millisOf(t time.Time) int64 {
	if t.IsZero() {
		return encoding.None
	}
	return t.UnixMilli()
}
