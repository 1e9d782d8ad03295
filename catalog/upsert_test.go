package catalog_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// fullPatch sets every field.
func fullPatch() catalog.Patch {
	return catalog.Patch{
		Title:       catalog.Set("Red tee"),
		Description: catalog.Set("Soft cotton"),
		Images: catalog.Set([]catalog.NewImage{
			{URL: "https://cdn.example/front.jpg", Classifications: json.RawMessage(`{"view":"front"}`)},
			{URL: "https://cdn.example/back.jpg"},
		}),
		Metadata:     catalog.Set(json.RawMessage(`{"price":19.90}`)),
		ValidForDays: catalog.Set(30),
	}
}

// contract 3: absent, null and a value are three different things.
func TestUpsertFieldStates(t *testing.T) {
	same := func(p *catalog.Product) *catalog.Product { return p }
	tests := []struct {
		name    string
		patch   catalog.Patch
		outcome catalog.Outcome
		want    func(p *catalog.Product) *catalog.Product // of the product before
		fault   string                                    // path
	}{
		{name: "nothing keeps everything", outcome: catalog.Unchanged, want: same},
		{
			name: "title", patch: catalog.Patch{Title: catalog.Set("Blue")}, outcome: catalog.Edited,
			want: func(p *catalog.Product) *catalog.Product { p.Title = "Blue"; return p },
		},
		{
			name: "empty title clears", patch: catalog.Patch{Title: catalog.Set("")}, outcome: catalog.Edited,
			want: func(p *catalog.Product) *catalog.Product { p.Title = ""; return p },
		},
		{
			name: "empty description clears", patch: catalog.Patch{Description: catalog.Set("")}, outcome: catalog.Edited,
			want: func(p *catalog.Product) *catalog.Product { p.Description = ""; return p },
		},
		{name: "null title", patch: catalog.Patch{Title: catalog.Null[string]()}, fault: "title"},
		{name: "null description", patch: catalog.Patch{Description: catalog.Null[string]()}, fault: "description"},
		{name: "null images", patch: catalog.Patch{Images: catalog.Null[[]catalog.NewImage]()}, fault: "images"},
		{
			name: "null metadata clears", patch: catalog.Patch{Metadata: catalog.Null[json.RawMessage]()}, outcome: catalog.Edited,
			want: func(p *catalog.Product) *catalog.Product { p.Metadata = nil; return p },
		},
		{
			name: "the JSON value null clears too", patch: catalog.Patch{Metadata: catalog.Set(json.RawMessage(" null "))}, outcome: catalog.Edited,
			want: func(p *catalog.Product) *catalog.Product { p.Metadata = nil; return p },
		},
		{
			name: "metadata replaces, never merges", patch: catalog.Patch{Metadata: catalog.Set(json.RawMessage(`{"a":1}`))}, outcome: catalog.Edited,
			want: func(p *catalog.Product) *catalog.Product { p.Metadata = json.RawMessage(`{"a":1}`); return p },
		},
		{
			name: "null validForDays keeps forever", patch: catalog.Patch{ValidForDays: catalog.Null[int]()}, outcome: catalog.Edited,
			want: func(p *catalog.Product) *catalog.Product { p.ValidForDays, p.ExpiresAt = 0, time.Time{}; return p },
		},
		{
			name: "images are replaced as a whole",
			patch: catalog.Patch{Images: catalog.Set([]catalog.NewImage{
				{URL: "https://cdn.example/back.jpg"},
			})},
			outcome: catalog.Edited,
			want: func(p *catalog.Product) *catalog.Product {
				p.Images = []catalog.Image{{SourceURL: "https://cdn.example/back.jpg", Order: 0}}
				return p
			},
		},
		{
			name: "the position is the order, and absent classifications are none",
			patch: catalog.Patch{Images: catalog.Set([]catalog.NewImage{
				{URL: "https://cdn.example/back.jpg"}, {URL: "https://cdn.example/front.jpg"},
			})},
			outcome: catalog.Edited,
			want: func(p *catalog.Product) *catalog.Product {
				p.Images = []catalog.Image{
					{SourceURL: "https://cdn.example/back.jpg", Order: 0},
					{SourceURL: "https://cdn.example/front.jpg", Order: 1},
				}
				return p
			},
		},
	}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				before := w.upsert(tt.name, fullPatch())
				require.Equal(t, w.now(), before.CreatedAt)
				w.clock.Advance(time.Second)
				res, err := w.c().Upsert(t.Context(), acme, tt.name, tt.patch)
				if tt.fault != "" {
					requireFaults(t, err, map[string]catalog.Code{tt.fault: catalog.CodeValidationFailed})
					require.Equal(t, before, w.get(tt.name), "bad input changes nothing")
					return
				}
				require.NoError(t, err)
				require.Equal(t, tt.outcome, res.Outcome)
				got := res.Product
				require.Equal(t, got, w.get(tt.name))
				if tt.outcome == catalog.Unchanged {
					require.Equal(t, before, got)
					return
				}
				require.Equal(t, w.now(), got.UpdatedAt)
				require.NotEqual(t, before.Version(), got.Version())
				want := tt.want(before)
				want.UpdatedAt = got.UpdatedAt
				wantJSON := strings.ReplaceAll(string(want.AppendJSON(nil)), before.Version().String(), got.Version().String())
				require.Equal(t, wantJSON, string(got.AppendJSON(nil)))
			})
		}
	})
}

