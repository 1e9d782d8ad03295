package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// withoutEndOf is an input that goes on for as long as it is read.
type withoutEndOf struct{ text string }

func (w withoutEndOf) Read(p []byte) (int, error) { return copy(p, w.text), nil }

func opened(r io.Reader) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(r), nil }
}

// TestInterruptedInputHasNoEnd: an import that is told to stop must never hear that
// the input has ended, however the two meet.
func TestInterruptedInputHasNoEnd(t *testing.T) {
	for round := range 2000 {
		ctx, interrupt := context.WithCancel(t.Context())
		in, err := openInput(ctx, opened(withoutEndOf{"{}\n"}), maxEntry)
		require.NoError(t, err)
		_, err = in.next(ctx)
		require.NoError(t, err)
		interrupt()
		for err == nil {
			_, err = in.next(ctx)
		}
		require.Equal(t, errInterrupted, err, "round %d", round)
		in.close()
	}
}

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
				in, err := openEntries(r, maxEntry)
				if tc.says != "" {
					require.ErrorContains(t, err, tc.says)
					require.ErrorIs(t, err, errExpected)
					continue
				}
				require.NoError(t, err)
				got, err := collect(t, in)
				require.NoError(t, err)
				require.Len(t, got, tc.want)
			}
		})
	}
}

// TestInputIsNotWaitedFor: of a stream that stands still what has come is read.
func TestInputIsNotWaitedFor(t *testing.T) {
	out, in := io.Pipe()
	defer in.Close()
	go func() { _, _ = fmt.Fprint(in, "{}\n{}\n{") }()
	source, err := openInput(t.Context(), opened(out), maxEntry)
	require.NoError(t, err)
	defer source.close()
	for want := 1; want <= 2; want++ {
		e, err := source.next(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, e.number)
	}
}

func TestEntriesSayWhereTheyAre(t *testing.T) {
	require.Equal(t, "line 3", entry{number: 3}.String())
	require.Equal(t, "element 3 (line 7)", entry{number: 3, line: 7}.String())
}
