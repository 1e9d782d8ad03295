package productjson_test

import (
	"context"
	"fmt"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productjson"
)

func Example() {
	ctx := context.Background()
	cat, err := catalog.Open(ctx, memory.New(nil), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cat.Close()
	for _, line := range []string{
		`{"externalId":"shirt-42","title":"Red tee","images":[{"source":{"url":"https://cdn.example/front.jpg"}}]}`,
		`{"externalId":"shirt-43","title":null,"images":[{"url":"front.jpg"}]}`,
	} {
		u, err := productjson.Decode([]byte(line), productjson.Options{RequireExternalID: true, Limits: cat.Limits()})
		if err == nil {
			err = u.Validate(cat, "acme")
		}
		if err != nil {
			fmt.Println(err)
			continue
		}
		id, _ := u.ExternalID.Get()
		res, err := cat.Upsert(ctx, "acme", id, u.Patch)
		fmt.Println(res.Outcome, u.Rewrite(err))
	}
	// Output:
	// created <nil>
	// invalid input: title: must not be null; an empty string clears it; images.0.url: must begin with "http://" or "https://"
}