// contract 1: the defaults of what creates.
func TestUpsertCreatesWithDefaults(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		res, err := w.c().Upsert(t.Context(), acme, "a", withImage(catalog.Patch{}))
		require.NoError(t, err)
		require.Equal(t, catalog.Created, res.Outcome)
		p := w.get("a")
		require.Equal(t, res.Product, p)
		require.Empty(t, p.Title)
		require.Empty(t, p.Description)
		require.Nil(t, p.Metadata)
		require.Zero(t, p.ValidForDays)
		require.True(t, p.LastUsedAt.IsZero())
		require.True(t, p.ExpiresAt.IsZero())
		require.Equal(t, epoch, p.CreatedAt)
		require.Equal(t, epoch, p.UpdatedAt)
		require.Equal(t, time.UTC, p.CreatedAt.Location())
		w.clock.Advance(1000 * day)
		require.Equal(t, p, w.get("a"), "kept forever")
	})
}

// contract 3: creating without an image, or with an empty list, is
// PRODUCT_IMAGES_REQUIRED and changes nothing.
func TestUpsertCreatesWithAnImageOnly(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, p := range []catalog.Patch{
			{}, {Title: catalog.Set("x")}, {Images: catalog.Set([]catalog.NewImage{})}, {Images: catalog.Set[[]catalog.NewImage](nil)},
		} {
			_, err := w.c().Upsert(ctx, acme, "a", p)
			requireFaults(t, err, map[string]catalog.Code{"images": catalog.CodeImagesRequired})
			_, err = w.c().UpsertInline(ctx, acme, "a", p)
			requireFaults(t, err, map[string]catalog.Code{"images": catalog.CodeImagesRequired})
			_, err = w.c().CreateOneShot(ctx, acme, p)
			requireFaults(t, err, map[string]catalog.Code{"images": catalog.CodeImagesRequired})
		}
		w.requireGone("a")
		require.Zero(t, w.check().Products)
		before := w.create("a")
		_, err := w.c().Upsert(ctx, acme, "a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{})})
		requireFaults(t, err, map[string]catalog.Code{"images": catalog.CodeImagesRequired})
		require.Equal(t, before, w.get("a"))
	})
}

