package catalog_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productjson"
	"github.com/shelflife-db/shelflife/encoding"
)

// requireViewOf checks that a view says what the product does, in every form.
func requireViewOf(t *testing.T, want *catalog.Product, v catalog.ProductView) {
	t.Helper()
	require.Equal(t, want, v.Product())
	require.Equal(t, string(want.AppendJSON(nil)), string(v.AppendJSON(nil)))
	calls := 0
	path := func() string { calls++; return "/p/ö\"" }
	require.Equal(t, string(want.AppendJSONWithHref(nil, path)), string(v.AppendJSONWithHref(nil, path)))
	require.Equal(t, want.HasUploads(), calls == 2, "the path is asked for once, where there is an upload")
	require.Equal(t, want.ETag(), v.ETag())
	require.Equal(t, "-"+want.ETag(), string(v.AppendETag([]byte("-"))))
	require.Equal(t, want.Version(), v.Version())
	require.Equal(t, want.HasUploads(), v.HasUploads())

	got := &catalog.Product{
		ExternalID: string(v.ExternalID()), Title: string(v.Title()), Description: string(v.Description()),
		Metadata: v.Metadata(), ValidForDays: v.ValidForDays(), Listed: v.Listed(), LastUsedAt: v.LastUsedAt(),
		ExpiresAt: v.ExpiresAt(), CreatedAt: v.CreatedAt(), UpdatedAt: v.UpdatedAt(),
	}
	for i := range v.Images() {
		require.Equal(t, i.Uploaded(), i.ContentType() != nil)
		got.Images = append(got.Images, catalog.Image{
			SourceURL: string(i.SourceURL()), Order: i.Order(), Classifications: i.Classifications(),
			ContentType: string(i.ContentType()), Size: i.Size(), Width: i.Width(), Height: i.Height(),
		})
	}
	require.Len(t, got.Images, v.ImageCount())
	for range v.Images() {
		break // a loop may end early
	}
	plain := *want
	require.Equal(t, want.Version(), v.Product().Version())
	got2, want2 := string(got.AppendJSON(nil)), string(plain.AppendJSON(nil))
	// All but the version, which can't be set from outside.
	require.Equal(t, want2[:strings.LastIndex(want2, `,"version"`)], got2[:strings.LastIndex(got2, `,"version"`)])
}

// requireView checks that every way to look at a product shows what Get returns.
func (w *world) requireView(id string) {
	w.t.Helper()
	for range 3 { // the third is of the cache, where there is one
		want, runs := w.get(id), 0
		require.NoError(w.t, w.c().View(w.t.Context(), acme, id, func(v catalog.ProductView) error {
			runs++
			requireViewOf(w.t, want, v)
			return nil
		}))
		require.Equal(w.t, 1, runs)
	}
}

// corpus returns patches that create products of every kind.
func corpus() []catalog.Patch {
	patches := []catalog.Patch{
		withImage(catalog.Patch{}),
		withImage(catalog.Patch{ValidForDays: catalog.Set(365), Metadata: catalog.Set(json.RawMessage(`[1.0,"\u00e9 \/",null]`))}),
		withImage(catalog.Patch{Title: catalog.Set("\"\\/<>&\u2028\x00\x1f\x7f"), Description: catalog.Set(strings.Repeat("ß\n", 3000))}),
		{Images: catalog.Set([]catalog.NewImage{
			{URL: "https://cdn.example/ä?q=\"", Classifications: json.RawMessage(`{"view":"front"}`)},
			{Upload: upload(smallImage), Classifications: json.RawMessage(`{}`)}, {Upload: upload(chunkImage)},
		})},
	}
	many := make([]catalog.NewImage, 32)
	for i := range many {
		many[i].URL = fmt.Sprintf("https://cdn.example/%d.jpg", i)
	}
	patches = append(patches, catalog.Patch{Images: catalog.Set(many)})
	r := rand.New(rand.NewPCG(1, 0))
	for range 40 {
		patches = append(patches, randomPatch(r))
	}
	return patches
}

// A view says what the product of it says, byte for byte, also with a use that its
// record does not show yet.
func TestViewsAreTheProducts(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for i, p := range corpus() {
			id := fmt.Sprint(i)
			w.upsert(id, p)
			w.requireView(id)
			nudge(w.clock, 1)
			w.use(id)
			w.requireView(id)
		}
		inline := w.createInline("inline")
		require.False(t, inline.Listed)
		w.requireView("inline")

		for _, o := range []catalog.ListOptions{{}, {Limit: 3}, {Unlisted: true, Limit: 200}, {MaxBytes: 9000}, {Prefix: "1"}} {
			page, err := w.c().List(t.Context(), acme, o)
			require.NoError(t, err)
			n := 0
			info, err := w.c().ListViews(t.Context(), acme, o, func(v catalog.ProductView) error {
				requireViewOf(t, page.Products[n], v)
				n++
				return nil
			})
			require.NoError(t, err)
			require.Len(t, page.Products, n)
			require.Equal(t, catalog.PageInfo{NextCursor: page.NextCursor, HasMore: page.HasMore}, info)
		}
		var all []*catalog.Product
		for p, err := range w.c().All(t.Context(), acme, catalog.AllOptions{Unlisted: true}) {
			require.NoError(t, err)
			all = append(all, p)
		}
		n := 0
		for v, err := range w.c().AllViews(t.Context(), acme, catalog.AllOptions{Unlisted: true}) {
			require.NoError(t, err)
			requireViewOf(t, all[n], v)
			n++
		}
		require.Len(t, all, n)
		for v, err := range w.c().AllViews(t.Context(), acme, catalog.AllOptions{}) {
			require.NoError(t, err)
			require.NotEmpty(t, v.ExternalID())
			break
		}
	})
}

