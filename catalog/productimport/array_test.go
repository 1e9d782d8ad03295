package productimport

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func collectArray(t testing.TB, r io.Reader, limit int) (elements []Entry, failure error) {
	t.Helper()
	return collect(t, newArrayReader(bufio.NewReaderSize(r, 16), limit))
}

func TestReadArray(t *testing.T) {
	const limit = 32
	long := `{"a":"` + strings.Repeat("]}", limit) + `"}`
	for name, tc := range map[string]struct {
		in   string
		want []string // number (line): text
		says string   // "" where the array ends well
	}{
		"empty":               {" [ \n ] \n", nil, ""},
		"one":                 {`[{"a":1}]`, []string{`1 (1): {"a":1}`}, ""},
		"lines":               {"[\n{\"a\":1},\r\n{\n\"b\":[{}]}\n,{}\n]\n", []string{"1 (2): {\"a\":1}", "2 (3): {\n\"b\":[{}]}", "3 (5): {}"}, ""},
		"strings":             {`[{"a]":"},[\"\\"},{"\\\"":"{"}]`, []string{`1 (1): {"a]":"},[\"\\"}`, `2 (1): {"\\\"":"{"}`}, ""},
		"not objects":         {`[1,-2.5e3 , "x",null,[[]],true]`, []string{`1 (1): 1`, `2 (1): -2.5e3`, `3 (1): "x"`, `4 (1): null`, `5 (1): [[]]`, `6 (1): true`}, ""},
		"too long":            {`[1,` + long + `,2]`, []string{`1 (1): 1`, `2 (1): too long`, `3 (1): 2`}, ""},
		"nothing":             {`[`, nil, "cut off"},
		"cut off in":          {`[{"a":1},{"b":"`, []string{`1 (1): {"a":1}`}, "cut off"},
		"cut off behind":      {"[{\"a\":1}\n", []string{`1 (1): {"a":1}`}, "cut off"},
		"cut off in too long": {`[` + long[:len(long)-1], nil, "cut off"},
		"comma at the end":    {`[1,]`, []string{`1 (1): 1`}, "element 2 (line 1) is not valid JSON"},
		"comma at the start":  {`[,1]`, nil, "element 1 (line 1) is not valid JSON"},
		"no comma":            {"[1\n2]", []string{`1 (1): 1`}, "behind element 1 (line 2): expected a comma"},
		"more behind":         {"[1] [2]", []string{`1 (1): 1`}, "something stands behind the JSON array"},
		"lines behind":        {"[1]\n{\"externalId\":\"a\"}", []string{`1 (1): 1`}, "something stands behind the JSON array"},
		"closed too often":    {"[{}}]", []string{`1 (1): {}`}, "expected a comma"},
		"wrong bracket":       {`[{"a":[1}},{"b":2}]`, nil, "element 1 (line 1) is not valid JSON"},
		// What looks like elements from here on is the inside of strings.
		"quote missing":             {`[1,{"a":"x},{"b":"},{\"c\":1},{"}]`, []string{`1 (1): 1`}, "element 2 (line 1) is not valid JSON"},
		"line break in a string":    {"[{\"a\":\"x\n\"}]", nil, "element 1 (line 1) is not valid JSON"},
		"text":                      {"[hello]", nil, "element 1 (line 1) is not valid JSON"},
		"quote missing in too long": {`[{"a":"` + strings.Repeat("x", limit) + `,"b":"},{"c":1}]`, nil, "element 1 (line 1) is not valid JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tc.in), iotest.OneByteReader(strings.NewReader(tc.in))} {
				got, err := collectArray(t, r, limit)
				if tc.says == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, tc.says)
				}
				var shown []string
				for _, e := range got {
					text := string(e.Text)
					if e.TooLong() {
						text = "too long"
					}
					shown = append(shown, fmt.Sprintf("%d (%d): %s", e.Number, e.Line, text))
				}
				require.Equal(t, tc.want, shown)
			}
		})
	}
}

func TestReadArrayFails(t *testing.T) {
	broken := errors.New("broken")
	for _, text := range []string{`[1,`, `[1,{"a`, `[1`, `[1,2`} {
		got, err := collectArray(t, io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)), 10)
		require.ErrorIs(t, err, broken, text)
		for _, e := range got {
			require.Equal(t, "1", string(e.Text), "an element that was cut off is not shown")
		}
	}
}

// FuzzReadArray compares with encoding/json: of an array that is valid every
// element is read as it is, and of any other one nothing behind what is wrong
// with it.
func FuzzReadArray(f *testing.F) {
	for _, text := range []string{`[]`, `[1,{"a":["]"]} , null]`, `[{"a":"\"}`, `[1]x`, `[{"a":"},{"b":1}]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if trimmed := bytes.TrimLeft(text, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '[' {
			return
		}
		got, failure := collectArray(t, bytes.NewReader(text), len(text))
		require.Equal(t, json.Valid(text), failure == nil, "%v", failure)
		if failure == nil {
			var want []json.RawMessage
			require.NoError(t, json.Unmarshal(text, &want))
			require.Len(t, got, len(want))
			for i := range want {
				require.Equal(t, string(want[i]), string(got[i].Text))
			}
			return
		}
		oracle := json.NewDecoder(bytes.NewReader(text))
		_, err := oracle.Token()
		require.NoError(t, err)
		for i := range got {
			var want json.RawMessage
			require.NoError(t, oracle.Decode(&want), "the element %q is not there", got[i].Text)
			require.Equal(t, string(want), string(got[i].Text))
		}
	})
}

// TestReadArrayInBoundedMemory: neither a long array nor a long element is held.
func TestReadArrayInBoundedMemory(t *testing.T) {
	const elements, limit = 20_000, 1 << 10
	for name, r := range map[string]io.Reader{
		"array":   io.MultiReader(strings.NewReader("[{}"), io.LimitReader(withoutEndOf{`,{}`}, 3*(elements-1)), strings.NewReader("]")),
		"element": io.MultiReader(strings.NewReader(`["`), io.LimitReader(withoutEndOf{"x"}, 4<<20), strings.NewReader(`"]`)),
	} {
		in := newArrayReader(bufio.NewReaderSize(r, peeked), limit)
		largest := 0
		for {
			e, err := in.next()
			if err == io.EOF {
				break
			}
			require.NoError(t, err, name)
			largest = max(largest, cap(e.Text))
			require.Equal(t, name == "element", e.TooLong())
		}
		require.Less(t, largest, 2*limit, name)
		require.Equal(t, map[string]int{"array": elements, "element": 1}[name], in.element)
	}
}