// contract 3, the table of ways, row by row.
func TestWays(t *testing.T) {
	type state struct {
		days   int
		used   bool
		listed bool
	}
	ways := []struct {
		name    string
		do      func(w *world, id string, p catalog.Patch) (catalog.Result, error)
		creates state
		// editsListed and editsUnlisted are what becomes of the listing.
		edits                      bool // can edit
		editsListed, editsUnlisted bool
		usesOnEdit                 bool
	}{
		{
			name: "explicit",
			do: func(w *world, id string, p catalog.Patch) (catalog.Result, error) {
				return w.c().Upsert(w.t.Context(), acme, id, p)
			},
			creates: state{0, false, true},
			edits:   true, editsListed: true, editsUnlisted: true,
		},
		{
			name: "inline",
			do: func(w *world, id string, p catalog.Patch) (catalog.Result, error) {
				return w.c().UpsertInline(w.t.Context(), acme, id, p)
			},
			creates: state{15, true, false},
			edits:   true, editsListed: true, editsUnlisted: false, usesOnEdit: true,
		},
		{
			name: "one-shot",
			do: func(w *world, _ string, p catalog.Patch) (catalog.Result, error) {
				return w.c().CreateOneShot(w.t.Context(), acme, p)
			},
			creates: state{7, true, false},
		},
	}
	requireState := func(t *testing.T, w *world, p *catalog.Product, want state) {
		t.Helper()
		require.Equal(t, want.days, p.ValidForDays)
		require.Equal(t, want.listed, p.Listed)
		if want.used {
			require.Equal(t, w.now(), p.LastUsedAt)
		} else {
			require.True(t, p.LastUsedAt.IsZero())
		}
		if want.days == 0 {
			require.True(t, p.ExpiresAt.IsZero())
		} else {
			require.Equal(t, w.now().Add(time.Duration(want.days)*day), p.ExpiresAt)
		}
		require.Equal(t, p, w.get(p.ExternalID))
	}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for _, way := range ways {
			t.Run(way.name, func(t *testing.T) {
				id := func(s string) string { return way.name + " " + s }
				res, err := way.do(w, id("creates"), withImage(catalog.Patch{}))
				require.NoError(t, err)
				require.Equal(t, catalog.Created, res.Outcome)
				requireState(t, w, res.Product, way.creates)

				given := way.creates
				given.days = 30
				res, err = way.do(w, id("given"), withImage(catalog.Patch{ValidForDays: catalog.Set(30)}))
				require.NoError(t, err)
				requireState(t, w, res.Product, given)

				forever := way.creates
				forever.days = 0
				res, err = way.do(w, id("null"), withImage(catalog.Patch{ValidForDays: catalog.Null[int]()}))
				require.NoError(t, err)
				requireState(t, w, res.Product, forever)
				if !way.edits {
					return
				}

				listed := w.upsert(id("listed"), withImage(catalog.Patch{ValidForDays: catalog.Set(20)}))
				w.clock.Advance(time.Minute)
				res, err = way.do(w, id("listed"), catalog.Patch{Title: catalog.Set("new")})
				require.NoError(t, err)
				require.Equal(t, catalog.Edited, res.Outcome)
				require.Equal(t, way.editsListed, res.Product.Listed)
				require.Equal(t, 20, res.Product.ValidForDays, "the lifetime stays")
				require.Equal(t, !way.usesOnEdit, res.Product.LastUsedAt.IsZero())
				require.Equal(t, way.usesOnEdit, res.Product.ExpiresAt.After(listed.ExpiresAt))

				inline, err := w.c().UpsertInline(t.Context(), acme, id("unlisted"), withImage(catalog.Patch{}))
				require.NoError(t, err)
				w.clock.Advance(time.Minute)
				res, err = way.do(w, id("unlisted"), catalog.Patch{Title: catalog.Set("new")})
				require.NoError(t, err)
				require.Equal(t, way.editsUnlisted, res.Product.Listed)
				require.Equal(t, 15, res.Product.ValidForDays)
				require.Equal(t, way.usesOnEdit, res.Product.LastUsedAt.After(inline.Product.LastUsedAt))
			})
		}
	})
}