// Real products have the same JSON by a view as by a product.
func TestViewsOfRealProducts(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "shared", "data", "products.ndjson"))
	if err != nil {
		t.Skip("there is no such data here: ", err)
	}
	w := memoryWorld(t)
	for line := range bytes.Lines(data) {
		u, err := productjson.Decode(line, productjson.Options{})
		require.NoError(t, err)
		id, ok := u.ExternalID.Get()
		require.True(t, ok)
		w.upsert(id, u.Patch)
		w.requireView(id)
	}
}

// What a view gives is the caller's to keep as a product: later reads change it no
// more than edits.
func TestTheProductOfAViewIsTheCallers(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.upsert("p", withImage(catalog.Patch{Metadata: catalog.Set(json.RawMessage(`{"a":1}`)), Title: catalog.Set("kept")}))
		w.upsert("q", withImage(catalog.Patch{Metadata: catalog.Set(json.RawMessage(`{"b":2}`)), Title: catalog.Set("other")}))
		for range 3 {
			var p *catalog.Product
			require.NoError(t, w.c().View(t.Context(), acme, "p", func(v catalog.ProductView) error {
				p = v.Product()
				return nil
			}))
			for range 5 {
				require.NoError(t, w.c().View(t.Context(), acme, "q", func(catalog.ProductView) error { return nil }))
			}
			require.Equal(t, "kept", p.Title)
			require.JSONEq(t, `{"a":1}`, string(p.Metadata))
			copy(p.Metadata, `{"x":9}`)
			require.JSONEq(t, `{"a":1}`, string(w.get("p").Metadata))
		}
	})
}

// The callback runs once where a product lives, not at all where none does, and its
// error comes back as it is.
func TestViewRunsOnce(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		runs := 0
		count := func(catalog.ProductView) error { runs++; return nil }
		require.ErrorIs(t, w.c().View(t.Context(), acme, "p", count), catalog.ErrNotFound)
		requireFaults(t, w.c().View(t.Context(), acme, "..", count), map[string]catalog.Code{"externalId": catalog.CodeValidationFailed})
		w.createFor("p", 1)
		w.clock.Advance(day - 1)
		require.NoError(t, w.c().View(t.Context(), acme, "p", count))
		require.Equal(t, 1, runs)
		own := errors.New("the caller's")
		require.Equal(t, own, w.c().View(t.Context(), acme, "p", func(catalog.ProductView) error { return own }))
		_, err := w.c().ListViews(t.Context(), acme, catalog.ListOptions{}, func(catalog.ProductView) error { return own })
		require.Equal(t, own, err)
		w.clock.Advance(1)
		require.ErrorIs(t, w.c().View(t.Context(), acme, "p", count), catalog.ErrNotFound)
		_, err = w.c().ListViews(t.Context(), acme, catalog.ListOptions{}, count)
		require.NoError(t, err)
		require.Equal(t, 1, runs)
	})
}

// A callback may end a page, which goes on behind its last product.
func TestEndOfAPageOfViews(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for i := range 7 {
			w.create(fmt.Sprint(i))
		}
		var got []string
		o, pages := catalog.ListOptions{}, 0
		for {
			n := 0
			info, err := w.c().ListViews(t.Context(), acme, o, func(v catalog.ProductView) error {
				if n++; n > 3 {
					return fmt.Errorf("full: %w", catalog.ErrEndPage)
				}
				got = append(got, string(v.ExternalID()))
				return nil
			})
			require.NoError(t, err)
			pages++
			require.Equal(t, len(got) < 7, info.HasMore)
			if o.Cursor = info.NextCursor; !info.HasMore {
				break
			}
		}
		require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6"}, got)
		require.Equal(t, 3, pages)
		_, err := w.c().ListViews(t.Context(), acme, catalog.ListOptions{}, func(catalog.ProductView) error { return catalog.ErrEndPage })
		require.ErrorIs(t, err, catalog.ErrEndPage, "a page of nothing goes on nowhere")
	})
}

