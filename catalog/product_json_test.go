package catalog_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// blobIDs are random: the golden file names them by their order.
var blobIDs = regexp.MustCompile(`upload://[0-9a-f]{32}`)

// versions are random too.
var versions = regexp.MustCompile(`"version":"[A-Za-z0-9_-]{22}"`)

// contract 1: the JSON form, byte for byte. It is compact, all names are always
// present, null when empty; of an image only sourceUrl and order always are.
func TestProductJSON(t *testing.T) {
	golden := filepath.Join("testdata", "products.golden")
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		var out bytes.Buffer
		write := func(p *catalog.Product) {
			t.Helper()
			body := p.AppendJSON(nil)
			require.True(t, json.Valid(body))
			require.Equal(t, string(body), string(w.get(p.ExternalID).AppendJSON(nil)))
			require.Equal(t, "dst"+string(body), string(p.AppendJSON([]byte("dst"))))
			require.Contains(t, string(body), `"version":"`+p.Version().String()+`"`)
			body = versions.ReplaceAll(body, []byte(`"version":"…"`))
			out.Write(blobIDs.ReplaceAll(body, []byte("upload://…")))
			out.WriteByte('\n')
		}
		write(w.create("minimal"))
		write(w.upsert("full/shirt-42", fullPatch()))
		w.clock.Advance(1234567 * time.Microsecond) // cut to milliseconds
		_, err := w.c().Use(t.Context(), acme, "full/shirt-42")
		require.NoError(t, err)
		write(w.upsert("full/shirt-42", catalog.Patch{
			Title:       catalog.Set("\"quoted\" \\ <b>&amp;</b> \u2028 \x00\x1f\x7f 🧦 é"),
			Description: catalog.Set("line\nbreak\ttab"),
			Images: catalog.Set([]catalog.NewImage{
				{URL: "https://cdn.example/a.jpg?x=1&y=<2>"},
				{Upload: upload(smallImage), Classifications: json.RawMessage(`{"z":1,"a":{"k":[]}}`)},
				{Upload: upload(chunkImage)},
			}),
			Metadata: catalog.Set(json.RawMessage(`[1E2, 1.50 ,-0,"\u00e9\/<",{"b":{ },"a":null}]`)),
		}))
		res, err := w.c().UpsertInline(t.Context(), acme, "inline", withImage(catalog.Patch{}))
		require.NoError(t, err)
		write(res.Product)

		if *update {
			require.NoError(t, os.WriteFile(golden, out.Bytes(), 0o666))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), out.String())
	})
}

// MarshalJSON gives the same value; its encoder may change escapes.
func TestProductMarshalJSON(t *testing.T) {
	w := memoryWorld(t)
	p := w.upsert("a<b>", fullPatch())
	raw, err := json.Marshal(p)
	require.NoError(t, err)
	require.JSONEq(t, string(p.AppendJSON(nil)), string(raw))
	var exact bytes.Buffer
	e := json.NewEncoder(&exact)
	e.SetEscapeHTML(false)
	require.NoError(t, e.Encode(p))
	require.Equal(t, string(p.AppendJSON(nil))+"\n", exact.String())

	for _, spoil := range []func(p *catalog.Product){
		func(p *catalog.Product) { p.Title = "\xff" },
		func(p *catalog.Product) { p.Metadata = json.RawMessage(`{`) },
	} {
		p := w.get("a<b>")
		spoil(p)
		_, err := json.Marshal(p)
		require.Error(t, err, "a caller's product may be no JSON")
	}
}