// contract 3: an explicit upsert turns an inline product into a listed one;
// that is a change, and keeps its lifetime unless given.
func TestExplicitUpsertLists(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			name  string
			patch catalog.Patch
			days  int
		}{
			{"an empty patch", catalog.Patch{}, 15},
			{"the same images", withImage(catalog.Patch{}), 15},
			{"a lifetime", catalog.Patch{ValidForDays: catalog.Set(3)}, 3},
			{"null", catalog.Patch{ValidForDays: catalog.Null[int]()}, 0},
		} {
			res, err := w.c().UpsertInline(t.Context(), acme, tt.name, withImage(catalog.Patch{}))
			require.NoError(t, err)
			w.clock.Advance(time.Second)
			listed, err := w.c().Upsert(t.Context(), acme, tt.name, tt.patch)
			require.NoError(t, err)
			require.Equal(t, catalog.Edited, listed.Outcome, tt.name)
			require.True(t, listed.Product.Listed)
			require.Equal(t, tt.days, listed.Product.ValidForDays)
			require.Equal(t, w.now(), listed.Product.UpdatedAt)
			require.NotEqual(t, res.Product.Version(), listed.Product.Version())
			require.Equal(t, res.Product.LastUsedAt, listed.Product.LastUsedAt, "no use")
		}
		page, err := w.c().List(t.Context(), acme, catalog.ListOptions{})
		require.NoError(t, err)
		require.Len(t, page.Products, 4)
	})
}

// contract 3: one-shots are never listed, whatever upserts them later, and
// their ID is "_anon_" and unguessable.
func TestOneShotsStayUnlisted(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		seen := map[string]bool{}
		for range 50 {
			res, err := w.c().CreateOneShot(ctx, acme, withImage(catalog.Patch{}))
			require.NoError(t, err)
			rest, ok := strings.CutPrefix(res.Product.ExternalID, "_anon_")
			require.True(t, ok)
			require.GreaterOrEqual(t, len(rest), 22, "too short to be unguessable")
			require.False(t, seen[rest])
			seen[rest] = true
		}
		res, err := w.c().CreateOneShot(ctx, acme, withImage(catalog.Patch{}))
		require.NoError(t, err)
		id := res.Product.ExternalID
		w.clock.Advance(time.Second)
		res, err = w.c().Upsert(ctx, acme, id, catalog.Patch{})
		require.NoError(t, err)
		require.Equal(t, catalog.Unchanged, res.Outcome)
		res, err = w.c().Upsert(ctx, acme, id, catalog.Patch{Title: catalog.Set("kept")})
		require.NoError(t, err)
		require.Equal(t, catalog.Edited, res.Outcome)
		require.False(t, res.Product.Listed)
		res, err = w.c().UpsertInline(ctx, acme, id, catalog.Patch{Title: catalog.Set("used")})
		require.NoError(t, err)
		require.False(t, res.Product.Listed)
		many := w.c().UpsertMany(ctx, acme, []catalog.UpsertItem{{ExternalID: id, Patch: catalog.Patch{Title: catalog.Set("many")}}})
		require.NoError(t, many[0].Err)
		require.False(t, many[0].Product.Listed)
		page, err := w.c().List(ctx, acme, catalog.ListOptions{})
		require.NoError(t, err)
		require.Empty(t, page.Products)
		require.Equal(t, "many", w.get(id).Title)
	})
}

// contract 3: an inline upsert with no effective change is a plain use.
func TestInlineUpsertWithoutChangeIsAPlainUse(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		before := w.upsert("a", withImage(catalog.Patch{Title: catalog.Set("x"), ValidForDays: catalog.Set(10)}))
		for _, p := range []catalog.Patch{{}, {Title: catalog.Set("x")}, withImage(catalog.Patch{})} {
			w.clock.Advance(time.Hour)
			res, err := w.c().UpsertInline(t.Context(), acme, "a", p)
			require.NoError(t, err)
			require.Equal(t, catalog.Unchanged, res.Outcome)
			require.Equal(t, before.Version(), res.Product.Version())
			require.Equal(t, before.UpdatedAt, res.Product.UpdatedAt)
			require.Equal(t, w.now(), res.Product.LastUsedAt)
			require.Equal(t, w.now().Add(10*day), res.Product.ExpiresAt)
			require.Equal(t, res.Product, w.get("a"))
		}
	})
}

