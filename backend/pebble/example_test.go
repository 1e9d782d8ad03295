package pebble_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
)

// Many stores in one process, one for each tenant, share a cache and a budget of
// open files.
func ExampleResources() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tenants")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	shared, err := pebble.NewResources(&pebble.ResourcesOptions{CacheSize: 128 << 20, MaxOpenFiles: 500})
	if err != nil {
		log.Fatal(err)
	}
	var catalogs []*catalog.Catalog
	for _, tenant := range []string{"acme", "globex", "initech"} {
		engine, err := pebble.Open(ctx, filepath.Join(dir, tenant), &pebble.Options{Resources: shared})
		if err != nil {
			log.Fatal(err)
		}
		c, err := catalog.Open(ctx, engine, &catalog.Options{CacheBytes: 1 << 20})
		if err != nil {
			log.Fatal(err)
		}
		catalogs = append(catalogs, c)
		_, err = c.Upsert(ctx, "main", "shirt", catalog.Patch{
			Title:  catalog.Set("A shirt of " + tenant),
			Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/shirt.jpg"}}),
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	for _, c := range catalogs {
		p, err := c.Get(ctx, "main", "shirt")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(p.Title)
		err = c.Close() // its engine too
		if err != nil {
			log.Fatal(err)
		}
	}
	err = shared.Close()
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// A shirt of acme
	// A shirt of globex
	// A shirt of initech
}
