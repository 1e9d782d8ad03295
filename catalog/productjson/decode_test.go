package productjson_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productjson"
)

const (
	wrong    = catalog.CodeValidationFailed
	noID     = catalog.CodeExternalIDRequired
	noImages = catalog.CodeImagesRequired
	badInput = catalog.CodeInvalidImageInput
	noFile   = catalog.CodeFileNotFound
	badImage = catalog.CodeInvalidImage
)

func open(t testing.TB) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// faults decodes text and returns all that is wrong with it as "path CODE".
func faults(t *testing.T, c *catalog.Catalog, text string, o productjson.Options) []string {
	t.Helper()
	u, err := productjson.Decode([]byte(text), o)
	if err == nil {
		err = u.Validate(c, "acct")
		require.False(t, err == nil && u.Faulty(), "Faulty, and yet Validate finds nothing")
	}
	return list(t, err)
}

func list(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var invalid *catalog.ValidationError
	require.ErrorAs(t, err, &invalid)
	require.NotEmpty(t, invalid.Fields)
	var out []string
	for _, f := range invalid.Fields {
		require.NotEmpty(t, f.Message)
		require.NotContains(t, f.Message, "jsontext")
		out = append(out, fmt.Sprintf("%s %s", f.Path, f.Code))
	}
	return out
}

func f(path string, code catalog.Code) string { return fmt.Sprintf("%s %s", path, code) }

// files is an Options.Files that knows "good", "bad" and "broken".
func files(fileKey string) (*catalog.Upload, error) {
	switch fileKey {
	case "good", "good2":
		return catalog.NewUpload(strings.NewReader("x")), nil
	case "bad":
		return nil, &catalog.ValidationError{Fields: []catalog.FieldError{{Code: badImage, Message: "not an image"}}}
	case "broken":
		return nil, io.ErrClosedPipe
	}
	return nil, nil
}

