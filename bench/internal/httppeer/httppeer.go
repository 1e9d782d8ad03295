// Package httppeer is what the harness asks of the servers that it compares,
// and the servers.
package httppeer

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
)

// A Peer is a server that can be measured.
type Peer struct {
	Name, About, Module string
	// Floor says that the server keeps nothing: its edits change nothing.
	Floor bool
	// Open starts the handler on a store in a directory that exists and is
	// empty, and fills it. Its writes are durable.
	Open func(ctx context.Context, dir string, d Data) (Server, error)
}

// Data are what a server is filled with.
type Data struct {
	Set *dataset.Set
	// Photos are further products, each of which has Image as its only image.
	Photos *dataset.Set
	Image  []byte
	// Pages are those of Set that will be asked for.
	Pages []dataset.Page
}

// A Request is one that a client sends. The account goes into the header
// AccountHeader.
type Request struct {
	Method, Path string
	Body         []byte
}

// AccountHeader names the account of a request, as if it were its API key.
const AccountHeader = "X-API-Key"

// Server is a handler over a store.
type Server interface {
	http.Handler
	// Get reads product i.
	Get(i int) Request
	// Edit replaces the metadata of product i.
	Edit(i int, metadata []byte) Request
	// Use renews the lifetime of product i.
	Use(i int) Request
	// Product reads the answer to a Get. Its account may be empty.
	Product(body []byte) (dataset.Product, error)
	// Close ends the server and its store.
	Close() error
}

// Lister is a server with lists.
type Lister interface {
	// List reads a page of a list.
	List(p dataset.Page) Request
	// Products reads the answer to a List. Their accounts may be empty.
	Products(body []byte) ([]dataset.Product, error)
}

// Gallery is a server that serves uploaded images.
type Gallery interface {
	// Image reads the image of product i of the photos. The answer is its bytes.
	Image(i int) Request
}

// productJSON is a product as Shelflife answers it.
type productJSON struct {
	ExternalID   string          `json:"externalId"`
	Title        string          `json:"title"`
	Description  string          `json:"description"`
	Metadata     json.RawMessage `json:"metadata"`
	ValidForDays int             `json:"validForDays"`
	LastUsedAt   *string         `json:"lastUsedAt"`
	Images       []struct {
		SourceURL       string          `json:"sourceUrl"`
		Classifications json.RawMessage `json:"classifications"`
	} `json:"images"`
}

func decodeProduct(body []byte) (dataset.Product, error) {
	var in productJSON
	if err := json.Unmarshal(body, &in); err != nil {
		return dataset.Product{}, err
	}
	return in.product(), nil
}

func decodeProducts(body []byte) ([]dataset.Product, error) {
	var in struct {
		Products []productJSON `json:"items"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	out := make([]dataset.Product, len(in.Products))
	for i := range in.Products {
		out[i] = in.Products[i].product()
	}
	return out, nil
}

func (in *productJSON) product() dataset.Product {
	p := dataset.Product{
		Key: dataset.Key{ID: in.ExternalID}, Title: in.Title, Description: in.Description, Metadata: in.Metadata,
		ValidForDays: in.ValidForDays, Used: in.LastUsedAt != nil,
	}
	for _, im := range in.Images {
		p.Images = append(p.Images, dataset.Image{URL: im.SourceURL, Classifications: im.Classifications})
	}
	return p
}
