package catalog

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/encoding"
)

// A text is written as the JSON library writes it, wherever in a word of eight
// bytes stands what has to be escaped.
func TestTextsAreQuotedAsTheLibraryDoes(t *testing.T) {
	for b := range 256 {
		for length := range 20 {
			for at := range length {
				for _, fill := range []string{"a", "\x7f", "!", "\xff", "\x80"} {
					text := []byte(strings.Repeat(fill, length))
					text[at] = byte(b)
					requireQuoted(t, text)
				}
			}
		}
	}
	for _, text := range []string{"", "é", "größer als 8 Bytes", "\u2028", "\U0010ffff", "1234567é", "12345678\x00", "a\"", "\xed\xa0\x80"} {
		requireQuoted(t, []byte(text))
	}
}

func requireQuoted(t *testing.T, text []byte) {
	want, err := jsontext.AppendQuote(nil, text)
	if got := appendText(nil, text, false); string(got) != string(want) {
		require.Equal(t, string(want), string(got))
	}
	if plain := encoding.IsPlainText(text); plain != (err == nil && len(want) == len(text)+2) {
		require.Equal(t, !plain, plain, "%q", text)
	}
}

func FuzzText(f *testing.F) {
	f.Add("plain")
	f.Add("with \" and \\ and \x1f and é")
	f.Fuzz(func(t *testing.T, text string) {
		requireQuoted(t, []byte(text))
		require.True(t, utf8.Valid(appendText(nil, []byte(text), false)))
	})
}

// FuzzViewJSON: the JSON of a view is that of the product, byte for byte, whether the
// record says that its texts are plain or leaves them to be looked at.
func FuzzViewJSON(f *testing.F) {
	f.Add("p", "Red tee", "Soft cotton", "https://cdn.example/front.jpg", "image/png", int64(1), int64(2), 30)
	f.Add(`with "quotes"`, "größer", "two\nlines", `a\b`, "", int64(0), int64(0), 0)
	f.Add("p", "\xff", "", "", "", int64(-1), int64(year10000), -1)
	f.Fuzz(func(t *testing.T, id, title, description, url, contentType string, created, updated int64, days int) {
		r := &encoding.Record{
			ID: id, Title: title, Description: description, CreatedAt: created, UpdatedAt: updated, LastUsedAt: encoding.None,
			Anchor: created, ValidForDays: days & math.MaxInt32, Metadata: []byte(`{"price":19.90}`),
			Images: []encoding.Image{
				{URL: url, Classifications: []byte(`{"view":"front"}`)},
				{Blob: encoding.BlobID{1}, ContentType: contentType, Size: updated, Width: 8, Height: 9},
				{URL: url, ContentType: contentType},
			},
		}
		data := encoding.AppendRecord(nil, r)
		viewed := func() string {
			s := new(seen)
			s.set(data, true)
			v, err := s.view()
			require.NoError(t, err)
			return string(v.AppendJSON(nil)) + string(v.AppendJSONWithHref(nil, func() string { return "/p" }))
		}
		product := newProduct(r)
		want := string(product.AppendJSON(nil)) + string(product.AppendJSONWithHref(nil, func() string { return "/p" }))
		require.Equal(t, want, viewed())
		const flags = 11 // the low byte
		data[flags] &^= 1 << 2
		require.False(t, encoding.ViewChecked(data).Plain())
		require.Equal(t, want, viewed())
		require.True(t, json.Valid(product.AppendJSON(nil)))
	})
}

// A time is written as package time writes it: every day of 400 years, at which the
// calendar repeats, and the ends of what is written without package time.
func TestTimesAreWrittenAsTheLibraryDoes(t *testing.T) {
	same := func(ms int64) {
		want := `"` + time.UnixMilli(ms).UTC().Format(timeLayout) + `"`
		if got := string(appendMillis(nil, ms)); got != want {
			require.Equal(t, want, got, "%d", ms)
		}
	}
	for day := range int64(400*365 + 97 + 366) {
		same(day*dayMillis + day*7919%dayMillis)
	}
	for _, ms := range []int64{0, 1, 999, 86_399_999, year10000 - 1, year10000, -1, -1001, math.MaxInt64, math.MinInt64 + 1} {
		same(ms)
	}
	require.Equal(t, "null", string(appendMillis(nil, jsonMillis(encoding.None))))
	require.Equal(t, "null", string(appendMillis(nil, jsonMillisOf(time.Time{}))))
	require.Equal(t, `"1969-12-31T23:59:59.999Z"`, string(appendMillis(nil, jsonMillisOf(time.Unix(0, -1)))))
}

// isPlainName looks at words of eight bytes, and sees what a look at each would.
func TestIsPlainName(t *testing.T) {
	byByte := func(s string) bool {
		for i := range len(s) {
			if s[i] < ' ' || s[i] > '~' {
				return false
			}
		}
		return s != "" && len(s) <= MaxNameBytes && s[0] != '.'
	}
	for n := range 40 {
		for at := range n {
			name := []byte(strings.Repeat("x", n))
			for b := range 256 {
				name[at] = byte(b)
				require.Equal(t, byByte(string(name)), isPlainName(string(name)), "%q", name)
			}
		}
	}
	require.False(t, isPlainName(""))
	require.False(t, isPlainName(strings.Repeat("x", MaxNameBytes+1)))
}
