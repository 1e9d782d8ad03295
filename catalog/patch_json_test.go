package catalog_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productjson"
)

func images(images ...catalog.NewImage) catalog.Optional[[]catalog.NewImage] {
	return catalog.Set(images)
}

// The JSON form of a patch is the one that POST /products takes, and is read back
// as the same patch.
func TestPatchJSON(t *testing.T) {
	raw := func(s string) catalog.Optional[json.RawMessage] { return catalog.Set(json.RawMessage(s)) }
	for _, tt := range []struct {
		name  string
		patch catalog.Patch
		want  string
	}{
		{"nothing", catalog.Patch{}, `{}`},
		{"values", catalog.Patch{
			Title: catalog.Set("a <b> \"\u2028"), Description: catalog.Set(""), Metadata: raw(`{"n":1E2}`), ValidForDays: catalog.Set(30),
			Images: images(
				catalog.NewImage{URL: "https://cdn.example/?a=1&b=<2>"},
				catalog.NewImage{URL: "upload://0123456789abcdef0123456789abcdef", Classifications: json.RawMessage(`{"view":"front"}`)},
			),
		}, `{"title":"a <b> \" ","description":"","images":[{"source":{"url":"https://cdn.example/?a=1&b=<2>"}},` +
			`{"source":{"url":"upload://0123456789abcdef0123456789abcdef"},"classifications":{"view":"front"}}],"metadata":{"n":1E2},"validForDays":30}`},
		{"nulls", catalog.Patch{
			Title: catalog.Null[string](), Description: catalog.Null[string](), Images: catalog.Null[[]catalog.NewImage](),
			Metadata: catalog.Null[json.RawMessage](), ValidForDays: catalog.Null[int](),
		}, `{"title":null,"description":null,"images":null,"metadata":null,"validForDays":null}`},
		{"not first", catalog.Patch{ValidForDays: catalog.Set(-1)}, `{"validForDays":-1}`},
		{"no images", catalog.Patch{Images: images([]catalog.NewImage{}...)}, `{"images":[]}`},
	} {
		got, err := tt.patch.AppendJSON([]byte("dst"))
		require.NoError(t, err, tt.name)
		require.Equal(t, "dst"+tt.want, string(got), tt.name)
		marshaled, err := json.Marshal(struct{ Patch catalog.Patch }{tt.patch})
		require.NoError(t, err, tt.name)
		require.JSONEq(t, `{"Patch":`+tt.want+`}`, string(marshaled), tt.name)
		u, err := productjson.Decode([]byte(tt.want), productjson.Options{Strict: true})
		require.NoError(t, err, tt.name)
		require.Equal(t, tt.patch, u.Patch, tt.name)
	}
	for name, tt := range map[string]struct {
		patch catalog.Patch
		want  string
	}{
		"white space":       {catalog.Patch{Metadata: raw(" {\n\"a\" : [1.50 , \"\\u00e9\"] } ")}, `{"metadata":{"a":[1.50,"\u00e9"]}}`},
		"nil raw JSON":      {catalog.Patch{Metadata: catalog.Set[json.RawMessage](nil)}, `{"metadata":null}`},
		"nil images":        {catalog.Patch{Images: catalog.Set[[]catalog.NewImage](nil)}, `{"images":[]}`},
		"without a source":  {catalog.Patch{Images: images(catalog.NewImage{})}, `{"images":[{"source":{}}]}`},
		"null in the entry": {catalog.Patch{Images: images(catalog.NewImage{URL: "x", Classifications: json.RawMessage("null")})}, `{"images":[{"source":{"url":"x"},"classifications":null}]}`},
	} {
		got, err := tt.patch.AppendJSON(nil)
		require.NoError(t, err, name)
		require.Equal(t, tt.want, string(got), name)
	}
}

// A patch that JSON can't carry is an error that names the field.
func TestPatchWithoutJSON(t *testing.T) {
	url := catalog.NewImage{URL: "https://cdn.example/a.jpg"}
	for _, tt := range []struct {
		patch catalog.Patch
		path  string
	}{
		{catalog.Patch{Images: images(url, catalog.NewImage{Upload: upload(smallImage)})}, "images.1: "},
		{catalog.Patch{Images: images(catalog.NewImage{Staged: "0123456789abcdef0123456789abcdef"})}, "images.0: "},
		{catalog.Patch{Images: images(catalog.NewImage{URL: url.URL, Upload: upload(smallImage)})}, "images.0: "},
		{catalog.Patch{Images: images(catalog.NewImage{URL: "\xff"})}, "images.0.source.url: "},
		{catalog.Patch{Images: images(catalog.NewImage{URL: url.URL, Classifications: json.RawMessage(`{"a":`)})}, "images.0.classifications: "},
		{catalog.Patch{Title: catalog.Set("\xff")}, "title: "},
		{catalog.Patch{Description: catalog.Set("\xff")}, "description: "},
		{catalog.Patch{Metadata: catalog.Set(json.RawMessage{})}, "metadata: "},
		{catalog.Patch{Metadata: catalog.Set(json.RawMessage(`{"a":1,"a":2}`))}, "metadata: "},
		{catalog.Patch{Metadata: catalog.Set(json.RawMessage(`1 2`))}, "metadata: "},
	} {
		got, err := tt.patch.AppendJSON([]byte("dst"))
		require.ErrorContains(t, err, tt.path)
		require.Equal(t, "dst", string(got), tt.path)
		_, err = json.Marshal(tt.patch)
		require.ErrorContains(t, err, tt.path)
	}
}

// What a caller keeps as JSON comes back: a product held by value, and a version.
func TestJSONOfValues(t *testing.T) {
	p := memoryWorld(t).upsert("a", fullPatch())
	raw, err := json.Marshal(*p)
	require.NoError(t, err)
	require.JSONEq(t, string(p.AppendJSON(nil)), string(raw))
	raw, err = json.Marshal(map[string]any{"v": p.Version()})
	require.NoError(t, err)
	var back struct{ V catalog.Version }
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, p.Version(), back.V)
	require.Error(t, json.Unmarshal([]byte(`{"v":""}`), &back))
	require.Error(t, json.Unmarshal([]byte(`{"v":"AAAA"}`), &back))
	require.Equal(t, p.Version(), back.V)
}
