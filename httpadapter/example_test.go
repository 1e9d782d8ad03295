package httpadapter_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
)

// A catalog under /shop, beside an endpoint of the host that takes a product and
// a photograph.
func ExampleHandler_ReadProduct() {
	cat, err := catalog.Open(context.Background(), memory.New(nil), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cat.Close()
	keys, err := httpadapter.NewAPIKeys(map[string]string{"secret": "acme"})
	if err != nil {
		fmt.Println(err)
		return
	}
	shop, err := httpadapter.New(cat, &httpadapter.Options{Authenticate: keys.Authenticate})
	if err != nil {
		fmt.Println(err)
		return
	}

	mux := http.NewServeMux()
	mux.Handle("/shop/", http.StripPrefix("/shop", shop))
	mux.HandleFunc("POST /try-on", func(w http.ResponseWriter, r *http.Request) {
		req, err := shop.ReadProduct(w, r)
		if err != nil {
			shop.WriteError(w, r, err)
			return
		}
		file, ok := req.File("photo")
		if !ok {
			shop.WriteError(w, r, req.Fault(catalog.FieldError{
				Path: "photo", Code: catalog.CodeFileNotFound, Message: "a photograph is required",
			}))
			return
		}
		photo, err := io.ReadAll(file.Open())
		if err != nil {
			shop.WriteError(w, r, err)
			return
		}
		// Nothing has happened so far: the host has looked at its own part first.
		result, err := req.Apply(r.Context())
		if err != nil {
			shop.WriteError(w, r, err)
			return
		}
		fmt.Fprintf(w, "%s tries on %s (%s): %s", photo, result.Product.Title, result.Outcome, req.JSON)
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	post := func(path, contentType string, body io.Reader) {
		req, err := http.NewRequest(http.MethodPost, server.URL+path, body)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("X-API-Key", "secret")
		req.Header.Set("Content-Type", contentType)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			fmt.Println(err)
			return
		}
		if resp.StatusCode == http.StatusCreated {
			fmt.Println(resp.StatusCode, resp.Header.Get("Location"))
			return
		}
		fmt.Println(resp.StatusCode, string(text))
	}

	post("/shop/products", "application/json",
		strings.NewReader(`{"externalId":"tees/42","title":"Red tee","images":[{"source":{"url":"https://cdn.example/front.jpg"}}]}`))

	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	_ = parts.WriteField("data", `{"product":{"externalId":"tees/42"},"pose":"front"}`)
	_ = parts.WriteField("photo", "Ann")
	_ = parts.Close()
	post("/try-on", parts.FormDataContentType(), &form)

	// Without a photograph the product is not created either.
	post("/try-on", "application/json", strings.NewReader(`{"product":{"externalId":"tees/43","images":[{"source":{"url":"https://cdn.example/43.jpg"}}]}}`))
	// Output:
	// 201 /shop/products/tees%2F42
	// 200 Ann tries on Red tee (used): {"product":{"externalId":"tees/42"},"pose":"front"}
	// 400 {"code":"MULTIPART_FILE_NOT_FOUND","message":"photo: a photograph is required","status":400,"details":[{"path":"photo","code":"MULTIPART_FILE_NOT_FOUND","message":"a photograph is required"}]}
}
