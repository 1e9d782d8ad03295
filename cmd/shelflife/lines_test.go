package main

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
func collect(t testing.TB, in entries) (all []entry, failure error) {
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

func collectLines(t *testing.T, r io.Reader, limit int) (lines []entry, failure error) {
	t.Helper()
	return collect(t, &lineReader{in: bufio.NewReaderSize(r, 16), limit: limit})
}

func TestReadLines(t *testing.T) {
	const limit = 32
	full := strings.Repeat("x", limit)
	for name, tc := range map[string]struct {
		in   string
		want []entry
	}{
		"nothing":           {"", nil},
		"blank lines":       {"\n \t\r\n\n", nil},
		"one":               {"a\n", []entry{{number: 1, size: 2, text: []byte("a")}}},
		"last without end":  {"a\nb", []entry{{number: 1, size: 2, text: []byte("a")}, {number: 2, size: 1, text: []byte("b")}}},
		"windows":           {"a\r\n\r\nb\r\n", []entry{{number: 1, size: 3, text: []byte("a")}, {number: 3, size: 5, text: []byte("b")}}},
		"carriage return":   {"a\rb\n", []entry{{number: 1, size: 4, text: []byte("a\rb")}}},
		"just short enough": {full + "\n" + full + "\r\n" + full, []entry{{number: 1, size: 33, text: []byte(full)}, {number: 2, size: 34, text: []byte(full)}, {number: 3, size: 32, text: []byte(full)}}},
		"one too long":      {full + "x\nb\n", []entry{{number: 1, size: 34, text: nil}, {number: 2, size: 2, text: []byte("b")}}},
		"far too long":      {full + full + full + "\nb\n", []entry{{number: 1, size: 97, text: nil}, {number: 2, size: 2, text: []byte("b")}}},
		"last too long":     {"a\n" + full + full, []entry{{number: 1, size: 2, text: []byte("a")}, {number: 2, size: 64, text: nil}}},
		"too long, blank":   {strings.Repeat(" ", limit+1) + "\n", []entry{{number: 1, size: 34, text: nil}}},
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
	require.Equal(t, []entry{{number: 1, size: 2, text: []byte("a")}}, got, "a line that was cut off is not shown")
}

func TestReadLinesKeepsNoBuffer(t *testing.T) {
	got, err := collectLines(t, strings.NewReader("first\nsecnd\n"), 5)
	require.NoError(t, err)
	require.Equal(t, "first", string(got[0].text), "it survives the reading of the next")
}