// Callbacks may read the catalog, and write to it; while it is being closed, which
// waits for them, they get ErrClosed.
func TestViewsReadTheCatalog(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.create("p")
		w.create("q")
		c := w.c()
		nested := func(v catalog.ProductView) error {
			before := string(v.AppendJSON(nil))
			if _, err := c.Get(t.Context(), acme, "q"); err != nil {
				return err
			}
			title := fmt.Sprint(string(v.Title()), "x")
			_, err := c.Upsert(t.Context(), acme, string(v.ExternalID()), catalog.Patch{Title: catalog.Set(title)})
			require.Equal(t, before, string(v.AppendJSON(nil)), "no edit changes a view")
			return err
		}
		for range 3 {
			require.NoError(t, c.View(t.Context(), acme, "p", nested))
			_, err := c.ListViews(t.Context(), acme, catalog.ListOptions{}, nested)
			require.NoError(t, err)
		}
		require.Equal(t, "xxxxxx", w.get("p").Title)
	})
	w := memoryWorld(t)
	w.create("p")
	c, closed := w.c(), make(chan error, 1)
	err := c.View(t.Context(), acme, "p", func(v catalog.ProductView) error {
		go func() { closed <- c.Close() }()
		for c.Ready() == nil { // until Close has begun
		}
		require.ErrorIs(t, c.View(t.Context(), acme, "p", func(catalog.ProductView) error { return nil }), catalog.ErrClosed)
		select {
		case <-closed:
			t.Error("closed while a callback ran")
		default:
		}
		require.Equal(t, "p", string(v.ExternalID()))
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, <-closed)
	w.reopen()
}

// What is damaged is told by views as by Get and List, and shown to no callback.
func TestViewsOfDamage(t *testing.T) {
	for name, change := range map[string]func(record []byte) []byte{
		"a byte": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"its shape, under a right checksum": func(b []byte) []byte {
			// The last element of the last image is no element; the checksum stands at 5.
			b[len(b)-1] = 0xc1
			sum := crc32.Update(binary.BigEndian.Uint32(b), crc32.MakeTable(crc32.Castagnoli), b[9:])
			binary.BigEndian.PutUint32(b[5:], sum)
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := behindGlass(t, catalog.Options{})
			w.create("a")
			w.create("p")
			w.create("q")
			key := encoding.AppendProductKey(nil, acme, "p")
			var sound []byte
			w.write(func(txn backend.Txn) error {
				_, err := txn.Get(context.Background(), key, func(v []byte) error {
					sound = append([]byte(nil), v...)
					return nil
				})
				require.NoError(t, err)
				return txn.Put(key, change(append([]byte(nil), sound...)))
			})
			ctx := t.Context()
			for range 3 {
				var seen []string
				see := func(v catalog.ProductView) error {
					seen = append(seen, string(v.ExternalID()))
					return nil
				}
				require.ErrorIs(t, w.c().View(ctx, acme, "p", see), catalog.ErrDamaged)
				require.Empty(t, seen)
				var damage *catalog.DamageError
				_, err := w.c().ListViews(ctx, acme, catalog.ListOptions{}, see)
				require.ErrorAs(t, err, &damage)
				require.Equal(t, "p", damage.ExternalID)
				require.Equal(t, []string{"a"}, seen)
				seen = nil
				info, err := w.c().ListViews(ctx, acme, catalog.ListOptions{PastDamage: true}, see)
				require.NoError(t, err)
				require.Len(t, info.Damaged, 1)
				require.Equal(t, []string{"a", "q"}, seen)
				_, err = w.c().GetMany(ctx, acme, []string{"a", "p", "q"})
				require.ErrorAs(t, err, &damage)
				require.Equal(t, "p", damage.ExternalID)
				_, err = w.c().Edit(ctx, acme, "p", func(catalog.ProductView) (catalog.Patch, error) {
					t.Error("shown to a callback")
					return catalog.Patch{}, nil
				})
				require.ErrorIs(t, err, catalog.ErrDamaged)
			}
			w.write(func(txn backend.Txn) error { return txn.Put(key, sound) })
		})
	}
}

// A view of what is in memory costs no allocation, nor do its fields, its JSON and
// its entity tag.
func TestViewsCostNoAllocation(t *testing.T) {
	if modelRaceFactor > 1 {
		t.Skip("the race detector allocates")
	}
	w := memoryWorld(t)
	c := w.c()
	w.upsert("p", benchPatch(1))
	ctx := t.Context()
	buf := make([]byte, 0, 4096)
	sum := 0
	untouched := func(catalog.ProductView) error { return nil }
	fields := func(v catalog.ProductView) error {
		sum += len(v.Title()) + len(v.Description()) + len(v.Metadata()) + v.ValidForDays()
		for i := range v.Images() {
			sum += len(i.SourceURL()) + len(i.Classifications())
		}
		return nil
	}
	written := func(v catalog.ProductView) error {
		buf = v.AppendETag(v.AppendJSON(buf[:0]))
		return nil
	}
	for range 3 {
		require.NoError(t, c.View(ctx, acme, "p", untouched))
	}
	for name, fn := range map[string]func(catalog.ProductView) error{"untouched": untouched, "fields": fields, "written": written} {
		require.Zero(t, testing.AllocsPerRun(100, func() {
			if err := c.View(ctx, acme, "p", fn); err != nil {
				t.Error(err)
			}
		}), name)
	}
}
