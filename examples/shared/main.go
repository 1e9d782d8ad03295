// Command shared has two processes sell from one stock, which a product in
// PostgreSQL keeps in its metadata. No sale is lost, whichever process makes it.
//
//	SHELFLIFE_STORE=postgres://user:password@host/database go run ./examples/shared
//
// It starts itself twice. The database needs no preparation; the tables whose
// names begin with shelflife_example are left behind in it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"

	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/catalog"
)

// sales is how many of the stock each process sells.
const sales = 20

type stock struct {
	Left int `json:"left"`
}

func main() {
	ctx := context.Background()
	dsn := os.Getenv("SHELFLIFE_STORE")
	if dsn == "" {
		log.Fatal("set SHELFLIFE_STORE to the connection string of a PostgreSQL database")
	}
	c, err := open(ctx, dsn)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if len(os.Args) > 1 && os.Args[1] == "sell" {
		err = sell(ctx, c)
	} else {
		err = shop(ctx, c)
	}
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// 40 shirts
	// two processes have sold 20 each: 0 left
}

// open opens the catalog that all processes share. Nothing but the backend
// differs from a catalog in a folder.
func open(ctx context.Context, dsn string) (*catalog.Catalog, error) {
	store, err := postgres.Open(ctx, dsn, &postgres.Options{
		Table:     "shelflife_example",
		Partition: catalog.AccountPartition{},
	})
	if err != nil {
		return nil, err
	}
	return catalog.Open(ctx, store, nil)
}

// shop fills the stock, has two processes sell it, and looks at what is left.
func shop(ctx context.Context, c *catalog.Catalog) error {
	metadata, err := json.Marshal(stock{Left: 2 * sales})
	if err != nil {
		return err
	}
	_, err = c.Upsert(ctx, "acme", "shirt-42", catalog.Patch{
		Images:   catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/front.jpg"}}),
		Metadata: catalog.Set(json.RawMessage(metadata)),
	})
	if err != nil {
		return err
	}
	fmt.Println(2*sales, "shirts")

	program, err := os.Executable()
	if err != nil {
		return err
	}
	var processes [2]*exec.Cmd
	for i := range processes {
		processes[i] = exec.CommandContext(ctx, program, "sell")
		processes[i].Stderr = os.Stderr
		if err := processes[i].Start(); err != nil {
			return err
		}
	}
	for _, p := range processes {
		if err := p.Wait(); err != nil {
			return err
		}
	}
	return c.View(ctx, "acme", "shirt-42", func(v catalog.ProductView) error {
		var s stock
		if err := json.Unmarshal(v.Metadata(), &s); err != nil {
			return err
		}
		fmt.Printf("two processes have sold %d each: %d left\n", sales, s.Left)
		return nil
	})
}

// sell takes shirts from the stock, one at a time. Where the other process has
// changed the product meanwhile, Edit calls the function again with what it is
// now.
func sell(ctx context.Context, c *catalog.Catalog) error {
	for range sales {
		_, err := c.Edit(ctx, "acme", "shirt-42", func(v catalog.ProductView) (catalog.Patch, error) {
			var s stock
			if err := json.Unmarshal(v.Metadata(), &s); err != nil {
				return catalog.Patch{}, err
			}
			s.Left--
			metadata, err := json.Marshal(s)
			if err != nil {
				return catalog.Patch{}, err
			}
			return catalog.Patch{Metadata: catalog.Set(json.RawMessage(metadata))}, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
