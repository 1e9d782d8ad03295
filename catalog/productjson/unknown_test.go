package productjson_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productjson"
)

// Contract 3 and 6: names that are not known are ignored, or judged where that
// is asked for.
func TestStrictNames(t *testing.T) {
	c := open(t)
	const src = `{"source":{"url":"https://a.example/x"}}`
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"misspelt", `{"titel":"x"}`, []string{f("titel", wrong)}},
		{"null", `{"titel":null}`, []string{f("titel", wrong)}},
		{"case", `{"Title":"x","EXTERNALID":"y"}`, []string{f("Title", wrong), f("EXTERNALID", wrong)}},
		{"empty name", `{"":1}`, []string{f("", wrong)}},
		{"prototype", `{"__proto__":{}}`, []string{f("__proto__", wrong)}},
		{"image", `{"images":[` + src + `,{"source":{"url":"https://a.example/x"},"clasifications":null,"url2":""}]}`,
			[]string{f("images.1.clasifications", wrong), f("images.1.url2", wrong)}},
		{"source", `{"images":[{"source":{"url":"https://a.example/x","fileky":null,"order":1}}]}`,
			[]string{f("images.0.source.fileky", wrong), f("images.0.source.order", wrong)}},
		{"flat image", `{"images":[{"url":"https://a.example/x","alt":"x"}]}`, []string{f("images.0.alt", wrong)}},
		{"in the order of the text, with other faults", `{"b":1,"title":null,"a":2}`, []string{f("b", wrong), f("title", wrong), f("a", wrong)}},
		{"root's name in an image", `{"images":[{"source":{"url":"https://a.example/x"},"listed":true}]}`, []string{f("images.0.listed", wrong)}},
		{"image's name in the root", `{"href":"/x"}`, []string{f("href", wrong)}},

		{"read-only", `{"externalId":"a","listed":true,"lastUsedAt":null,"expiresAt":"x","createdAt":1,"updatedAt":{},"version":"v"}`, nil},
		{"read-only, image", `{"images":[{"sourceUrl":"https://a.example/x","order":0,"contentType":"image/png","size":1,"width":2,"height":3,"href":"/x"}]}`, nil},
		{"the caller's own JSON", `{"metadata":{"titel":[{"x":1}]},"images":[{"source":{"url":"https://a.example/x"},"classifications":{"vew":"front"}}]}`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, faults(t, c, tc.text, productjson.Options{Strict: true}))
		})
	}
	require.Equal(t, []string{f("product.titel", wrong)},
		faults(t, c, `{"prompt":"x","product":{"titel":"x"},"later":{"titel":1}}`, productjson.Options{Strict: true, Member: "product"}),
		"what stands beside the member is its owner's to judge")
}

func TestStrictNamesOfAStoredProduct(t *testing.T) {
	c := open(t)
	res, err := c.Upsert(t.Context(), "acct", "p", catalog.Patch{
		Images:       catalog.Set([]catalog.NewImage{{URL: "https://a.example/x", Classifications: json.RawMessage(`{"a":1}`)}}),
		ValidForDays: catalog.Set(3),
	})
	require.NoError(t, err)
	require.Empty(t, faults(t, c, string(res.Product.AppendJSON(nil)), productjson.Options{Strict: true}), "every name that a product has is known")
}