func TestFaults(t *testing.T) {
	c := open(t)
	const src = `{"source":{"url":"https://a.example/x"}}`
	deep := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		// contract 6: JSON is read strictly.
		{"empty", "", []string{f("", wrong)}},
		{"white space", " \n", []string{f("", wrong)}},
		{"not an object", `[1]`, []string{f("", wrong)}},
		{"null", `null`, []string{f("", wrong)}},
		{"string", `"x"`, []string{f("", wrong)}},
		{"cut off", `{"title":"a"`, []string{f("", wrong)}},
		{"syntax", `{"title":}`, []string{f("", wrong)}},
		{"trailing value", `{} {}`, []string{f("", wrong)}},
		{"trailing rubbish", `{}x`, []string{f("", wrong)}},
		{"byte order mark", "\xef\xbb\xbf{}", []string{f("", wrong)}},
		{"invalid UTF-8", "{\"title\":\"\xff\"}", []string{f("", wrong)}},
		{"lone surrogate", `{"title":"\ud800"}`, []string{f("", wrong)}},
		{"lone surrogate in unknown", `{"later":{"x":["\udc00"]}}`, []string{f("", wrong)}},
		{"duplicate name", `{"title":"a","title":"b"}`, []string{f("title", wrong)}},
		{"duplicate name by escape", `{"title":"a","\u0074itle":"b"}`, []string{f("title", wrong)}},
		{"duplicate name deep", `{"metadata":{"a":[{"b":1,"b":2}]}}`, []string{f("metadata.a.0.b", wrong)}},
		{"duplicate name in unknown", `{"later":{"b":1,"b":2}}`, []string{f("later.b", wrong)}},
		{"surrogate pair", `{"title":"\ud83d\ude00"}`, nil},
		{"white space around", " {} \n", nil},

		// contract 6: names are case-sensitive; 3: unknown ones are ignored.
		{"case", `{"Title":5,"IMAGES":5,"later":[{}]}`, nil},
		{"empty object", `{}`, nil},

		// contract 2, 6: externalId.
		{"id", `{"externalId":"a/../b"}`, nil},
		{"id null", `{"externalId":null}`, []string{f("externalId", wrong)}},
		{"id empty", `{"externalId":""}`, []string{f("externalId", wrong)}},
		{"id number", `{"externalId":5}`, []string{f("externalId", wrong)}},
		{"id dot", `{"externalId":".."}`, []string{f("externalId", wrong)}},
		{"id control", `{"externalId":"a\u0000"}`, []string{f("externalId", wrong)}},

		// contract 3: null.
		{"title null", `{"title":null}`, []string{f("title", wrong)}},
		{"description null", `{"description":null}`, []string{f("description", wrong)}},
		{"images null", `{"images":null}`, []string{f("images", wrong)}},
		{"imageUrls null", `{"imageUrls":null}`, []string{f("imageUrls", wrong)}},
		{"metadata null", `{"metadata":null}`, nil},
		{"validForDays null", `{"validForDays":null}`, nil},

		// Types.
		{"title number", `{"title":5}`, []string{f("title", wrong)}},
		{"description list", `{"description":[]}`, []string{f("description", wrong)}},
		{"images object", `{"images":{}}`, []string{f("images", wrong)}},
		{"imageUrls string", `{"imageUrls":"https://a.example/"}`, []string{f("imageUrls", wrong)}},
		{"entries", `{"images":[null,5,"x",[],true]}`,
			[]string{f("images.0", wrong), f("images.1", wrong), f("images.2", wrong), f("images.3", wrong), f("images.4", wrong)}},
		{"source string", `{"images":[{"source":"https://a.example/x"}]}`, []string{f("images.0.source", wrong)}},
		{"url number", `{"images":[{"source":{"url":5}}]}`, []string{f("images.0.source.url", wrong)}},
		{"fileKey number", `{"images":[{"source":{"fileKey":5}}]}`, []string{f("images.0.source.fileKey", wrong)}},
		{"sourceUrl object", `{"images":[{"sourceUrl":{}}]}`, []string{f("images.0.sourceUrl", wrong)}},
		{"classifications list", `{"images":[{"source":{"url":"https://a.example/x"},"classifications":[]}]}`,
			[]string{f("images.0.classifications", wrong)}},
		{"imageUrls entries", `{"imageUrls":["https://a.example/x",5,null,""]}`,
			[]string{f("imageUrls.1", wrong), f("imageUrls.2", wrong), f("imageUrls.3", wrong)}},

		// contract 1: validForDays.
		{"days 0", `{"validForDays":0}`, []string{f("validForDays", wrong)}},
		{"days 366", `{"validForDays":366}`, []string{f("validForDays", wrong)}},
		{"days fraction", `{"validForDays":1.5}`, []string{f("validForDays", wrong)}},
		{"days string", `{"validForDays":"15"}`, []string{f("validForDays", wrong)}},
		{"days true", `{"validForDays":true}`, []string{f("validForDays", wrong)}},
		{"days huge", `{"validForDays":1e999999999999999999999}`, []string{f("validForDays", wrong)}},
		{"days tiny", `{"validForDays":1e-999999999999999999999}`, []string{f("validForDays", wrong)}},
		{"days 15.0", `{"validForDays":15.0}`, nil},
		{"days 1.5e1", `{"validForDays":1.5e1}`, nil},
		{"days 365", `{"validForDays":365}`, nil},

		// contract 3: image entries.
		{"empty list", `{"images":[]}`, []string{f("images", noImages)}},
		{"empty url list", `{"imageUrls":[]}`, []string{f("imageUrls", noImages)}},
		{"neither", `{"images":[{},{"source":{}},{"source":null},{"source":{"url":null,"fileKey":null}},{"classifications":{}}]}`,
			[]string{f("images.0.source", badInput), f("images.1.source", badInput), f("images.2.source", badInput), f("images.3.source", badInput), f("images.4.source", badInput)}},
		{"both", `{"images":[{"source":{"url":"https://a.example/x","fileKey":"good"}}]}`, []string{f("images.0.source", badInput)}},
		{"both, flat", `{"images":[{"url":"https://a.example/x","fileKey":"good"}]}`, []string{f("images.0", badInput)}},
		{"null is absent", `{"images":[{"source":{"url":"https://a.example/x","fileKey":null},"classifications":null,"url":null,"fileKey":null,"sourceUrl":null}]}`, nil},
		{"empty is not absent", `{"images":[{"source":{"url":"","fileKey":"good"}}]}`,
			[]string{f("images.0.source", badInput), f("images.0.source.url", wrong)}},
		{"empty url", `{"images":[{"source":{"url":""}}]}`, []string{f("images.0.source.url", wrong)}},
		{"empty flat url", `{"images":[{"url":""}]}`, []string{f("images.0.url", wrong)}},
		{"empty sourceUrl", `{"images":[{"sourceUrl":""}]}`, []string{f("images.0.sourceUrl", wrong)}},
		{"empty fileKey", `{"images":[{"source":{"fileKey":""}}]}`, []string{f("images.0.source.fileKey", wrong)}},
		{"mixed", `{"images":[{"source":{"url":"https://a.example/x"},"url":"https://a.example/x"}]}`, []string{f("images.0", wrong)}},
		{"mixed file", `{"images":[{"source":{"url":"https://a.example/x"},"fileKey":"good"}]}`, []string{f("images.0", wrong)}},
		{"mixed returned", `{"images":[{"source":{"url":"https://a.example/x"},"sourceUrl":"https://a.example/x"}]}`, []string{f("images.0", wrong)}},
		{"mixed returned and flat", `{"images":[{"sourceUrl":"https://a.example/x","url":"https://a.example/x"}]}`, []string{f("images.0", wrong)}},
		{"images and imageUrls", `{"imageUrls":["https://a.example/x"],"images":[` + src + `]}`, []string{f("imageUrls", wrong)}},
		{"images and bad imageUrls", `{"imageUrls":["https://a.example/x",5,null,"ftp://a.example/"],"images":[{"source":{"url":"x"}}]}`,
			[]string{f("imageUrls", wrong), f("imageUrls.1", wrong), f("imageUrls.2", wrong), f("images.0.source.url", wrong)}},
		{"images and no imageUrls", `{"images":[` + src + `],"imageUrls":5}`, []string{f("imageUrls", wrong), f("imageUrls", wrong)}},
		{"images and null imageUrls", `{"images":[` + src + `],"imageUrls":null}`, []string{f("imageUrls", wrong)}},
		{"images null and imageUrls", `{"images":null,"imageUrls":["x"]}`, []string{f("images", wrong), f("imageUrls", wrong)}},
		{"bad url", `{"images":[{"source":{"url":"ftp://a.example/x"}},{"url":"x"},{"sourceUrl":"/x"}]}`,
			[]string{f("images.0.source.url", wrong), f("images.1.url", wrong), f("images.2.sourceUrl", wrong)}},
		{"bad url in list", `{"imageUrls":["https://a.example/x","x"]}`, []string{f("imageUrls.1", wrong)}},
		{"bad reference", `{"images":[{"sourceUrl":"upload://x"}]}`, []string{f("images.0.sourceUrl", wrong)}},
		{"file", `{"images":[{"source":{"fileKey":"good"}},{"source":{"fileKey":"good"}},{"fileKey":"good2"}]}`, nil},
		{"no file", `{"images":[{"source":{"fileKey":"lost"}},{"fileKey":"lost"}]}`,
			[]string{f("images.0.source.fileKey", noFile), f("images.1.fileKey", noFile)}},
		{"bad file", `{"images":[{"source":{"fileKey":"bad"}},{"fileKey":"bad"}]}`,
			[]string{f("images.0.source.fileKey", badImage), f("images.1.fileKey", badImage)}},
		{"unknown in entry", `{"images":[{"source":{"url":"https://a.example/x","later":1},"later":[],"order":"x"}]}`, nil},
		{"too many", `{"images":[` + strings.Repeat(src+",", 32) + `5,5,5]}`, []string{f("images", wrong)}},
		{"32", `{"images":[` + strings.Repeat(src+",", 31) + src + `]}`, nil},

		// contract 6: nesting counts from the body's root.
		{"metadata 64", `{"metadata":` + deep(63) + `}`, nil},
		{"metadata 65", `{"metadata":` + deep(64) + `}`, []string{f("metadata", wrong)}},
		{"unknown 65", `{"later":` + deep(64) + `}`, []string{f("later", wrong)}},
		{"classifications 64", `{"images":[{"url":"https://a.example/x","classifications":{"a":` + deep(60) + `}}]}`, nil},
		{"classifications 65", `{"images":[{"url":"https://a.example/x","classifications":{"a":` + deep(61) + `}}]}`,
			[]string{f("images.0.classifications", wrong)}},
		{"entry 65", `{"images":[{"url":"https://a.example/x","later":` + deep(62) + `}]}`, []string{f("images.0.later", wrong)}},
		{"source 65", `{"images":[{"source":{"url":"https://a.example/x","later":` + deep(61) + `}}]}`, []string{f("images.0.source.later", wrong)}},
		{"bottomless", `{"metadata":` + deep(20_000) + `}`, []string{f("metadata", wrong)}},
		{"brackets in strings", `{"metadata":"` + strings.Repeat(`[\"`, 100) + `"}`, nil},

		// contract 6: every offending field, in the order of the body.
		{"all", `{"validForDays":0,"title":5,"images":[{"source":{}},{"source":{"url":"x"},"classifications":5},{"fileKey":"lost"}],"externalId":"."}`,
			[]string{f("validForDays", wrong), f("title", wrong), f("images.0.source", badInput), f("images.1.source.url", wrong),
				f("images.1.classifications", wrong), f("images.2.fileKey", noFile), f("externalId", wrong)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := faults(t, c, tc.text, productjson.Options{Files: files})
			require.ElementsMatch(t, tc.want, got)
			if tc.name == "all" {
				require.Equal(t, tc.want, got, "the order is that of the body")
			}
		})
	}
}

