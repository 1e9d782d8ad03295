package catalog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"log"
	"strings"
	"time"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// openExample opens an empty catalog in memory whose clock stands still.
func openExample() *catalog.Catalog {
	clock := ttl.NewManualClock(time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC))
	c, err := catalog.Open(context.Background(), memory.New(nil), &catalog.Options{Clock: clock})
	if err != nil {
		log.Fatal(err)
	}
	return c
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// Open a catalog and create a product. A real one would have the backend of
// package pebble and no Clock.
func Example() {
	ctx := context.Background()
	clock := ttl.NewManualClock(time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC))
	c, err := catalog.Open(ctx, memory.New(nil), &catalog.Options{Clock: clock})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	res, err := c.Upsert(ctx, "acme", "shirt-42", catalog.Patch{
		Title:        catalog.Set("Red tee"),
		Images:       catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/front.jpg"}}),
		Metadata:     catalog.Set(json.RawMessage(`{"price": 19.90}`)),
		ValidForDays: catalog.Set(30),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Outcome, res.Product.ExpiresAt.Format(time.DateOnly))
	fmt.Println(string(res.Product.Metadata))

	// 30 days without a use later it is gone.
	clock.Advance(30 * 24 * time.Hour)
	_, err = c.Get(ctx, "acme", "shirt-42")
	fmt.Println(errors.Is(err, catalog.ErrNotFound))
	// Output:
	// created 2026-06-12
	// {"price":19.90}
	// true
}

// Look at a product without a copy of it. What is lent is good until the callback
// returns.
func ExampleCatalog_View() {
	ctx := context.Background()
	c := openExample()
	defer c.Close()
	must(c.Upsert(ctx, "acme", "shirt-42", catalog.Patch{
		Title:  catalog.Set("Red tee"),
		Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/front.jpg"}}),
	}))
	err := c.View(ctx, "acme", "shirt-42", func(v catalog.ProductView) error {
		fmt.Printf("%s: %s\n", v.ExternalID(), v.Title())
		for i := range v.Images() {
			fmt.Printf("%d: %s\n", i.Order(), i.SourceURL())
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// shirt-42: Red tee
	// 0: https://cdn.example/front.jpg
	// <nil>
}

// A later upsert is a partial edit: what it does not name stays.
func ExampleCatalog_Upsert() {
	ctx := context.Background()
	c := openExample()
	defer c.Close()
	first := must(c.Upsert(ctx, "acme", "shirt-42", catalog.Patch{
		Title:    catalog.Set("Red tee"),
		Images:   catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/front.jpg"}}),
		Metadata: catalog.Set(json.RawMessage(`{"price":19.90}`)),
	}))

	// Null clears, and IfVersion refuses to edit what another call has edited
	// since.
	second := must(c.Upsert(ctx, "acme", "shirt-42", catalog.Patch{
		Description: catalog.Set("Soft cotton"),
		Metadata:    catalog.Null[json.RawMessage](),
	}, catalog.IfVersion(first.Product.Version())))
	fmt.Printf("%s: %s, %s, %d image, metadata %q\n", second.Outcome,
		second.Product.Title, second.Product.Description, len(second.Product.Images), second.Product.Metadata)

	same := must(c.Upsert(ctx, "acme", "shirt-42", catalog.Patch{Title: catalog.Set("Red tee")}))
	fmt.Println(same.Outcome)

	_, err := c.Upsert(ctx, "acme", "shirt-42", catalog.Patch{
		Title: catalog.Set("Blue tee"),
	}, catalog.IfVersion(first.Product.Version()))
	fmt.Println(errors.Is(err, catalog.ErrPreconditionFailed))

	// Invalid input names every field that is wrong.
	_, err = c.Upsert(ctx, "acme", "shirt-42", catalog.Patch{
		ValidForDays: catalog.Set(1000),
		Images:       catalog.Set([]catalog.NewImage{{URL: "ftp://cdn.example/front.jpg"}}),
	})
	var bad *catalog.ValidationError
	if errors.As(err, &bad) {
		for _, f := range bad.Fields {
			fmt.Println(f.Path, f.Code)
		}
	}
	// Output:
	// edited: Red tee, Soft cotton, 1 image, metadata ""
	// unchanged
	// true
	// images.0.source.url VALIDATION_FAILED
	// validForDays VALIDATION_FAILED
}

// A product may be created where it is used: for 15 days from its last use,
// and unlisted.
func ExampleCatalog_UpsertInline() {
	ctx := context.Background()
	c := openExample()
	defer c.Close()
	res := must(c.UpsertInline(ctx, "acme", "shirt-42", catalog.Patch{
		Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/front.jpg"}}),
	}))
	p := res.Product
	fmt.Println(res.Outcome, p.ValidForDays, p.Listed, p.LastUsedAt.Format(time.DateOnly))

	// An explicit upsert takes it into the list and keeps its lifetime.
	p = must(c.Upsert(ctx, "acme", "shirt-42", catalog.Patch{})).Product
	fmt.Println(p.ValidForDays, p.Listed)
	// Output:
	// created 15 false 2026-05-13
	// 15 true
}

// What needs no ID gets one, for 7 days from its last use.
func ExampleCatalog_CreateOneShot() {
	ctx := context.Background()
	c := openExample()
	defer c.Close()
	var buf bytes.Buffer
	if err := png.Encode(&buf, image.NewGray(image.Rect(0, 0, 800, 1200))); err != nil {
		log.Fatal(err)
	}
	p := must(c.CreateOneShot(ctx, "acme", catalog.Patch{
		Images: catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(&buf)}}),
	})).Product
	fmt.Println(strings.HasPrefix(p.ExternalID, "_anon_"), p.ValidForDays, p.Listed)
	fmt.Println(p.Images[0].ContentType, p.Images[0].Width, p.Images[0].Height)
	// Output:
	// true 7 false
	// image/png 800 1200
}

