package catalog

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// cursorCatalog is enough of a catalog to make cursors.
func cursorCatalog(key string) *Catalog { return &Catalog{secret: []byte(key)} }

// contract 5: a cursor that was altered or not made by the library is refused.
func TestCursors(t *testing.T) {
	c, other := cursorCatalog("one store"), cursorCatalog("another store")
	for _, id := range []string{"a", "", "a/b", "\x00\xff", strings.Repeat("x", 255)} {
		cursor := c.encodeCursor(id)
		require.Regexp(t, `^[A-Za-z0-9_-]+$`, cursor, "goes into a URL as it is")
		got, ok := c.decodeCursor(cursor)
		require.True(t, ok)
		require.Equal(t, id, got)
		_, ok = other.decodeCursor(cursor)
		require.False(t, ok, "of another store")

		raw, err := base64.RawURLEncoding.DecodeString(cursor)
		require.NoError(t, err)
		for bit := range 8 * len(raw) {
			altered := append([]byte(nil), raw...)
			altered[bit/8] ^= 1 << (bit % 8)
			_, ok := c.decodeCursor(base64.RawURLEncoding.EncodeToString(altered))
			require.False(t, ok, "bit %d", bit)
		}
		for n := range len(cursor) {
			_, ok := c.decodeCursor(cursor[:n])
			require.False(t, ok, "cut off")
		}
		for _, bad := range []string{
			"\n" + cursor, cursor + "\n", cursor[:4] + "\r\n" + cursor[4:], cursor + "=", cursor + "A", " " + cursor, cursor + cursor,
		} {
			_, ok := c.decodeCursor(bad)
			require.False(t, ok, "%q", bad)
		}
	}
	_, ok := c.decodeCursor(c.encodeCursor(strings.Repeat("x", 256)))
	require.False(t, ok, "longer than any ID")
}

// FuzzCursor checks that a string is a cursor only if it is the one that the
// catalog makes.
func FuzzCursor(f *testing.F) {
	c := cursorCatalog("the store of the corpus")
	for _, id := range []string{"a", "shirt/42", "\U0001f9e6"} {
		f.Add(c.encodeCursor(id))
	}
	f.Add("")
	f.Add("AQ")
	f.Add(cursorCatalog("x").encodeCursor("a"))
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := c.decodeCursor(s); ok {
			require.Equal(t, s, c.encodeCursor(id))
		}
		got, ok := c.decodeCursor(c.encodeCursor(s))
		if len(s) <= MaxNameBytes {
			require.True(t, ok)
			require.Equal(t, s, got)
		} else {
			require.False(t, ok)
		}
	})
}
