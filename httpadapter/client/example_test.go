package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/httpadapter/client"
)

// server is one for the examples: in practice it is another process.
func server() (url string, stop func()) {
	c, err := catalog.Open(context.Background(), memory.New(nil), nil)
	if err != nil {
		log.Fatal(err)
	}
	keys, err := httpadapter.NewAPIKeys(map[string]string{key: "shop"})
	if err != nil {
		log.Fatal(err)
	}
	h, err := httpadapter.New(c, &httpadapter.Options{Authenticate: keys.Authenticate})
	if err != nil {
		log.Fatal(err)
	}
	s := httptest.NewServer(h)
	return s.URL, func() { s.Close(); _ = c.Close() }
}

func Example() {
	url, stop := server()
	defer stop()
	ctx := context.Background()
	c, err := client.New(url, &client.Options{APIKey: key})
	if err != nil {
		log.Fatal(err)
	}
	r, err := c.Upsert(ctx, "shirt/42", client.Patch{
		Title:        client.Set("Red tee"),
		Images:       client.Set([]client.NewImage{{URL: "https://cdn.example/front.jpg"}}),
		ValidForDays: client.Set(30),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Created, r.Product.Title)

	// Only if it was not edited meanwhile; what is absent is kept.
	edit := client.Patch{Description: client.Set("Soft cotton"), ValidForDays: client.Null[int]()}
	r, err = c.Upsert(ctx, "shirt/42", edit, client.IfVersion(r.Product.Version))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Product.Title, r.Product.Description, r.Product.ExpiresAt.IsZero())

	_, err = c.Get(ctx, "shirt/43")
	fmt.Println(errors.Is(err, client.ErrNotFound))
	// Output:
	// true Red tee
	// Red tee Soft cotton true
	// true
}

func ExampleClient_Bulk() {
	url, stop := server()
	defer stop()
	c, err := client.New(url, &client.Options{APIKey: key})
	if err != nil {
		log.Fatal(err)
	}
	items := func(yield func(client.BulkItem, error) bool) {
		for _, id := range []string{"shirt-1", "shirt-2", ".."} {
			item := client.BulkItem{ExternalID: id, Patch: client.Patch{
				Images: client.Set([]client.NewImage{{URL: "https://cdn.example/" + id + ".jpg"}}),
			}}
			if !yield(item, nil) {
				return
			}
		}
	}
	for r, err := range c.Bulk(context.Background(), items) {
		switch {
		case err != nil:
			log.Fatal(err) // what has no result may not have been dealt with
		case r.Err != nil:
			fmt.Println(r.Line, "is refused")
		default:
			fmt.Println(r.Line, r.ExternalID, r.Outcome)
		}
	}
	// Output:
	// 1 shirt-1 created
	// 2 shirt-2 created
	// 3 is refused
}

func ExampleClient_All() {
	url, stop := server()
	defer stop()
	ctx := context.Background()
	c, err := client.New(url, &client.Options{APIKey: key})
	if err != nil {
		log.Fatal(err)
	}
	for _, id := range []string{"shirt-2", "shirt-1", "hat-1"} {
		if _, err := c.Upsert(ctx, id, onePatch); err != nil {
			log.Fatal(err)
		}
	}
	for p, err := range c.All(ctx, client.ListOptions{Prefix: "shirt-"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(p.ExternalID)
	}
	// Output:
	// shirt-1
	// shirt-2
}
