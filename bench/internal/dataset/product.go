// Package dataset makes the products that every peer stores: the same ones for
// the same seed, each computed from its number alone, so that millions of them
// take no memory and any stored product can be checked against the original.
package dataset

import (
	"bytes"
	"fmt"
)

// A Key identifies a product.
type Key struct {
	Account, ID string
}

// A Product is what the peers store. Everything but the metadata stays as it
// was made for the life of a run.
type Product struct {
	Key
	Title, Description string
	Images             []Image
	// Metadata is compact JSON.
	Metadata []byte
	// Used reports whether the product was used since it was made. Same does not
	// look at it.
	Used bool
	// ValidForDays is the lifetime between uses, 0 for ever.
	ValidForDays int
}

// An Image is one image of a Product, by URL.
type Image struct {
	URL string
	// Classifications is a compact JSON object, nil for none.
	Classifications []byte
}

// Same returns nil if got says the same as want, and otherwise an error that
// names the first field that differs.
func Same(want, got *Product) error {
	for _, f := range []struct {
		name      string
		want, got string
	}{
		{"account", want.Account, got.Account},
		{"id", want.ID, got.ID},
		{"title", want.Title, got.Title},
		{"description", want.Description, got.Description},
		{"metadata", string(want.Metadata), string(got.Metadata)},
	} {
		if f.want != f.got {
			return fmt.Errorf("dataset: product %q: %s is %.300q, want %.300q", want.ID, f.name, f.got, f.want)
		}
	}
	if want.ValidForDays != got.ValidForDays {
		return fmt.Errorf("dataset: product %q: lifetime is %d, want %d", want.ID, got.ValidForDays, want.ValidForDays)
	}
	if len(want.Images) != len(got.Images) {
		return fmt.Errorf("dataset: product %q: %d images, want %d", want.ID, len(got.Images), len(want.Images))
	}
	for i := range want.Images {
		w, g := &want.Images[i], &got.Images[i]
		if w.URL != g.URL || !bytes.Equal(w.Classifications, g.Classifications) {
			return fmt.Errorf("dataset: product %q: image %d is %q %s, want %q %s",
				want.ID, i, g.URL, g.Classifications, w.URL, w.Classifications)
		}
	}
	return nil
}