func TestRequireExternalID(t *testing.T) {
	// contract 6: EXTERNAL_ID_REQUIRED for absent, null and "".
	c := open(t)
	o := productjson.Options{RequireExternalID: true}
	for _, text := range []string{`{}`, `{"externalId":null}`, `{"externalId":""}`} {
		require.Equal(t, []string{f("externalId", noID)}, faults(t, c, text, o), text)
	}
	require.Equal(t, []string{f("externalId", wrong)}, faults(t, c, `{"externalId":5}`, o))
	require.Equal(t, []string{f("externalId", noID), f("title", wrong)}, faults(t, c, `{"title":5}`, o))
}

func TestMember(t *testing.T) {
	// contract 6: error paths carry the member's name.
	c := open(t)
	o := productjson.Options{Member: "product"}
	deep := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }
	for text, want := range map[string][]string{
		`{"product":{"images":[{"source":{"url":"x"}},{"url":"x"}]}}`: {f("product.images.0.source.url", wrong), f("product.images.1.url", wrong)},
		`{"product":{"images":[{"source":{"fileKey":"good"}}]}}`:      {f("product.images.0.source.fileKey", noFile)},
		`{"product":{"imageUrls":["x"],"title":5}}`:                   {f("product.imageUrls.0", wrong), f("product.title", wrong)},
		`{"product":{}}`:                      nil,
		`{"product":null}`:                    {f("product", wrong)},
		`{"product":[]}`:                      {f("product", wrong)},
		`{"prodigy":{}}`:                      {f("product", wrong)},
		`[]`:                                  {f("", wrong)},
		`{"title":5,"product":{"title":"x"}}`: nil,
		`{"product":{"images":[{"sourceUrl":"https://a.example/x","classifications":{"a":` + deep(59) + `}}]}}`: nil,
		`{"product":{"images":[{"sourceUrl":"https://a.example/x","classifications":{"a":` + deep(60) + `}}]}}`: {f("product.images.0.classifications", wrong)},
		`{"product":{"a":1,"a":2}}`:                                     {f("product.a", wrong)},
		`{"product":{"metadata":` + deep(62) + `}}`:                     nil,
		`{"product":{"metadata":` + deep(63) + `}}`:                     {f("product.metadata", wrong)},
		`{"photo":` + deep(64) + `,"product":{"title":null}}`:           {f("product.title", wrong), f("photo", wrong)},
		`{"photo":` + deep(64) + `}`:                                    {f("product", wrong), f("photo", wrong)},
		`{"product":{"externalId":"` + strings.Repeat("x", 256) + `"}}`: {f("product.externalId", wrong)},
	} {
		require.Equal(t, want, faults(t, c, text, o), text)
	}
	u, err := productjson.Decode([]byte(`{"product":{"imageUrls":["https://a.example/x"]}}`), o)
	require.NoError(t, err)
	stored := &catalog.ValidationError{Fields: []catalog.FieldError{
		{Path: "images.0.source.url", Code: wrong, Message: "m"}, {Path: "images", Code: noImages, Message: "m"}, {Path: "externalId", Code: wrong, Message: "m"},
	}}
	require.Equal(t, []string{f("product.externalId", wrong), f("product.imageUrls", noImages), f("product.imageUrls.0", wrong)},
		list(t, u.Rewrite(fmt.Errorf("upsert: %w", stored))))
	require.Equal(t, "images.0.source.url", stored.Fields[0].Path, "the original stays as it is")
	require.NoError(t, u.Rewrite(nil))
	require.Equal(t, io.EOF, u.Rewrite(io.EOF))
}

