package catalog

import (
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
	if got := appendText(nil, text); string(got) != string(want) {
		require.Equal(t, string(want), string(got))
	}
	if plain := isPlainText(text); plain != (err == nil && len(want) == len(text)+2) {
		require.Equal(t, !plain, plain, "%q", text)
	}
}

func FuzzText(f *testing.F) {
	f.Add("plain")
	f.Add("with \" and \\ and \x1f and é")
	f.Fuzz(func(t *testing.T, text string) {
		requireQuoted(t, []byte(text))
		require.True(t, utf8.Valid(appendText(nil, []byte(text))))
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
