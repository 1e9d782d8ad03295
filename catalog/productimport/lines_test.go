package productimport

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// collect reads entries to their end and returns them; failure is nil where
// that was io.EOF.
func collect(t testing.TB, in entries) (all []Entry, failure error) {
	t.Helper()
	for {
		e, err := in.next()
		switch {
		case err == io.EOF:
			_, err = in.next()
			require.Equal(t, io.EOF, err, "the end stays the end")
			return all, nil
		case err != nil:
			return all, err
		}
		all = append(all, e)
	}
}

func collectLines(t *testing.T, r io.Reader, limit int) (lines []Entry, failure error) {
	t.Helper()
	return collect(t, &lineReader{in: bufio.NewReaderSize(r, 16), limit: limit})
}

func TestReadLines(t *testing.T) {
	const limit = 32
	full := strings.Repeat("x", limit)
	for name, tc := range map[string]struct {
		in   string
		want []Entry
	}{
		"nothing":           {"", nil},
		"blank lines":       {"\n \t\r\n\n", nil},
		"one":               {"a\n", []Entry{{Number: 1, Size: 2, Text: []byte("a")}}},
		"last without end":  {"a\nb", []Entry{{Number: 1, Size: 2, Text: []byte("a")}, {Number: 2, Size: 1, Text: []byte("b")}}},
		"windows":           {"a\r\n\r\nb\r\n", []Entry{{Number: 1, Size: 3, Text: []byte("a")}, {Number: 3, Size: 5, Text: []byte("b")}}},
		"carriage return":   {"a\rb\n", []Entry{{Number: 1, Size: 4, Text: []byte("a\rb")}}},
		"just short enough": {full + "\n" + full + "\r\n" + full, []Entry{{Number: 1, Size: 33, Text: []byte(full)}, {Number: 2, Size: 34, Text: []byte(full)}, {Number: 3, Size: 32, Text: []byte(full)}}},
		"one too long":      {full + "x\nb\n", []Entry{{Number: 1, Size: 34, Text: nil}, {Number: 2, Size: 2, Text: []byte("b")}}},
		"far too long":      {full + full + full + "\nb\n", []Entry{{Number: 1, Size: 97, Text: nil}, {Number: 2, Size: 2, Text: []byte("b")}}},
		"last too long":     {"a\n" + full + full, []Entry{{Number: 1, Size: 2, Text: []byte("a")}, {Number: 2, Size: 64, Text: nil}}},
		"too long, blank":   {strings.Repeat(" ", limit+1) + "\n", []Entry{{Number: 1, Size: 34, Text: nil}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := collectLines(t, strings.NewReader(tc.in), limit)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
			slow, err := collectLines(t, iotest.OneByteReader(strings.NewReader(tc.in)), limit)
			require.NoError(t, err)
			require.Equal(t, tc.want, slow, "a byte at a time")
		})
	}
}

func TestReadLinesFails(t *testing.T) {
	broken := errors.New("broken")
	got, err := collectLines(t, io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), 10)
	require.ErrorIs(t, err, broken)
	require.Equal(t, []Entry{{Number: 1, Size: 2, Text: []byte("a")}}, got, "a line that was cut off is not shown")
}

func TestReadLinesKeepsNoBuffer(t *testing.T) {
	got, err := collectLines(t, strings.NewReader("first\nsecnd\n"), 5)
	require.NoError(t, err)
	require.Equal(t, "first", string(got[0].Text), "it survives the reading of the next")
}
