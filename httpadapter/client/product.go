package client

import (
	"encoding/json"
	"time"
)

// Product is a product as the server answered with it.
type Product struct {
	ExternalID  string  `json:"externalId"`
	Title       string  `json:"title"`
	Description string  `json:"description"`
	Images      []Image `json:"images"`
	// Metadata is any JSON value, byte for byte as it was stored; nil if there is
	// none.
	Metadata json.RawMessage `json:"metadata"`
	// ValidForDays is how many days the product lives from its creation, its last use
	// or the last upsert with a number for it, whichever is latest; 0 is for ever.
	ValidForDays int `json:"validForDays"`
	// Listed reports whether lists have it.
	Listed bool `json:"listed"`
	// LastUsedAt is the zero time if it was never used, ExpiresAt if it is kept.
	LastUsedAt time.Time `json:"lastUsedAt"`
	ExpiresAt  time.Time `json:"expiresAt"`
	CreatedAt  time.Time `json:"createdAt"`
	UpdatedAt  time.Time `json:"updatedAt"`
	// Version names the last edit, for [IfVersion].
	Version string `json:"version"`
}

// Image is an image of a [Product].
type Image struct {
	// SourceURL is a URL, or upload://… of an uploaded image.
	SourceURL string `json:"sourceUrl"`
	Order     int    `json:"order"`
	// Classifications is a JSON object; nil if there is none.
	Classifications json.RawMessage `json:"classifications"`
	// The rest is known of uploaded images alone.
	ContentType string `json:"contentType"`
	Size        int64  `json:"size"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	// Href is the path of its bytes, which [Client.OpenImage] reads.
	Href string `json:"href"`
}

// Uploaded reports whether the server has the bytes of the image.
func (i *Image) Uploaded() bool { return i.ContentType != "" }

// UnmarshalJSON reads the form in which the server answers.
func (p *Product) UnmarshalJSON(text []byte) error {
	type plain Product
	if err := json.Unmarshal(text, (*plain)(p)); err != nil {
		return err
	}
	if string(p.Metadata) == "null" {
		p.Metadata = nil
	}
	return nil
}