func TestPatch(t *testing.T) {
	// contract 3: absent, null and a value are three different things.
	decode := func(text string) *productjson.Upsert {
		u, err := productjson.Decode([]byte(text), productjson.Options{Files: files})
		require.NoError(t, err)
		require.False(t, u.Faulty())
		return u
	}
	u := decode(`{"externalId":"a"}`)
	require.Equal(t, catalog.Set("a"), u.ExternalID)
	require.True(t, u.Patch.IsEmpty())
	require.False(t, u.SetsFields)
	require.False(t, u.Deprecated)

	u = decode(`{"title":"","description":"\u00e9","metadata": {"a": 1.00} ,"validForDays":2e1,` +
		`"images":[{"source":{"url":"https://a.example/x"},"classifications":{"a": "b"}},{"sourceUrl":"https://a.example/y","classifications":null}]}`)
	require.True(t, u.ExternalID.IsAbsent())
	require.True(t, u.SetsFields)
	require.False(t, u.Deprecated)
	require.Equal(t, catalog.Set(""), u.Patch.Title)
	require.Equal(t, catalog.Set("é"), u.Patch.Description)
	require.Equal(t, catalog.Set(20), u.Patch.ValidForDays)
	metadata, _ := u.Patch.Metadata.Get()
	require.Equal(t, `{"a": 1.00}`, string(metadata))
	images, _ := u.Patch.Images.Get()
	require.Len(t, images, 2)
	require.Equal(t, "https://a.example/x", images[0].URL)
	require.Equal(t, `{"a": "b"}`, string(images[0].Classifications))
	require.Nil(t, images[0].Upload)
	require.Equal(t, "https://a.example/y", images[1].URL)
	require.Nil(t, images[1].Classifications)

	u = decode(`{"metadata":null,"validForDays":null}`)
	require.True(t, u.Patch.Metadata.IsNull())
	require.True(t, u.Patch.ValidForDays.IsNull())
	require.True(t, u.SetsFields)

	u = decode(`{"images":[{"source":{"fileKey":"good2"}},{"source":{"fileKey":"good"}},{"source":{"fileKey":"good2"}}]}`)
	require.Equal(t, []string{"good2", "good"}, u.FileKeys())
	images, _ = u.Patch.Images.Get()
	require.Same(t, images[0].Upload, images[2].Upload, "contract 3: one fileKey may serve several images")
	require.NotSame(t, images[0].Upload, images[1].Upload)

	for text, deprecated := range map[string]bool{
		`{"imageUrls":["https://a.example/x"]}`:                       true,
		`{"images":[{"url":"https://a.example/x"}]}`:                  true,
		`{"images":[{"fileKey":"good"}]}`:                             true,
		`{"images":[{"sourceUrl":"https://a.example/x"}]}`:            false,
		`{"images":[{"source":{"url":"https://a.example/x"}}]}`:       false,
		`{"images":[{"url":null,"sourceUrl":"https://a.example/x"}]}`: false,
	} {
		require.Equal(t, deprecated, decode(text).Deprecated, text)
	}
}

