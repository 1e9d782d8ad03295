// Command embed keeps products in a folder, inside the program: it creates one,
// looks at it, uses it, edits it, lists it, and hears when it expires.
//
//	go run ./examples/embed
//
// It makes the folder "products" where it is started and needs nothing else.
// The clock is moved by hand, so that thirty days take no time; a service leaves
// Options.Clock out.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"log"
	"time"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

func main() {
	ctx := context.Background()
	clock := ttl.NewManualClock(time.Now())
	expired := make(chan string, 1)
	options := &catalog.Options{
		Clock: clock,
		OnExpire: func(_ context.Context, _ *catalog.Catalog, e catalog.Expired) {
			expired <- e.Account + "/" + e.Product.ExternalID
		},
	}
	store, err := pebble.Open(ctx, "products", nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := catalog.Open(ctx, store, options)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close() // closes the store too

	if err := fields(ctx, c); err != nil {
		log.Fatal(err)
	}
	if err := images(ctx, c); err != nil {
		log.Fatal(err)
	}
	// The use was 30 days ago: the product is gone for every reader, and then
	// leaves the store in the background.
	clock.Advance(31 * 24 * time.Hour)
	_, err = c.Get(ctx, "acme", "shirt-42")
	fmt.Println(errors.Is(err, catalog.ErrNotFound))
	fmt.Println("expired:", <-expired)
	// Output:
	// created Red tee {"price":19.90}
	// shirt-42 {"price":19.90}
	// edited Crimson tee {"price":19.90}
	// true
	// edited Crimson tee, sale
	// shirt-42 Crimson tee, sale
	// image/png 80 60
	// 2 true
	// true
	// expired: acme/shirt-42
}

// fields writes and reads a product's fields.
func fields(ctx context.Context, c *catalog.Catalog) error {
	res, err := c.Upsert(ctx, "acme", "shirt-42", catalog.Patch{
		Title:        catalog.Set("Red tee"),
		Images:       catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/front.jpg"}}),
		Metadata:     catalog.Set(json.RawMessage(`{"price": 19.90}`)),
		ValidForDays: catalog.Set(30),
	})
	if err != nil {
		return err
	}
	fmt.Println(res.Outcome, res.Product.Title, string(res.Product.Metadata))

	// To look at a product: the callback is lent it and copies nothing.
	err = c.View(ctx, "acme", "shirt-42", func(v catalog.ProductView) error {
		_, err := fmt.Printf("%s %s\n", v.ExternalID(), v.Metadata())
		return err
	})
	if err != nil {
		return err
	}

	// A partial edit: what the patch does not name stays.
	res, err = c.Upsert(ctx, "acme", "shirt-42", catalog.Patch{Title: catalog.Set("Crimson tee")})
	if err != nil {
		return err
	}
	fmt.Println(res.Outcome, res.Product.Title, string(res.Product.Metadata))

	// A use: the product now lives for 30 days from this moment.
	product, err := c.Use(ctx, "acme", "shirt-42")
	if err != nil {
		return err
	}
	fmt.Println(product.ExpiresAt.Equal(product.LastUsedAt.AddDate(0, 0, 30)))

	// An edit that rests on what it sees: no other write comes between.
	res, err = c.Edit(ctx, "acme", "shirt-42", func(v catalog.ProductView) (catalog.Patch, error) {
		return catalog.Patch{Title: catalog.Set(string(v.Title()) + ", sale")}, nil
	})
	if err != nil {
		return err
	}
	fmt.Println(res.Outcome, res.Product.Title)

	// A page of the account's products, in the order of their IDs.
	page, err := c.List(ctx, "acme", catalog.ListOptions{Limit: 50})
	if err != nil {
		return err
	}
	for _, p := range page.Products {
		fmt.Println(p.ExternalID, p.Title)
	}
	return nil
}

// images gives a product the bytes of an image, and another image by its URL.
func images(ctx context.Context, c *catalog.Catalog) error {
	var file bytes.Buffer // or an *os.File
	if err := png.Encode(&file, image.NewGray(image.Rect(0, 0, 80, 60))); err != nil {
		return err
	}
	res, err := c.Upsert(ctx, "acme", "mug-1", catalog.Patch{
		Images: catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(&file)}}),
	})
	if err != nil {
		return err
	}
	front := res.Product.Images[0]
	fmt.Println(front.ContentType, front.Width, front.Height)

	// Images are replaced as a whole. NewImage keeps one that the product has.
	res, err = c.Upsert(ctx, "acme", "mug-1", catalog.Patch{
		Images: catalog.Set([]catalog.NewImage{front.NewImage(), {URL: "https://cdn.example/back.jpg"}}),
	})
	if err != nil {
		return err
	}
	r, err := c.OpenImage(ctx, "acme", "mug-1", 0)
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	if err != nil {
		return err
	}
	fmt.Println(len(res.Product.Images), n == r.Info().Size)
	return c.Delete(ctx, "acme", "mug-1")
}
