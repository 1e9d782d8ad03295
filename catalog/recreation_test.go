package catalog_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// contract 4: an upsert of an expired ID creates, and nothing of the old one
// shows. That holds whether the old one still lies in the store or not.
func TestRecreationShowsNothingOfTheOld(t *testing.T) {
	for _, swept := range []bool{false, true} {
		t.Run(map[bool]string{true: "swept", false: "stored"}[swept], func(t *testing.T) {
			onEveryStore(t, nil, func(t *testing.T, w *world) {
				ctx := t.Context()
				recreate := map[string]func(id string) (catalog.Result, error){
					"explicit": func(id string) (catalog.Result, error) {
						return w.c().Upsert(ctx, acme, id, withImage(catalog.Patch{}), catalog.CreateOnly())
					},
					"inline": func(id string) (catalog.Result, error) {
						return w.c().UpsertInline(ctx, acme, id, withImage(catalog.Patch{}))
					},
				}
				for way, do := range recreate {
					for _, oldWay := range []string{"listed", "inline"} {
						id := way + " on " + oldWay
						full := fullPatch()
						images, _ := full.Images.Get()
						full.Images = catalog.Set(append(images, catalog.NewImage{Upload: upload(chunkImage)}))
						full.ValidForDays = catalog.Set(2)
						var old *catalog.Product
						if oldWay == "listed" {
							old = w.upsert(id, full)
						} else {
							res, err := w.c().UpsertInline(ctx, acme, id, full)
							require.NoError(t, err)
							old = res.Product
						}
						w.clock.Advance(day)
						used, err := w.c().Use(ctx, acme, id)
						require.NoError(t, err)
						r, err := w.c().OpenImage(ctx, acme, id, 2)
						require.NoError(t, err)
						w.clock.Advance(2 * day)
						w.requireGone(id)
						_, err = w.c().OpenImage(ctx, acme, id, 2)
						require.ErrorIs(t, err, catalog.ErrNotFound)
						if swept {
							w.clock.Advance(time.Minute)
							w.sweep()
						}
						_, err = w.c().Upsert(ctx, acme, id, catalog.Patch{Title: catalog.Set("x")})
						requireFaults(t, err, map[string]catalog.Code{"images": catalog.CodeImagesRequired})
						_, err = w.c().Upsert(ctx, acme, id, withImage(catalog.Patch{}), catalog.IfVersion(used.Version()))
						require.ErrorIs(t, err, catalog.ErrPreconditionFailed)

						res, err := do(id)
						require.NoError(t, err)
						require.Equal(t, catalog.Created, res.Outcome)
						require.Equal(t, res.Product, w.get(id))
						require.NotEqual(t, old.Version(), res.Product.Version())

						// It is what a first creation would have made.
						first, err := do("first " + id)
						require.NoError(t, err)
						first.Product.ExternalID = id
						requireSameButVersion(t, first.Product, res.Product)
						_, err = w.c().OpenImage(ctx, acme, id, 0)
						require.ErrorIs(t, err, catalog.ErrImageNotFound)

						// Who was reading the old one's bytes reads them to the end.
						if !swept {
							data := new(bytes.Buffer)
							_, err = data.ReadFrom(r)
							require.NoError(t, err)
							require.True(t, bytes.Equal(chunkImage, data.Bytes()))
						}
					}
				}
				page, err := w.c().List(ctx, acme, catalog.ListOptions{})
				require.NoError(t, err)
				for _, p := range page.Products {
					require.Contains(t, p.ExternalID, "explicit")
				}
				w.requireStored(8, 0)
			})
		})
	}
}

// requireSameButVersion compares two products that were created apart.
func requireSameButVersion(t *testing.T, want, got *catalog.Product) {
	t.Helper()
	require.NotEqual(t, want.Version(), got.Version())
	text := strings.Replace(string(want.AppendJSON(nil)), want.Version().String(), got.Version().String(), 1)
	require.Equal(t, text, string(got.AppendJSON(nil)))
}

