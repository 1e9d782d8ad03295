package httppeer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
)

// importBatch is how many products a store gets at a time.
const importBatch = 1000

// Shelflife returns the HTTP adapter on the catalog on Pebble.
func Shelflife() Peer {
	return Peer{
		Name: "shelflife-http", Module: "github.com/shelflife-db/shelflife",
		About: "httpadapter on catalog on backend/pebble; edits and uses durable",
		Open:  openShelflife,
	}
}

type shelflife struct {
	*httpadapter.Handler
	catalog *catalog.Catalog
	data    Data
}

var (
	_ Server  = (*shelflife)(nil)
	_ Lister  = (*shelflife)(nil)
	_ Gallery = (*shelflife)(nil)
)

func openShelflife(ctx context.Context, dir string, d Data) (Server, error) {
	store, err := pebble.Open(ctx, dir, nil)
	if err != nil {
		return nil, err
	}
	c, err := catalog.Open(ctx, store, &catalog.Options{UseWindow: catalog.NoUseWindow})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	s, err := serve(ctx, c, d)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return s, nil
}

// serve fills an empty catalog and serves it.
func serve(ctx context.Context, c *catalog.Catalog, d Data) (*shelflife, error) {
	for begin := 0; begin < d.Set.Len(); begin += importBatch {
		if err := fill(ctx, c, d.Set.Batch(begin, begin+importBatch)); err != nil {
			return nil, err
		}
	}
	for _, k := range d.Photos.Keys() {
		images := []catalog.NewImage{{Upload: catalog.NewUpload(bytes.NewReader(d.Image))}}
		if _, err := c.Upsert(ctx, k.Account, k.ID, catalog.Patch{Images: catalog.Set(images)}); err != nil {
			return nil, err
		}
	}
	h, err := httpadapter.New(c, &httpadapter.Options{Authenticate: authenticate})
	if err != nil {
		return nil, err
	}
	return &shelflife{h, c, d}, nil
}

func fill(ctx context.Context, c *catalog.Catalog, products []dataset.Product) error {
	for _, p := range products {
		patch := catalog.Patch{Title: catalog.Set(p.Title), Description: catalog.Set(p.Description)}
		images := make([]catalog.NewImage, len(p.Images))
		for i, im := range p.Images {
			images[i] = catalog.NewImage{URL: im.URL, Classifications: im.Classifications}
		}
		patch.Images = catalog.Set(images)
		if p.Metadata != nil {
			patch.Metadata = catalog.Set(json.RawMessage(p.Metadata))
		}
		if p.ValidForDays > 0 {
			patch.ValidForDays = catalog.Set(p.ValidForDays)
		}
		for _, res := range c.UpsertMany(ctx, p.Account, []catalog.UpsertItem{{ExternalID: p.ID, Patch: patch}}) {
			if res.Err != nil {
				return res.Err
			}
		}
	}
	return nil
}

// authenticate takes the key for the account's name.
func authenticate(r *http.Request) (string, error) {
	account := r.Header.Get(AccountHeader)
	if account == "" {
		return "", httpadapter.ErrMissingKey
	}
	return account, nil
}

func (s *shelflife) path(i int) string { return "/products/" + url.PathEscape(s.data.Set.Key(i).ID) }

func (s *shelflife) Get(i int) Request { return Request{Method: http.MethodGet, Path: s.path(i)} }

func (s *shelflife) Use(i int) Request {
	return Request{Method: http.MethodPost, Path: s.path(i) + "/use"}
}

func (s *shelflife) Edit(i int, metadata []byte) Request {
	body := append([]byte(`{"externalId":"`), s.data.Set.Key(i).ID...) // made of letters that need no escape
	body = append(append(append(body, `","metadata":`...), metadata...), '}')
	return Request{http.MethodPost, "/products", body}
}

// List implements Lister.
func (s *shelflife) List(p dataset.Page) Request {
	query := url.Values{"limit": {strconv.Itoa(p.Limit)}, "from": {s.data.Set.Key(p.First).ID}}
	return Request{Method: http.MethodGet, Path: "/products?" + query.Encode()}
}

// imageSuffix ends the path of a product's first image.
const imageSuffix = "/images/0"

// Image implements Gallery.
func (s *shelflife) Image(i int) Request {
	return Request{Method: http.MethodGet, Path: "/products/" + url.PathEscape(s.data.Photos.Key(i).ID) + imageSuffix}
}

// Products implements Lister.
func (s *shelflife) Products(body []byte) ([]dataset.Product, error) { return decodeProducts(body) }

func (s *shelflife) Product(body []byte) (dataset.Product, error) { return decodeProduct(body) }

func (s *shelflife) Close() error { return s.catalog.Close() }
