package catalog_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// contract 1: metadata and classifications are stored compact, everything but
// insignificant white space byte for byte, and returned so.
var jsonForms = []struct {
	name, in, out string // out "" = as in
}{
	{"number text", `[19.90,1E400,1e+2,-0,-0.0,0.10,123456789012345678901234567890,1.0000000000000000000001]`, ""},
	{"member order", `{"z":1,"a":2,"":3,"b":4}`, ""},
	{"escapes", `{"\u0061":"\u00e9\/\n\u000a\u2028\ud83e\udde6<>&'","k":"\"\\"}`, ""},
	{"raw characters", "\"é🧦\u2028\u007f<>&\"", ""},
	{"white space", "\t{ \"a\" : [ 1 ,\r\n2 ] , \"b c\" : \" x  y \" }\n ", `{"a":[1,2],"b c":" x  y "}`},
	{"empty containers", `{ "a" : { } , "b" : [ ] }`, `{"a":{},"b":[]}`},
	{"brackets in strings", `["{[","\"{[","]}\\"]`, ""},
	{"string", `"x"`, ""},
	{"number", ` 1.0 `, `1.0`},
	{"false", `false`, ""},
	{"empty string", `""`, ""},
	{"equal names in different objects", `{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}`, ""},
	{"names that differ only in form", "{\"e\\u0301\":1,\"\\u00e9\":2,\"E\":3,\"e\":4}", ""},
	{"null inside", `{"a":null,"b":[null]}`, ""},
	{"a member named __proto__", `{"__proto__":{"a":1}}`, ""},
}

// refusedJSON is refused as metadata and as classifications.
var refusedJSON = map[string]string{
	"nothing":                     ``,
	"white space":                 ` `,
	"cut off":                     `{"a":`,
	"two values":                  `{} {}`,
	"something after the value":   `{}x`,
	"a comma after the last":      `{"a":1,}`,
	"a comment":                   `{/**/}`,
	"single quotes":               `{'a':1}`,
	"a byte order mark":           "\ufeff{}",
	"NaN":                         `{"a":NaN}`,
	"a leading zero":              `{"a":01}`,
	"a leading plus":              `{"a":+1}`,
	"a control character":         "{\"a\":\"\n\"}",
	"duplicate names":             `{"a":1,"a":1}`,
	"duplicates deep":             `{"x":[0,{"y":{"a":1,"b":2,"a":3}}]}`,
	"duplicates in other escapes": `{"a":1,"\u0061":2}`,
	"duplicate empty names":       `{"":1,"":2}`,
	"duplicates far apart":        `{"a":1,` + members(200) + `,"a":2}`,
	"a lone high surrogate":       `{"a":"\ud83e"}`,
	"a lone low surrogate":        `{"a":"\udde6"}`,
	"surrogates reversed":         `{"a":"\udde6\ud83e"}`,
	"a lone surrogate in a name":  `{"\ud800":1}`,
	"a high surrogate and text":   `{"a":"\ud83ex"}`,
	"invalid UTF-8":               "{\"a\":\"\xff\"}",
	"an encoded surrogate":        "{\"a\":\"\xed\xa0\x80\"}",
	"invalid UTF-8 in a name":     "{\"\xc0\x80\":1}",
	"an unknown escape":           `{"a":"\x41"}`,
}

func members(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(`"n%d":%d`, i, i)
	}
	return strings.Join(names, ",")
}

func TestMetadataForms(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for _, tt := range jsonForms {
			want := tt.out
			if want == "" {
				want = tt.in
			}
			p := w.upsert("a", withImage(catalog.Patch{Metadata: catalog.Set(json.RawMessage(tt.in))}))
			require.Equal(t, want, string(p.Metadata), tt.name)
			require.Equal(t, want, string(w.get("a").Metadata), tt.name)
			require.Contains(t, string(p.AppendJSON(nil)), `"metadata":`+want+`,"validForDays"`)

			in := `{"a":` + tt.in + `}`
			p = w.upsert("a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{
				{URL: "https://a.example", Classifications: json.RawMessage(in)},
			})})
			require.Equal(t, `{"a":`+want+`}`, string(p.Images[0].Classifications), tt.name)
			require.Contains(t, string(w.get("a").AppendJSON(nil)), `"classifications":{"a":`+want+`}`)
		}
		w.reopen()
		require.NotNil(t, w.get("a").Metadata)
	})
}

func TestRefusedMetadata(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		before := w.create("a")
		for name, bad := range refusedJSON {
			_, err := w.c().Upsert(t.Context(), acme, "a", catalog.Patch{
				Metadata: catalog.Set(json.RawMessage(bad)),
				Images:   catalog.Set([]catalog.NewImage{{URL: "https://a.example", Classifications: json.RawMessage(bad)}}),
			})
			require.Error(t, err, name)
			requireFaults(t, err, map[string]catalog.Code{
				"metadata": catalog.CodeValidationFailed, "images.0.classifications": catalog.CodeValidationFailed,
			})
		}
		require.Equal(t, before, w.get("a"))
	})
}