// A use that needs no product says how long the product lives then.
func ExampleCatalog_Touch() {
	ctx := context.Background()
	clock := ttl.NewManualClock(time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC))
	c := must(catalog.Open(ctx, memory.New(nil), &catalog.Options{Clock: clock}))
	defer c.Close()
	must(c.Upsert(ctx, "acme", "shirt-42", catalog.Patch{
		Images:       catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/front.jpg"}}),
		ValidForDays: catalog.Set(30),
	}))
	clock.Advance(48 * time.Hour)
	fmt.Println(must(c.Touch(ctx, "acme", "shirt-42")).Format(time.DateOnly))
	_, err := c.Touch(ctx, "acme", "shirt-43")
	fmt.Println(errors.Is(err, catalog.ErrNotFound))
	// Output:
	// 2026-06-14
	// true
}

// A list comes in pages, in byte order of the IDs.
func ExampleCatalog_List() {
	ctx := context.Background()
	c := openExample()
	defer c.Close()
	var items []catalog.UpsertItem
	for _, id := range []string{"shirt/3", "shirt/1", "sock/1", "shirt/2"} {
		items = append(items, catalog.UpsertItem{ExternalID: id, Patch: catalog.Patch{
			Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/" + id + ".jpg"}}),
		}})
	}
	for _, r := range c.UpsertMany(ctx, "acme", items) {
		if r.Err != nil {
			log.Fatal(r.Err)
		}
	}
	o := catalog.ListOptions{Prefix: "shirt/", Limit: 2}
	for {
		page := must(c.List(ctx, "acme", o))
		for _, p := range page.Products {
			fmt.Print(p.ExternalID, " ")
		}
		fmt.Println(page.HasMore)
		if !page.HasMore {
			break
		}
		o.Cursor = page.NextCursor
	}
	// Output:
	// shirt/1 shirt/2 true
	// shirt/3 false
}
