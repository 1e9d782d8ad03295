package peer

import (
	"fmt"
	"time"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/encoding"
)

// Day is the unit of lifetimes.
const Day = 24 * time.Hour

// NewRecord returns the record of a product that was created at now, in Unix
// milliseconds. The stores of bytes all keep products as Shelflife's records,
// so that engines are compared and not codecs.
func NewRecord(p *dataset.Product, now int64) *encoding.Record {
	r := &encoding.Record{
		Listed: true, Incarnation: 1, Edit: 1, Revision: 1,
		CreatedAt: now, UpdatedAt: now, LastUsedAt: encoding.None, Anchor: now, ValidForDays: p.ValidForDays,
		Account: p.Account, ID: p.ID, Title: p.Title, Description: p.Description, Metadata: p.Metadata,
		Images: make([]encoding.Image, len(p.Images)),
	}
	r.IndexedAt = r.ExpiresAt()
	for i, im := range p.Images {
		r.Images[i] = encoding.Image{URL: im.URL, Classifications: im.Classifications}
	}
	return r
}

// Decode sets r to the record in data, which it may refer to. It leaves out the
// checksum, which is Shelflife's own care: no peer pays for it.
func Decode(data []byte, r *encoding.Record) error {
	images, err := encoding.BeginRecord(data, r)
	if err != nil {
		return err
	}
	return images.Rest(r)
}

// FromRecord returns the product in a record.
func FromRecord(r *encoding.Record) dataset.Product {
	p := dataset.Product{
		Key:   dataset.Key{Account: r.Account, ID: r.ID},
		Title: r.Title, Description: r.Description, Metadata: r.Metadata, ValidForDays: r.ValidForDays,
		Used: r.LastUsedAt != encoding.None, Images: make([]dataset.Image, len(r.Images)),
	}
	for i, im := range r.Images {
		p.Images[i] = dataset.Image{URL: im.URL, Classifications: im.Classifications}
	}
	return p
}

// Live reports whether a record has not expired.
func Live(r *encoding.Record, now int64) bool {
	return r.ExpiresAt() == encoding.None || now < r.ExpiresAt()
}

// Edited changes the metadata of r.
func Edited(r *encoding.Record, metadata []byte, now int64) {
	r.Metadata, r.UpdatedAt = metadata, now
	r.Edit++
	r.Revision++
}

// Used notes a use in r.
func Used(r *encoding.Record, now int64) {
	r.LastUsedAt, r.Anchor = now, now
	r.IndexedAt = r.ExpiresAt()
}

// Photographed makes data, which are stored elsewhere, the only image of r.
func Photographed(r *encoding.Record, data []byte, now int64) {
	r.Images = []encoding.Image{{ContentType: "image/png", Size: int64(len(data))}}
	r.UpdatedAt = now
	r.Edit++
	r.Revision++
}

// ProductOf returns the product in a result of Get that is a record.
func ProductOf(got any) (dataset.Product, error) {
	r, ok := got.(*encoding.Record)
	if !ok || r == nil {
		return dataset.Product{}, fmt.Errorf("peer: %T is no record", got)
	}
	return FromRecord(r), nil
}

// ProductsOf returns the products in a result of Page that is records.
func ProductsOf(page any) ([]dataset.Product, error) {
	records, ok := page.([]*encoding.Record)
	if !ok {
		return nil, fmt.Errorf("peer: %T is no list of records", page)
	}
	out := make([]dataset.Product, len(records))
	for i, r := range records {
		out[i] = FromRecord(r)
	}
	return out, nil
}
