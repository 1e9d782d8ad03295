package plainjson_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog/internal/plainjson"
)

func TestIs(t *testing.T) {
	many := make([]string, 25)
	for i := range many {
		many[i] = `"` + strings.Repeat("n", i) + `":0`
	}
	for _, text := range []string{
		`null`, `true`, `false`, `0`, `-0`, `12.50`, `1e9`, `1.5E-3`, `2e+7`, `""`, `"grün"`,
		`{}`, `[]`, `{"a":1}`, `[1,"x",null]`, `{"a":{"b":[]},"c":[]}`, `{"a":{"a":1}}`,
		`[[[[[[[[]]]]]]]]`, `{` + strings.Join(many[:24], ",") + `}`,
	} {
		require.True(t, plainjson.Is([]byte(text)), text)
	}
	for _, text := range []string{
		``, ` 1`, `1 `, `{ }`, `[1, 2]`, `01`, `-`, `.5`, `1.`, `1e`, `+1`, `nul`, `truex`, `"`, `"a`, `"\n"`, `"\u0041"`, "\"\x1f\"", "\"\xff\"",
		`{"a":1,"a":2}`, `{"a":1,}`, `{"a"}`, `{a:1}`, `{"a":1`, `[1,]`, `[1`, `[`, `{`, `1 2`, `[[[[[[[[[]]]]]]]]]`, "1\x00",
		`{` + strings.Join(many, ",") + `}`, "\"\xed\xa0\x80\"",
	} {
		require.False(t, plainjson.Is([]byte(text)), text)
	}
}

// What is taken at first sight, the general way takes too, and leaves as it is.
func FuzzIs(f *testing.F) {
	for _, text := range []string{`{"a":[1,2.5e3,"x"],"b":null}`, `[[],{}]`, `"ü"`, `-0.0`, `{"a":1,"a":2}`, `{"a":{"b":"\u00e9"}}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !plainjson.Is(text) {
			return
		}
		compact, err := jsontext.AppendFormat(nil, text, jsontext.PreserveRawStrings(true))
		require.NoError(t, err)
		require.Equal(t, string(text), string(compact))
	})
}
