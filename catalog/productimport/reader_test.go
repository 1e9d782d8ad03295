package productimport

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// withoutEndOf is an input that goes on for as long as it is read.
type withoutEndOf struct{ text string }

func (w withoutEndOf) Read(p []byte) (int, error) { return copy(p, w.text), nil }

func TestKindsOfInput(t *testing.T) {
	object := `{"externalId":"a"}`
	for name, tc := range map[string]struct {
		in   string
		want int    // entries
		says string // "" where the input is read
	}{
		"nothing":                    {"", 0, ""},
		"blank":                      {" \r\n\t\n", 0, ""},
		"lines":                      {object + "\n" + object, 2, ""},
		"lines behind a mark":        {"\ufeff" + object + "\n" + object, 2, ""},
		"a mark alone":               {"\ufeff", 0, ""},
		"an array":                   {"[" + object + "]", 1, ""},
		"an array behind a mark":     {"\ufeff\r\n [\n" + object + ",\n" + object + "\n]\n", 2, ""},
		"a damaged line":             {"{\"externalId\n" + object, 2, ""},
		"a damaged line alone":       {`{"externalId`, 1, ""},
		"long lines":                 {`{"a":"` + strings.Repeat("x", 2*peeked) + "\"}\n" + object, 2, ""},
		"an object on several lines": {"{\n  \"externalId\": \"a\"\n}\n", 0, "the first line is not a whole JSON object"},
		"compact, on two lines":      {"{\"externalId\":\"a\",\n\"title\":\"b\"}\n", 0, "the first line is not a whole JSON object"},
		"a table":                    {"externalId,title\na,b\n", 0, "neither { nor ["},
		"a string":                   {`"a"`, 0, "neither { nor ["},
		"XML":                        {`<?xml version="1.0"?><rss/>`, 0, "neither { nor ["},
		"UTF-16":                     {"\xff\xfe{\x00}\x00", 0, "UTF-16"},
		"UTF-16, the other way":      {"\xfe\xff\x00{\x00}", 0, "UTF-16"},
		"UTF-16 without a mark":      {"{\x00\"\x00a\x00\"\x00:\x001\x00}\x00\n\x00{\x00}\x00\n\x00", 0, "not a whole JSON object"},
		"gzip":                       {"\x1f\x8b\x08\x00", 0, "compressed by gzip"},
		"zstd":                       {"\x28\xb5\x2f\xfd\x00", 0, "compressed by zstd"},
		"ZIP":                        {"PK\x03\x04\x00", 0, "a ZIP archive"},
		"two marks":                  {"\ufeff\ufeff" + object, 0, "neither { nor ["},
		"white space without end":    {strings.Repeat(" ", 2*peeked) + "[" + object + "]", 0, "of white space"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tc.in), iotest.OneByteReader(strings.NewReader(tc.in))} {
				in, err := NewReader(r)
				if tc.says != "" {
					require.ErrorContains(t, err, tc.says)
					require.ErrorIs(t, err, ErrFormat)
					continue
				}
				require.NoError(t, err)
				got, err := collect(t, in.from)
				require.NoError(t, err)
				require.Len(t, got, tc.want)
			}
		})
	}
}

func TestEntriesSayWhereTheyAre(t *testing.T) {
	require.Equal(t, "line 3", Entry{Number: 3}.String())
	require.Equal(t, "element 3 (line 7)", Entry{Number: 3, Line: 7}.String())
}
