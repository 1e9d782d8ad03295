package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"
	"unsafe"

	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
)

// ProductView is a product as it was at one instant, read where its stored form is
// in memory: nothing is decoded before it is asked for, and nothing is copied. It
// is lent. Neither it, nor what its methods return as bytes, may be used when the
// call or the step that it was given to has ended, and those bytes must never be
// changed: others read them too. [ProductView.Product] makes a product of one's
// own of it, and string(v.Title()) a string.
type ProductView struct {
	record encoding.RecordView
	// lastUsedAt and anchor have the pending use on top, other than the record.
	lastUsedAt, anchor int64
}

// view returns the view of the record, and fails where a product can't be made of
// it.
func (s *seen) view() (v ProductView, err error) {
	if s.shared {
		v.record = encoding.ViewChecked(s.data)
	} else if v.record, err = encoding.ViewRecord(s.data); err != nil {
		return ProductView{}, err
	}
	v.lastUsedAt, v.anchor = s.header.LastUsedAt, s.header.Anchor
	return v, nil
}

// header returns the front of the record, with the pending use on top.
func (v ProductView) header() encoding.Header {
	h := v.record.Header()
	h.LastUsedAt, h.Anchor = v.lastUsedAt, v.anchor
	return h
}

// ExternalID identifies the product within its account.
func (v ProductView) ExternalID() []byte { return v.record.ID() }

// Title is empty where none was given.
func (v ProductView) Title() []byte { return v.record.Title() }

// Description is empty where none was given.
func (v ProductView) Description() []byte { return v.record.Description() }

// Metadata is as in [Product].
func (v ProductView) Metadata() json.RawMessage { return v.record.Texts().Metadata }

// ValidForDays is as in [Product].
func (v ProductView) ValidForDays() int { return v.record.ValidForDays() }

// Listed is as in [Product].
func (v ProductView) Listed() bool { return v.record.Listed() }

// LastUsedAt is as in [Product].
func (v ProductView) LastUsedAt() time.Time { return timeOf(v.lastUsedAt) }

// ExpiresAt is as in [Product].
func (v ProductView) ExpiresAt() time.Time { return timeOf(v.expiresAt()) }

func (v ProductView) expiresAt() int64 { return encoding.ExpiresAt(v.anchor, v.record.ValidForDays()) }

// CreatedAt is as in [Product].
func (v ProductView) CreatedAt() time.Time { return timeOf(v.record.CreatedAt()) }

// UpdatedAt is as in [Product].
func (v ProductView) UpdatedAt() time.Time { return timeOf(v.record.UpdatedAt()) }

// Version is [Product.Version].
func (v ProductView) Version() Version {
	incarnation, edit := v.record.Version()
	return Version{incarnation, edit}
}

// ETag is [Product.ETag].
func (v ProductView) ETag() string { return string(v.AppendETag(make([]byte, 0, etagSize))) }

// AppendETag appends what ETag returns.
func (v ProductView) AppendETag(dst []byte) []byte {
	return appendETag(dst, v.Version(), v.lastUsedAt, v.expiresAt())
}

// HasUploads is [Product.HasUploads].
func (v ProductView) HasUploads() bool {
	images := v.record.Images()
	var image encoding.ImageView
	for images.NextView(&image) {
		if len(image.Upload().ContentType) > 0 {
			return true
		}
	}
	return false
}

// ImageCount returns how many images the product has.
func (v ProductView) ImageCount() int {
	images := v.record.Images()
	return images.Len()
}

// Images yields the images in display order. Each is lent as v is.
func (v ProductView) Images() iter.Seq[ImageView] {
	return func(yield func(ImageView) bool) { v.eachImage(yield) }
}

func (v ProductView) eachImage(yield func(ImageView) bool) {
	images := v.record.Images()
	i := ImageView{}
	for images.NextView(&i.image) {
		if !yield(i) {
			return
		}
		i.order++
	}
}

// Product returns the product, which is the caller's own.
func (v ProductView) Product() *Product {
	s := seen{data: v.record.Clone(), header: v.header()}
	// It fails for what is damaged, of which there is no view.
	p, _ := s.product()
	return p
}

// AppendJSON is [Product.AppendJSON].
func (v ProductView) AppendJSON(dst []byte) []byte { return v.appendJSON(dst, nil) }

// AppendJSONWithHref is [Product.AppendJSONWithHref].
func (v ProductView) AppendJSONWithHref(dst []byte, imagesPath func() string) []byte {
	return v.appendJSON(dst, imagesPath)
}

// ImageView is one image of a [ProductView], lent as that is.
type ImageView struct {
	image encoding.ImageView
	order int
}

// SourceURL is as in [Image].
func (i ImageView) SourceURL() []byte {
	if u := i.image.Upload(); !u.Blob.IsZero() {
		return appendUploadURL(nil, u.Blob)
	}
	return i.image.URL()
}

func appendUploadURL(dst []byte, id encoding.BlobID) []byte {
	return append(append(dst, uploadScheme...), id.String()...)
}