// The same after a deletion, at the same instant.
func TestRecreationAfterDeletion(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.upsert("a", fullPatch())
		_, err := w.c().Use(t.Context(), acme, "a")
		require.NoError(t, err)
		require.NoError(t, w.c().Delete(t.Context(), acme, "a"))
		p := w.create("a")
		first := w.create("b")
		first.ExternalID = "a"
		requireSameButVersion(t, first, p)
		require.Equal(t, p, w.get("a"))
		w.clock.Advance(31 * day)
		w.sweep()
		require.Equal(t, p, w.get("a"), "the old deadline is not its own")
	})
}

// contract 7: a returned Product is the caller's: nothing done to it affects
// anything, nor does what the caller does to what was given in.
func TestProductsAreTheCallers(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		patch := fullPatch()
		given, _ := patch.Metadata.Get()
		images, _ := patch.Images.Get()
		created := w.upsert("a", patch)
		want := string(created.AppendJSON(nil))
		copy(given, `{"PRICE`)
		copy(images[0].Classifications, `{"VIEW`)
		images[1] = catalog.NewImage{URL: "https://evil.example"}

		spoil := func(p *catalog.Product, err error) {
			t.Helper()
			require.NoError(t, err)
			require.Equal(t, want, string(p.AppendJSON(nil)))
			for i := range p.Metadata {
				p.Metadata[i] = 'x'
			}
			p.Metadata = append(p.Metadata, "grown into its neighbour"...)
			for i := range p.Images[0].Classifications {
				p.Images[0].Classifications[i] = 'x'
			}
			p.Images[0].SourceURL = "https://evil.example"
			p.Images[1] = catalog.Image{}
			p.Images = append(p.Images, catalog.Image{})
			p.Title, p.ExternalID, p.Listed, p.ValidForDays = "x", "x", false, 7
		}
		spoil(created, nil)
		for range 2 * w.handles {
			spoil(w.c().Get(ctx, acme, "a"))
			res, err := w.c().Upsert(ctx, acme, "a", catalog.Patch{})
			spoil(res.Product, err)
			many := w.c().UpsertMany(ctx, acme, []catalog.UpsertItem{{ExternalID: "a"}})
			spoil(many[0].Product, many[0].Err)
			page, err := w.c().List(ctx, acme, catalog.ListOptions{})
			require.NoError(t, err)
			spoil(page.Products[0], nil)
			for p, err := range w.c().All(ctx, acme, catalog.AllOptions{}) {
				spoil(p, err)
			}
		}
		// The use returns its own copy too; it changes two times.
		used, err := w.c().Use(ctx, acme, "a")
		require.NoError(t, err)
		want = string(used.AppendJSON(nil))
		spoil(used, nil)
		spoil(w.c().Get(ctx, acme, "a"))
		inline, err := w.c().UpsertInline(ctx, acme, "a", catalog.Patch{})
		spoil(inline.Product, err)
		spoil(w.c().Get(ctx, acme, "a"))
	})
}

// A product that is deleted while an inline upsert, found to be a plain use, is
// about to use it is created again by it, image bytes included.
func TestInlineUpsertOfAProductThatVanishesMeanwhile(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		o := w.obstruct()
		for name, data := range map[string][]byte{"small": smallImage, "large": chunkImage} {
			w.upsert(name, uploads(data))
			vanished := false
			vanish := func() {
				o.refused.Store(nil)
				vanished = true
				require.NoError(t, w.catalogs[0].Delete(t.Context(), acme, name))
			}
			o.refused.Store(&vanish)
			res, err := w.c().UpsertInline(t.Context(), acme, name, uploads(data))
			o.refused.Store(nil)
			require.NoError(t, err)
			w.requireBytes(data, name, 0)
			if w.handles == 1 { // uses wait in memory
				require.True(t, vanished)
				require.Equal(t, catalog.Created, res.Outcome)
			}
		}
	})
}
