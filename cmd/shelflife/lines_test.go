package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func collectLines(t *testing.T, r io.Reader, limit int) (lines []line, failure error) {
	t.Helper()
	for l, err := range readLines(r, limit) {
		require.NoError(t, failure, "nothing comes after an error")
		if err != nil {
			failure = err
			continue
		}
		lines = append(lines, l)
	}
	return lines, failure
}

func TestReadLines(t *testing.T) {
	const limit = 32
	full := strings.Repeat("x", limit)
	for name, tc := range map[string]struct {
		in   string
		want []line
	}{
		"nothing":           {"", nil},
		"blank lines":       {"\n \t\r\n\n", nil},
		"one":               {"a\n", []line{{1, 2, []byte("a")}}},
		"last without end":  {"a\nb", []line{{1, 2, []byte("a")}, {2, 1, []byte("b")}}},
		"windows":           {"a\r\n\r\nb\r\n", []line{{1, 3, []byte("a")}, {3, 5, []byte("b")}}},
		"carriage return":   {"a\rb\n", []line{{1, 4, []byte("a\rb")}}},
		"just short enough": {full + "\n" + full + "\r\n" + full, []line{{1, 33, []byte(full)}, {2, 34, []byte(full)}, {3, 32, []byte(full)}}},
		"one too long":      {full + "x\nb\n", []line{{1, 34, nil}, {2, 2, []byte("b")}}},
		"far too long":      {full + full + full + "\nb\n", []line{{1, 97, nil}, {2, 2, []byte("b")}}},
		"last too long":     {"a\n" + full + full, []line{{1, 2, []byte("a")}, {2, 64, nil}}},
		"too long, blank":   {strings.Repeat(" ", limit+1) + "\n", []line{{1, 34, nil}}},
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
	require.Equal(t, []line{{1, 2, []byte("a")}}, got, "a line that was cut off is not shown")
}

func TestReadLinesKeepsNoBuffer(t *testing.T) {
	got, err := collectLines(t, strings.NewReader("first\nsecnd\n"), 5)
	require.NoError(t, err)
	require.Equal(t, "first", string(got[0].text), "it survives the reading of the next")
}