func TestDeprecatedBeyondTheLimit(t *testing.T) {
	// contract 6: a deprecated form is answered with a Deprecation header, also
	// where the list is longer than is looked at.
	const src = `{"source":{"url":"https://a.example/x"}}`
	for entry, want := range map[string]bool{
		src: false, `{"sourceUrl":"https://a.example/x"}`: false, `5`: false, `["url"]`: false, `{"source":{"fileKey":"x"},"later":{"url":1}}`: false, `{}`: false,
		`{"url":null,"fileKey":null}`: false, `{"Url":5}`: false,
		`{"url":"https://a.example/x"}`: true, `{"fileKey":5}`: true, `{"later":[{}],"\u0075rl":""}`: true,
	} {
		for _, at := range []int{2, 3, 40} {
			entries := strings.Repeat(src+",", at) + entry + "," + src
			u, err := productjson.Decode([]byte(`{"images": [ `+entries+` ],"title":5}`), productjson.Options{Limits: catalog.Limits{Images: 2}})
			require.NoError(t, err)
			require.Equal(t, want, u.Deprecated, "%s at %d", entry, at)
			require.Equal(t, []string{f("images", wrong), f("title", wrong)}, list(t, u.Validate(open(t), "acct")))
		}
	}
}

func TestNamesProduct(t *testing.T) {
	for text, want := range map[string]bool{
		`{}`: false, `{"title":"x"}`: false, `[]`: false, `{"externalId":"a"}`: true, `{"externalId":null}`: true, `{"externalId":""}`: true, `{"externalId":5}`: true,
	} {
		u, err := productjson.Decode([]byte(text), productjson.Options{})
		require.NoError(t, err)
		require.Equal(t, want, u.NamesProduct, text)
	}
}

