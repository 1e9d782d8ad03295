package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/shelflife-db/shelflife/catalog"
)

const (
	demoDir     = "shelflife-demo"
	demoAccount = "demo"
	demoKey     = "demo-key"
)

// hideDemoDir keeps the folder of the demo's store, in the current folder, out of
// git's sight. The store comes first: it is not made among other files.
func hideDemoDir() error {
	return os.WriteFile(filepath.Join(demoDir, ".gitignore"), []byte("*\n"), 0o600)
}

// fillDemo creates the samples that are not there.
func fillDemo(ctx context.Context, cat *catalog.Catalog) error {
	for _, s := range samples() {
		_, err := cat.Get(ctx, demoAccount, s.id)
		if errors.Is(err, catalog.ErrNotFound) {
			err = s.create(ctx, cat)
		}
		if err != nil {
			return fmt.Errorf("the sample %q: %w", s.id, err)
		}
	}
	return nil
}

func (s sample) create(ctx context.Context, cat *catalog.Catalog) error {
	p := catalog.Patch{
		Title:       catalog.Set(s.title),
		Description: catalog.Set(s.description),
		Metadata:    catalog.Set(json.RawMessage(s.metadata)),
	}
	if s.validForDays > 0 {
		p.ValidForDays = catalog.Set(s.validForDays)
	}
	var images []catalog.NewImage
	for _, pic := range s.pictures {
		var data bytes.Buffer
		if err := pic.encode(&data); err != nil {
			return err
		}
		images = append(images, catalog.NewImage{
			Upload:          catalog.NewUpload(&data),
			Classifications: json.RawMessage(`{"view":` + strconv.Quote(pic.view) + `}`),
		})
	}
	p.Images = catalog.Set(images)
	_, err := cat.Upsert(ctx, demoAccount, s.id, p)
	return err
}

func (p samplePicture) encode(w io.Writer) error {
	if p.jpeg {
		return jpeg.Encode(w, p.draw(), &jpeg.Options{Quality: 88})
	}
	return png.Encode(w, p.draw())
}

// demoStep is something to try.
type demoStep struct {
	what string
	// args are curl's, in the words of a shell; the last is the path.
	args, path string
}

// demoSteps work in this order, again and again.
var demoSteps = []demoStep{
	{"list three products", ``, `/products?limit=3`},
	{"read one, and keep its ETag", `-i --etag-save mug.etag`, `/products/mug-blue`},
	{"read it again: 304, it is as it was", `-i --etag-compare mug.etag`, `/products/mug-blue`},
	{"an ID is one escaped path segment: this is bag/canvas", ``, `/products/bag%2Fcanvas`},
	{"download an image", `-o mug.png`, `/products/mug-blue/images/0`},
	{"create a product whose image is elsewhere",
		`-H 'Content-Type: application/json' -d '{"externalId":"my-tee","title":"Red tee","images":[{"source":{"url":"https://cdn.example/tee.jpg"}}],"metadata":{"price":19.90}}'`, `/products`},
	{"create one and upload its image, for 30 days from its last use",
		`-F 'data={"externalId":"my-mug","title":"My mug","images":[{"source":{"fileKey":"front"}}],"validForDays":30}' -F front=@mug.png`, `/products`},
	{"edit: what is not named stays, null clears", `-H 'Content-Type: application/json' -d '{"externalId":"my-tee","title":"Blue tee","metadata":null}'`, `/products`},
	{"use one: its 30 days begin again", `-X POST`, `/products/my-mug/use`},
	{"use something once, without an ID of its own: it is kept for a week",
		`-H 'Content-Type: application/json' -d '{"images":[{"source":{"url":"https://cdn.example/photo.jpg"}}]}'`, `/uses`},
	{"delete", `-i -X DELETE`, `/products/my-tee`},
	{"and the other", `-i -X DELETE`, `/products/my-mug`},
}

// printDemo prints where the demo is and what to try: the dashboard first, if there
// is one.
func printDemo(w io.Writer, url string, dashboard bool) {
	if dashboard {
		fmt.Fprintf(w, "Look at %s%s and sign in with the key %s\n\n", url, dashboardPath, demoKey)
	}
	fmt.Fprintf(w, "Shelflife serves a sample catalog of %d products.\n\n  URL  %s\n  key  %s\n\nTry, in another terminal:\n", len(samples()), url, demoKey)
	for _, s := range demoSteps {
		args := s.args
		if args != "" {
			args += " "
		}
		fmt.Fprintf(w, "\n# %s\ncurl -sS -w '\\n' -H 'X-API-Key: %s' %s'%s%s'\n", s.what, demoKey, args, url, s.path)
	}
	fmt.Fprintf(w, "\nCtrl-C stops it.\n\n")
}