// contract 1: classifications are an object; null and nothing mean none.
func TestClassificationsAreObjects(t *testing.T) {
	w := memoryWorld(t)
	for in, valid := range map[string]bool{
		`{}`: true, ` { } `: true, `null`: true, " null\n": true,
		`[]`: false, `"x"`: false, `1`: false, `true`: false, `false`: false, `[{}]`: false, `""`: false,
	} {
		res, err := w.c().Upsert(t.Context(), acme, "a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{
			{URL: "https://a.example", Classifications: json.RawMessage(in)},
		})})
		if !valid {
			requireFaults(t, err, map[string]catalog.Code{"images.0.classifications": catalog.CodeValidationFailed})
			continue
		}
		require.NoError(t, err)
		if strings.Contains(in, "null") {
			require.Nil(t, res.Product.Images[0].Classifications)
		} else {
			require.Equal(t, `{}`, string(res.Product.Images[0].Classifications))
		}
	}
}

// contract 6: metadata 64 KiB and classifications 8 KiB, compact, each.
func TestMetadataSize(t *testing.T) {
	object := func(size int) json.RawMessage {
		return json.RawMessage(`{"a":"` + strings.Repeat("x", size-len(`{"a":""}`)) + `"}`)
	}
	spaced := func(raw json.RawMessage) json.RawMessage {
		return json.RawMessage(strings.Repeat(" ", 100<<10) + string(raw) + "\n")
	}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		images := func(raw ...json.RawMessage) catalog.Optional[[]catalog.NewImage] {
			list := make([]catalog.NewImage, len(raw))
			for i := range raw {
				list[i] = catalog.NewImage{URL: "https://a.example", Classifications: raw[i]}
			}
			return catalog.Set(list)
		}
		p := w.upsert("a", catalog.Patch{
			Metadata: catalog.Set(spaced(object(64 << 10))),
			Images:   images(object(8<<10), spaced(object(8<<10))),
		})
		require.Len(t, p.Metadata, 64<<10)
		require.Len(t, p.Images[1].Classifications, 8<<10)
		require.Equal(t, p, w.get("a"))
		_, err := w.c().Upsert(t.Context(), acme, "a", catalog.Patch{
			Metadata: catalog.Set(object(64<<10 + 1)), Images: images(object(8<<10), object(8<<10+1)),
		})
		requireFaults(t, err, map[string]catalog.Code{
			"metadata": catalog.CodeValidationFailed, "images.1.classifications": catalog.CodeValidationFailed,
		})
		require.Equal(t, p, w.get("a"))
	})
}

// contract 6: JSON nesting 64, counted from the body's root: metadata and
// classifications count as inside a POST /products body, so that what one
// surface takes the other takes too.
func TestMetadataNesting(t *testing.T) {
	nest := func(n int, kind string) json.RawMessage {
		var open, end string
		for i := range n {
			if kind == "objects" || kind == "mixed" && i%2 == 0 {
				open, end = open+`{"a":`, "}"+end
			} else {
				open, end = open+`[`, "]"+end
			}
		}
		return json.RawMessage(open + `"{[{["` + end)
	}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for _, kind := range []string{"arrays", "objects", "mixed"} {
			// The body is level 1; the body, the list and the image are 1 to 3.
			w.upsert("a", withImage(catalog.Patch{Metadata: catalog.Set(nest(63, kind))}))
			_, err := w.c().Upsert(t.Context(), acme, "a", catalog.Patch{Metadata: catalog.Set(nest(64, kind))})
			requireFaults(t, err, map[string]catalog.Code{"metadata": catalog.CodeValidationFailed})
			if kind == "arrays" {
				continue
			}
			classified := func(n int) catalog.Patch {
				raw := json.RawMessage(`{"a":` + string(nest(n-1, kind)) + `}`)
				return catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://a.example", Classifications: raw}})}
			}
			w.upsert("a", classified(61))
			_, err = w.c().Upsert(t.Context(), acme, "a", classified(62))
			requireFaults(t, err, map[string]catalog.Code{"images.0.classifications": catalog.CodeValidationFailed})
		}
		// Brackets side by side, and in strings, nest nothing.
		for _, flat := range []string{
			`{"a":"` + strings.Repeat(`[{\"`, 100) + `"}`,
			`[` + strings.Repeat(`[],{},`, 100) + `0]`,
		} {
			w.upsert("a", catalog.Patch{Metadata: catalog.Set(json.RawMessage(flat))})
			require.Equal(t, flat, string(w.get("a").Metadata))
		}
		// Deep enough to exhaust a parser's stack.
		_, err := w.c().Upsert(t.Context(), acme, "a", catalog.Patch{Metadata: catalog.Set(nest(20_000, "arrays"))})
		requireFaults(t, err, map[string]catalog.Code{"metadata": catalog.CodeValidationFailed})
		// Breadth is no depth.
		w.upsert("a", catalog.Patch{Metadata: catalog.Set(json.RawMessage(`[` + strings.Repeat(`[],`, 200) + `{}]`))})
	})
}
