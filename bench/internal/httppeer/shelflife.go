package httppeer

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

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
	set     *dataset.Set
}

var _ Server = (*shelflife)(nil)

func openShelflife(ctx context.Context, dir string, set *dataset.Set) (Server, error) {
	store, err := pebble.Open(ctx, dir, nil)
	if err != nil {
		return nil, err
	}
	c, err := catalog.Open(ctx, store, &catalog.Options{UseWindow: catalog.NoUseWindow})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	for begin := 0; begin < set.Len(); begin += importBatch {
		if err := fill(ctx, c, set.Batch(begin, begin+importBatch)); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	h, err := httpadapter.New(c, &httpadapter.Options{Authenticate: authenticate})
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &shelflife{h, c, set}, nil
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

func (s *shelflife) path(i int) string { return "/products/" + url.PathEscape(s.set.Key(i).ID) }

func (s *shelflife) Get(i int) Request { return Request{Method: http.MethodGet, Path: s.path(i)} }

func (s *shelflife) Use(i int) Request {
	return Request{Method: http.MethodPost, Path: s.path(i) + "/use"}
}

func (s *shelflife) Edit(i int, metadata []byte) Request {
	body := append([]byte(`{"externalId":"`), s.set.Key(i).ID...) // made of letters that need no escape
	body = append(append(append(body, `","metadata":`...), metadata...), '}')
	return Request{http.MethodPost, "/products", body}
}

func (s *shelflife) Product(body []byte) (dataset.Product, error) { return decodeProduct(body) }

func (s *shelflife) Close() error { return s.catalog.Close() }
