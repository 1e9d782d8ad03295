package catalog

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

var _ json.Marshaler = Product{}

// AppendJSON appends the compact JSON form of the product: all names always
// present and null when empty, except that of an image only sourceUrl and
// order are always present. Metadata and classifications are copied as they
// are.
func (p *Product) AppendJSON(dst []byte) []byte { return p.appendJSON(dst, nil) }

// AppendJSONWithHref is AppendJSON with an href for each image that was uploaded: what
// imagesPath returns, which is written as it is, and the image's order behind a slash.
// imagesPath is called once, when the first such image is met, and never for a
// product without one.
func (p *Product) AppendJSONWithHref(dst []byte, imagesPath func() string) []byte {
	return p.appendJSON(dst, imagesPath)
}

// HasUploads reports whether any image of the product was uploaded.
func (p *Product) HasUploads() bool {
	return slices.ContainsFunc(p.Images, func(i Image) bool { return i.ContentType != "" })
}

// appendJSON is AppendJSONWithHref; a nil imagesPath leaves href out.
func (p *Product) appendJSON(dst []byte, imagesPath func() string) []byte {
	hrefs := hrefs{of: imagesPath}
	dst = appendTexts(dst, bytesOf(p.ExternalID), bytesOf(p.Title), bytesOf(p.Description), false)
	for i := range p.Images {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = p.Images[i].appendJSON(dst, &hrefs)
	}
	rest := jsonFields{
		p.Metadata, p.ValidForDays, p.Listed,
		jsonMillisOf(p.LastUsedAt), jsonMillisOf(p.ExpiresAt), jsonMillisOf(p.CreatedAt), jsonMillisOf(p.UpdatedAt), p.version,
	}
	return rest.append(dst)
}

// MarshalJSON returns the form of [Product.AppendJSON]. Encoders may change
// what it returns: encoding/json escapes <, > and & unless told not to. Where
// metadata must stay byte for byte, use AppendJSON. It is a method of the value,
// so that a Product has this form however it is held.
func (p Product) MarshalJSON() ([]byte, error) {
	for _, s := range []string{p.ExternalID, p.Title, p.Description} {
		if _, err := jsontext.AppendQuote(nil, s); err != nil {
			return nil, fmt.Errorf("shelflife: product %q: %w", p.ExternalID, err)
		}
	}
	return p.AppendJSON(nil), nil
}

func (i *Image) appendJSON(dst []byte, hrefs *hrefs) []byte {
	dst = append(dst, `{"sourceUrl":`...)
	dst = appendText(dst, bytesOf(i.SourceURL), false)
	dst = appendPlace(dst, i.Order, i.Classifications)
	if i.ContentType != "" {
		rest := jsonUpload{bytesOf(i.ContentType), i.Size, i.Width, i.Height}
		dst = rest.append(dst, i.Order, hrefs, false)
	}
	return append(dst, '}')
}
