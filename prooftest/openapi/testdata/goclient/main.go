// Command goclient uses a server by what oapi-codegen makes of its description, which
// ../../go_test.go lays beside this file. The URL, the key and an image are the
// arguments; whatever is not as it should be ends it.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log"
	"mime/multipart"
	"net/http"
	"os"
	"reflect"

	"github.com/oapi-codegen/nullable"
)

func want(name string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		log.Fatalf("%s: %v, not %v", name, got, want)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func main() {
	log.SetFlags(0)
	ctx, url, key := context.Background(), os.Args[1], os.Args[2]
	image := must(base64.StdEncoding.DecodeString(os.Args[3]))
	c := must(NewClientWithResponses(url, WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("X-API-Key", key)
		return nil
	})))

	// Any ID that is legal works, as it stands.
	const id = "g/b %2F ü 👕?#"
	metadata := Metadata(map[string]any{"price": 19.9})
	images := []ImageInput{{Source: &ImageSource{Url: new("https://cdn.example/front.jpg")}, Classifications: &Classifications{"view": "front"}}}
	created := must(c.UpsertProductWithResponse(ctx, nil, ProductInput{
		ExternalId: id, Title: new("Red tee"), Description: new("Soft"), Images: &images, Metadata: &metadata, ValidForDays: nullable.NewNullableWithValue(30),
	})).JSON201
	want("its ID", created.ExternalId, id)
	want("its lifetime", created.ValidForDays.MustGet(), 30)
	want("its end", created.ExpiresAt.IsNull(), false)

	// Absent keeps, null clears, a value sets.
	p := must(c.UpsertProductWithResponse(ctx, nil, ProductInput{ExternalId: id, Title: new("")})).JSON200
	want("what is absent", []any{p.Title, p.Description, p.ValidForDays.MustGet(), p.Metadata}, []any{"", "Soft", 30, any(metadata)})
	var none Metadata
	p = must(c.UpsertProductWithResponse(ctx, nil, ProductInput{ExternalId: id, ValidForDays: nullable.NewNullNullable[int](), Metadata: &none})).JSON200
	want("what is null", []any{p.ValidForDays.IsNull(), p.ExpiresAt.IsNull(), p.Metadata}, []any{true, true, nil})

	// A condition that does not hold: 412, with its code.
	read := must(c.GetProductWithResponse(ctx, id, nil)).JSON200
	known := &UpsertProductParams{IfMatch: new(`"` + read.Version + `"`)}
	want("an edit", must(c.UpsertProductWithResponse(ctx, known, ProductInput{ExternalId: id, Title: new("x")})).JSON200.Title, "x")
	want("a stale edit", must(c.UpsertProductWithResponse(ctx, known, ProductInput{ExternalId: id, Title: new("y")})).JSON412.Code, PRECONDITIONFAILED)
	wrong := must(c.UpsertProductWithResponse(ctx, nil, ProductInput{ExternalId: id, ValidForDays: nullable.NewNullableWithValue(0)})).JSON400
	want("a fault", (*wrong.Details)[0].Path, "validForDays")

	// An upload: the JSON, and a file part for each fileKey.
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	must(0, w.WriteField("data", `{"externalId":"gphoto","images":[{"source":{"fileKey":"front"}}]}`))
	must(must(w.CreateFormFile("front", "front.png")).Write(image))
	must(0, w.Close())
	photo := must(c.UpsertProductWithBodyWithResponse(ctx, nil, w.FormDataContentType(), &form)).JSON201
	want("its kind", string(*photo.Images[0].ContentType), "image/png")
	want("its bytes", must(c.GetImageWithResponse(ctx, "gphoto", 0, nil)).Body, image)

	// Pages.
	for _, id := range []string{"g1", "g2", "g3"} {
		must(c.UpsertProductWithResponse(ctx, nil, ProductInput{ExternalId: id, Images: &images}))
	}
	var ids []string
	list := &ListProductsParams{Limit: new(2), Prefix: new("g")}
	for {
		page := must(c.ListProductsWithResponse(ctx, list)).JSON200
		for _, i := range page.Items {
			ids = append(ids, i.ExternalId)
		}
		if page.NextCursor.IsNull() {
			break
		}
		list.Cursor = new(page.NextCursor.MustGet())
	}
	want("all pages", ids, []string{id, "g1", "g2", "g3", "gphoto"})

	// A use, a one-shot that is made once, and the end.
	want("a use", must(c.UseProductWithResponse(ctx, id, nil)).JSON200.LastUsedAt.IsNull(), false)
	once := &ResolveUseParams{IdempotencyKey: new("g-order-1")}
	one := must(c.ResolveUseWithResponse(ctx, once, UseInput{Images: &images})).JSON201
	want("a one-shot", must(c.ResolveUseWithResponse(ctx, once, UseInput{Images: &images})).JSON200.ExternalId, one.ExternalId)
	want("a delete", must(c.DeleteProductWithResponse(ctx, id, nil)).StatusCode(), 204)
	want("its end", must(c.GetProductWithResponse(ctx, id, nil)).JSON404.Code, PRODUCTNOTFOUND)
	fmt.Println("done")
}
