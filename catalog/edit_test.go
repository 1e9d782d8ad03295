package catalog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// Edits that rest on what they saw lose nothing, however many run at once, and need
// no repeating.
func TestEditsAtOnce(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.upsert("p", withImage(catalog.Patch{Metadata: catalog.Set(json.RawMessage(`0`))}))
		const writers, edits = 4, 15
		var all sync.WaitGroup
		for range writers {
			c := w.c()
			all.Go(func() {
				for range edits {
					_, err := c.Edit(t.Context(), acme, "p", func(v catalog.ProductView) (catalog.Patch, error) {
						n, err := strconv.Atoi(string(v.Metadata()))
						return catalog.Patch{Metadata: catalog.Set(json.RawMessage(strconv.Itoa(n + 1)))}, err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		require.Equal(t, strconv.Itoa(writers*edits), string(w.get("p").Metadata))
	})
}

// An edit sees the product as Get shows it, pending use included, and does what
// Upsert does with the patch.
func TestEdit(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for i, p := range corpus() {
			id := fmt.Sprint(i)
			w.upsert(id, p)
			nudge(w.clock, 1)
			w.use(id)
			was := w.get(id)
			res, err := w.c().Edit(t.Context(), acme, id, func(v catalog.ProductView) (catalog.Patch, error) {
				requireViewOf(t, was, v)
				return catalog.Patch{Title: catalog.Set(string(v.Title()) + "!"), Metadata: catalog.Set(v.Metadata())}, nil
			})
			require.NoError(t, err)
			require.Equal(t, catalog.Edited, res.Outcome)
			require.Equal(t, was.Title+"!", res.Product.Title)
			require.Equal(t, was.Metadata, res.Product.Metadata)
			require.Equal(t, res.Product, w.get(id))
			// What it returns is the caller's.
			clear(res.Product.Metadata)
			require.Equal(t, was.Metadata, w.get(id).Metadata)
		}
		nothing := func(catalog.ProductView) (catalog.Patch, error) { return catalog.Patch{}, nil }
		res, err := w.c().Edit(t.Context(), acme, "0", nothing)
		require.NoError(t, err)
		require.Equal(t, catalog.Unchanged, res.Outcome)
		w.createInline("inline")
		res, err = w.c().Edit(t.Context(), acme, "inline", nothing)
		require.NoError(t, err)
		require.Equal(t, catalog.Edited, res.Outcome, "as an upsert it lists")
	})
}

// What an edit is refused for: nothing is written then.
func TestRefusedEdits(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		own := errors.New("the caller's")
		fails := func(catalog.ProductView) (catalog.Patch, error) { return catalog.Patch{Title: catalog.Set("x")}, own }
		titled := func(title string) func(catalog.ProductView) (catalog.Patch, error) {
			return func(catalog.ProductView) (catalog.Patch, error) { return catalog.Patch{Title: catalog.Set(title)}, nil }
		}
		_, err := w.c().Edit(ctx, acme, "p", fails)
		require.ErrorIs(t, err, catalog.ErrNotFound, "and fn does not run")
		_, err = w.c().Edit(ctx, acme, "..", fails)
		requireFaults(t, err, map[string]catalog.Code{"externalId": catalog.CodeValidationFailed})

		var stood *catalog.PreconditionError
		_, err = w.c().Edit(ctx, acme, "p", fails, catalog.IfExists())
		require.ErrorIs(t, err, catalog.ErrPreconditionFailed)
		require.ErrorAs(t, err, &stood)
		require.Zero(t, stood.Version)
		first := w.createFor("p", 3)
		_, err = w.c().Edit(ctx, acme, "p", fails)
		require.Equal(t, own, err)
		res, err := w.c().Edit(ctx, acme, "p", titled("second"), catalog.IfVersion(first.Version()))
		require.NoError(t, err)
		second := res.Product.Version()
		for what, write := range map[string]func() error{
			"edit": func() error {
				_, err := w.c().Edit(ctx, acme, "p", fails, catalog.IfVersion(first.Version()))
				return err
			},
			"upsert": func() error {
				_, err := w.c().Upsert(ctx, acme, "p", catalog.Patch{}, catalog.IfVersion(first.Version()))
				return err
			},
			"delete": func() error { return w.c().Delete(ctx, acme, "p", catalog.IfVersion(first.Version())) },
		} {
			err := write()
			require.ErrorIs(t, err, catalog.ErrPreconditionFailed, what)
			require.ErrorAs(t, err, &stood, what)
			require.Equal(t, second, stood.Version, what)
		}
		_, err = w.c().Edit(ctx, acme, "p", func(catalog.ProductView) (catalog.Patch, error) {
			p := uploads(smallImage)
			p.Title = catalog.Null[string]()
			return p, nil
		})
		requireFaults(t, err, map[string]catalog.Code{
			"title": catalog.CodeValidationFailed, "images.0.source.fileKey": catalog.CodeInvalidImageInput,
		})
		require.Equal(t, "second", w.get("p").Title)
		w.clock.Advance(3 * day)
		_, err = w.c().Edit(ctx, acme, "p", fails)
		require.ErrorIs(t, err, catalog.ErrNotFound)
	})
}

// An edit claims staged images, keeps the product's own and releases others.
func TestEditOfImages(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.upsert("p", uploads(smallImage, chunkImage))
		staged := w.stage(chunkImage)
		res, err := w.c().Edit(ctx, acme, "p", func(v catalog.ProductView) (catalog.Patch, error) {
			var images []catalog.NewImage
			for i := range v.Images() {
				images = append(images, catalog.NewImage{URL: string(i.SourceURL())})
				break
			}
			for range 2 {
				images = append(images, catalog.NewImage{Staged: staged.Ref})
			}
			return catalog.Patch{Images: catalog.Set(images)}, nil
		})
		require.NoError(t, err)
		require.Len(t, res.Product.Images, 3)
		w.requireBytes(smallImage, "p", 0)
		w.requireBytes(chunkImage, "p", 1)
		w.requireBytes(chunkImage, "p", 2)
		unknown := w.stage(smallImage)
		w.upsert("q", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Staged: unknown.Ref}})})
		for _, ref := range []catalog.StagedRef{unknown.Ref, "0123456789abcdef0123456789abcdef", "none"} {
			_, err = w.c().Edit(ctx, acme, "p", func(catalog.ProductView) (catalog.Patch, error) {
				return catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1"}, {Staged: ref}})}, nil
			})
			requireFaults(t, err, map[string]catalog.Code{"images.1.source": catalog.CodeInvalidImageInput})
		}
	})
}
