package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

var _ json.Marshaler = Product{}

// timeLayout is RFC 3339 with exactly three digits of a second.
const timeLayout = "2006-01-02T15:04:05.000Z"

// AppendJSON appends the compact JSON form of the product: all names always
// present and null when empty, except that of an image only sourceUrl and
// order are always present. Metadata and classifications are copied as they
// are.
func (p *Product) AppendJSON(dst []byte) []byte { return p.appendJSON(dst, "") }

// AppendJSONWithHref is AppendJSON with an href for each image that was uploaded:
// imagesPath, which is written as it is, and the image's order behind a slash.
func (p *Product) AppendJSONWithHref(dst []byte, imagesPath string) []byte {
	return p.appendJSON(dst, imagesPath)
}

// HasUploads reports whether any image of the product was uploaded.
func (p *Product) HasUploads() bool {
	return slices.ContainsFunc(p.Images, func(i Image) bool { return i.ContentType != "" })
}

// appendJSON is AppendJSONWithHref; an empty imagesPath leaves href out.
func (p *Product) appendJSON(dst []byte, imagesPath string) []byte {
	dst = append(dst, `{"externalId":`...)
	dst = appendString(dst, p.ExternalID)
	dst = append(dst, `,"title":`...)
	dst = appendString(dst, p.Title)
	dst = append(dst, `,"description":`...)
	dst = appendString(dst, p.Description)
	dst = append(dst, `,"images":[`...)
	for i := range p.Images {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = p.Images[i].appendJSON(dst, imagesPath)
	}
	dst = append(dst, `],"metadata":`...)
	if p.Metadata == nil {
		dst = append(dst, `null`...)
	} else {
		dst = append(dst, p.Metadata...)
	}
	dst = append(dst, `,"validForDays":`...)
	if p.ValidForDays == 0 {
		dst = append(dst, `null`...)
	} else {
		dst = strconv.AppendInt(dst, int64(p.ValidForDays), 10)
	}
	dst = append(dst, `,"listed":`...)
	dst = strconv.AppendBool(dst, p.Listed)
	dst = append(dst, `,"lastUsedAt":`...)
	dst = appendTime(dst, p.LastUsedAt)
	dst = append(dst, `,"expiresAt":`...)
	dst = appendTime(dst, p.ExpiresAt)
	dst = append(dst, `,"createdAt":`...)
	dst = appendTime(dst, p.CreatedAt)
	dst = append(dst, `,"updatedAt":`...)
	dst = appendTime(dst, p.UpdatedAt)
	dst = append(dst, `,"version":"`...)
	dst = p.version.append(dst)
	return append(dst, `"}`...)
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

func (i *Image) appendJSON(dst []byte, imagesPath string) []byte {
	dst = append(dst, `{"sourceUrl":`...)
	dst = appendString(dst, i.SourceURL)
	dst = append(dst, `,"order":`...)
	dst = strconv.AppendInt(dst, int64(i.Order), 10)
	if i.Classifications != nil {
		dst = append(dst, `,"classifications":`...)
		dst = append(dst, i.Classifications...)
	}
	if i.ContentType != "" {
		dst = append(dst, `,"contentType":`...)
		dst = appendString(dst, i.ContentType)
		dst = append(dst, `,"size":`...)
		dst = strconv.AppendInt(dst, i.Size, 10)
		dst = append(dst, `,"width":`...)
		dst = strconv.AppendInt(dst, int64(i.Width), 10)
		dst = append(dst, `,"height":`...)
		dst = strconv.AppendInt(dst, int64(i.Height), 10)
		if imagesPath != "" {
			dst = append(dst, `,"href":`...)
			dst = appendString(dst, imagesPath+"/"+strconv.Itoa(i.Order))
		}
	}
	return append(dst, '}')
}

// appendString quotes s. The catalog stores valid UTF-8 only, for which
// quoting cannot fail; in a product that a caller changed, invalid bytes
// become U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, `null`...)
	}
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, timeLayout)
	return append(dst, '"')
}
