// Command tryon is a virtual try-on: a service with an endpoint of its own,
// POST /try-on, which takes a person's photograph and a product. The product's
// API is mounted beside it at /catalog/ and the dashboard at /products/; both
// take the account from the sign-in of the service.
//
//	go run ./examples/tryon
//
// serves at http://127.0.0.1:8080 from memory, until Ctrl-C. With a photograph
// in a file:
//
//	curl -b session=of-ann -F 'data={"product": {"externalId": "shirt-42"}, "pose": "front"}' \
//	  -F photo=@ann.jpg http://127.0.0.1:8080/try-on
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *addr); err != nil {
		log.Fatal(err)
	}
}

// sessions are the sign-in of this service: whom a session is of, and for which
// shop they work.
var sessions = map[string]string{"of-ann": "acme"}

// account returns the account of a request.
func account(r *http.Request) (string, error) {
	cookie, err := r.Cookie("session")
	if err != nil {
		return "", httpadapter.ErrMissingKey // answered 401
	}
	account, ok := sessions[cookie.Value]
	if !ok {
		return "", httpadapter.ErrInvalidKey // answered 401
	}
	return account, nil
}

// serve runs the service until ctx ends.
func serve(ctx context.Context, addr string) error {
	c, err := catalog.Open(ctx, memory.New(nil), nil) // or a store in a folder: see ../embed
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Upsert(ctx, "acme", "shirt-42", catalog.Patch{
		Title:  catalog.Set("Red tee"),
		Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/front.jpg"}}),
	})
	if err != nil {
		return err
	}

	products, err := httpadapter.New(c, &httpadapter.Options{Authenticate: account})
	if err != nil {
		return err
	}
	pages, err := dashboard.New(c, &dashboard.Options{Account: account})
	if err != nil {
		return err
	}
	defer pages.Close() // before the catalog: it stops imports

	mux := http.NewServeMux()
	mux.Handle("/catalog/", http.StripPrefix("/catalog", products))
	mux.Handle("/products/", pages)
	mux.Handle("POST /try-on", tryOn(products))

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("serving http://%s\n", listener.Addr())
	server := &http.Server{Handler: products.ReadOn(mux)}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		stopped <- server.Shutdown(context.Background())
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// tryOn is the service's own endpoint. The product is a member of its request,
// in any form that POST /uses takes: an ID alone, or fields, with or without one.
func tryOn(products *httpadapter.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		req, err := products.ReadProduct(w, r)
		if err != nil {
			products.WriteError(w, r, err)
			return
		}
		// First the request's own part: nothing has been written so far.
		photo, ok := req.File("photo")
		if !ok {
			products.WriteError(w, r, req.Fault(catalog.FieldError{
				Path: "photo", Code: catalog.CodeFileNotFound, Message: "a photograph is required",
			}))
			return
		}
		var own struct {
			Pose string `json:"pose"`
		}
		if err := json.Unmarshal(req.JSON, &own); err != nil {
			products.WriteError(w, r, req.Fault(catalog.FieldError{
				Path: "pose", Code: catalog.CodeValidationFailed, Message: "must be a string",
			}))
			return
		}
		size, err := io.Copy(io.Discard, photo.Open()) // in place of the try-on itself
		if err != nil {
			products.WriteError(w, r, err)
			return
		}
		// Then the product: created, edited, or used as it is.
		res, err := req.Apply(r.Context())
		if err != nil {
			products.WriteError(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"product": res.Product.ExternalID, "outcome": res.Outcome, "pose": own.Pose, "photoBytes": size,
		})
	}
}