// Uploaded is [Image.Uploaded].
func (i ImageView) Uploaded() bool { return !i.image.Upload().Blob.IsZero() }

// Order is the position among the images, from 0.
func (i ImageView) Order() int { return i.order }

// Classifications is as in [Image].
func (i ImageView) Classifications() json.RawMessage { return i.image.Classifications() }

// ContentType is as in [Image].
func (i ImageView) ContentType() []byte { return i.image.Upload().ContentType }

// Size is as in [Image].
func (i ImageView) Size() int64 { return i.image.Upload().Size }

// Width and Height are as in [Image].
func (i ImageView) Width() int { return i.image.Upload().Width }

// Height is as Width.
func (i ImageView) Height() int { return i.image.Upload().Height }

// View calls fn with a live product, listed or not, or fails with ErrNotFound. It
// is [Catalog.Get] for a caller that only looks: one whose record is in memory
// costs no allocation.
//
// fn runs once, when it is decided that the product lives. It may take its time
// and may read from the catalog and write to it: the view is of memory that the store
// knows nothing of, no edit changes it, and it keeps no file of the store from
// being removed. But fn must not call Close, which waits for it; what it reads from
// a catalog that is being closed fails with ErrClosed. Its error is returned as it
// is.
func (c *Catalog) View(ctx context.Context, account, externalID string, fn func(ProductView) error) error {
	ctx, call := c.begin(ctx, OpGet)
	var own error
	err := c.view(ctx, account, externalID, func(v ProductView) error {
		own = fn(v)
		return nil
	})
	if err != nil {
		return call.end(c.wrap("view", externalID, err))
	}
	_ = call.end(nil)
	return own
}

// view is View without the form of errors that callers see.
func (c *Catalog) view(ctx context.Context, account, id string, fn func(ProductView) error) error {
	if err := checkNames(account, id); err != nil {
		return err
	}
	if err := c.calls.Enter(); err != nil {
		return err
	}
	defer c.calls.Exit()
	s := seen{lends: true}
	defer c.endLoan(&s)
	if err := c.lookLive(ctx, productkey.Of(account, id), &s); err != nil {
		return err
	}
	v, err := s.view()
	if err != nil {
		return err
	}
	return fn(v)
}

// ErrEndPage is returned by a callback of [Catalog.ListViews] to have the page end
// before the product that it was given, as if that were one more than the limit.
// For the first product of a page it is an error like any other, since there is no
// position before it.
var ErrEndPage = errors.New("the page ends before this product")

// errStopped ends a walk for an error that its caller has.
var errStopped = errors.New("stopped by the callback")

// ListViews calls fn with the products of a page, one after the other: it is
// [Catalog.List] for a caller that only looks. Each view is lent until fn returns.
//
// The page holds a read of the store open until it ends, and with it, on some
// engines, one of few connections, and files that have been replaced since: let fn
// be quick, as one that appends to memory. It may call the catalog, but for Close,
// which waits for it; a catalog that is being closed has the page fail with
// ErrClosed. The first error of fn ends the page and is returned as it is, but for
// [ErrEndPage].
func (c *Catalog) ListViews(ctx context.Context, account string, o ListOptions, fn func(ProductView) error) (PageInfo, error) {
	ctx, call := c.begin(ctx, OpList)
	var own error
	var json []byte
	count, size := 0, 0
	info, err := c.walkPage(ctx, account, &o, func(s *seen) (taken bool, err error) {
		v, err := s.view()
		if err != nil {
			return false, err
		}
		if o.MaxBytes > 0 {
			json = v.AppendJSON(json[:0])
			if size += len(json); count > 0 && size > o.MaxBytes {
				return false, nil
			}
			size += len(",")
		}
		switch err := fn(v); {
		case err == nil:
			count++
			return true, nil
		case count > 0 && errors.Is(err, ErrEndPage):
			return false, nil
		default:
			own = err
			return false, errStopped
		}
	})
	if own != nil {
		_ = call.end(nil) // it is fn's
		return PageInfo{}, own
	}
	return info, call.end(c.wrap("list", "", err))
}

// AllViews is [Catalog.All] for a caller that only looks: each view is lent until
// the next step. That of a step with an error is the zero ProductView, which must
// not be used.
func (c *Catalog) AllViews(ctx context.Context, account string, o AllOptions) iter.Seq2[ProductView, error] {
	return func(yield func(ProductView, error) bool) {
		ctx, call := c.begin(ctx, OpAll)
		var last error
		defer func() { _ = call.end(last) }()
		for s, err := range c.all(ctx, account, o, false) {
			var v ProductView
			if err == nil {
				v, err = s.view()
				err = damageOf(account, s.key, err)
			}
			last = c.wrap("list all", "", err)
			if !yield(v, last) || err != nil && !(o.PastDamage && isDamage(err)) {
				return
			}
			last = nil
		}
	}
}

// alias returns b as a string that shares its memory, and bytesOf the reverse.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}