// contract 3: an edit that changes nothing writes nothing and keeps updatedAt
// and version; metadata and classifications are compared compact, byte for
// byte.
func TestUnchangedEditsWriteNothing(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		writes := w.record()
		image := pngOf(1, 8, 8)
		p := fullPatch()
		p.ValidForDays = catalog.Null[int]()
		images, _ := p.Images.Get()
		p.Images = catalog.Set(append(images, catalog.NewImage{Upload: upload(image)}))
		before := w.upsert("a", p)
		require.Positive(t, writes.take())
		w.clock.Advance(time.Second)

		again := func(i int, source catalog.NewImage) catalog.Optional[[]catalog.NewImage] {
			next := append(images[:2:2], catalog.NewImage{Upload: upload(image)})
			next[i] = source
			return catalog.Set(next)
		}
		for _, tt := range []struct {
			name  string
			patch catalog.Patch
		}{
			{"nothing", catalog.Patch{}},
			{"title", catalog.Patch{Title: catalog.Set("Red tee")}},
			{"description", catalog.Patch{Description: catalog.Set("Soft cotton")}},
			{"metadata in other white space", catalog.Patch{Metadata: catalog.Set(json.RawMessage("\t{ \"price\" :\n19.90 }\r\n"))}},
			{"null lifetime of a product kept forever", catalog.Patch{ValidForDays: catalog.Null[int]()}},
			{"equal bytes at the same position", catalog.Patch{Images: again(2, catalog.NewImage{Upload: upload(image)})}},
			{"a reference to the bytes it has", catalog.Patch{Images: again(2, catalog.NewImage{URL: before.Images[2].SourceURL})}},
			{"classifications in other white space", catalog.Patch{Images: again(0, catalog.NewImage{
				URL: images[0].URL, Classifications: json.RawMessage(`{ "view" : "front" }`),
			})}},
			{"null classifications of an image without", catalog.Patch{Images: again(1, catalog.NewImage{
				URL: images[1].URL, Classifications: json.RawMessage(`null`),
			})}},
		} {
			res, err := w.c().Upsert(t.Context(), acme, "a", tt.patch)
			require.NoError(t, err, tt.name)
			require.Equal(t, catalog.Unchanged, res.Outcome, tt.name)
			require.Equal(t, before, res.Product, tt.name)
			require.Zero(t, writes.take(), tt.name)
		}
		for _, tt := range []struct {
			name  string
			patch catalog.Patch
		}{
			{"classifications gone", catalog.Patch{Images: again(0, catalog.NewImage{URL: images[0].URL})}},
			{"classifications back in other escapes", catalog.Patch{Images: again(0, catalog.NewImage{
				URL: images[0].URL, Classifications: json.RawMessage(`{"view":"\u0066ront"}`),
			})}},
			{"the same number in other text", catalog.Patch{Metadata: catalog.Set(json.RawMessage(`{"price":19.9}`))}},
			{"the same name in other escapes", catalog.Patch{Metadata: catalog.Set(json.RawMessage(`{"\u0070rice":19.9}`))}},
			{"other bytes", catalog.Patch{Images: again(2, catalog.NewImage{Upload: upload(pngOf(2, 8, 8))})}},
		} {
			w.clock.Advance(time.Second)
			old := w.get("a")
			res, err := w.c().Upsert(t.Context(), acme, "a", tt.patch)
			require.NoError(t, err, tt.name)
			require.Equal(t, catalog.Edited, res.Outcome, tt.name)
			require.NotEqual(t, old.Version(), res.Product.Version(), tt.name)
			require.Equal(t, w.now(), res.Product.UpdatedAt, tt.name)
			require.Positive(t, writes.take(), tt.name)
		}
	})
}