func TestFilesError(t *testing.T) {
	_, err := productjson.Decode([]byte(`{"images":[{"source":{"fileKey":"broken"}}]}`), productjson.Options{Files: files})
	require.ErrorIs(t, err, io.ErrClosedPipe)
	var invalid *catalog.ValidationError
	require.False(t, errors.As(err, &invalid))
}

func TestLimitsOfTheCatalog(t *testing.T) {
	c, err := catalog.Open(t.Context(), memory.New(nil), &catalog.Options{Limits: catalog.Limits{Nesting: 5, Images: 1}})
	require.NoError(t, err)
	defer c.Close()
	o := productjson.Options{Limits: c.Limits()}
	require.Empty(t, faults(t, c, `{"metadata":[[[[]]]]}`, o))
	require.Equal(t, []string{f("metadata", wrong)}, faults(t, c, `{"metadata":[[[[[]]]]]}`, o))
	require.Equal(t, []string{f("images", wrong)}, faults(t, c, `{"images":[{"url":"https://a.example/x"},{}]}`, o))
}

func TestReturnedProductChangesNothing(t *testing.T) {
	// contract 3: a GET body posted back is valid and edits nothing.
	c := open(t)
	for name, text := range map[string]string{
		"full": `{"externalId":"a/b","title":"T\u00e9 <b>","description":"d","metadata":{"price":19.90,"n":[null,"\u00e9"]},"validForDays":30,` +
			`"images":[{"source":{"url":"https://a.example/x"},"classifications":{"view":"front"}},{"source":{"url":"https://a.example/y"}}]}`,
		"bare": `{"externalId":"c","images":[{"source":{"url":"https://a.example/x"}}]}`,
	} {
		first, err := productjson.Decode([]byte(text), productjson.Options{RequireExternalID: true})
		require.NoError(t, err)
		id, _ := first.ExternalID.Get()
		created, err := c.Upsert(t.Context(), "acct", id, first.Patch)
		require.NoError(t, err)

		again, err := productjson.Decode(created.Product.AppendJSON(nil), productjson.Options{RequireExternalID: true})
		require.NoError(t, err)
		require.NoError(t, again.Validate(c, "acct"), name)
		require.Equal(t, catalog.Set(id), again.ExternalID)
		require.False(t, again.Deprecated)
		res, err := c.Upsert(t.Context(), "acct", id, again.Patch)
		require.NoError(t, err)
		require.Equal(t, catalog.Unchanged, res.Outcome, name)
		require.Equal(t, created.Product.Version(), res.Product.Version())
	}
}
