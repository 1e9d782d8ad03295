package formparts_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/httpadapter/internal/formparts"
)

func part(headers, content string) string {
	return "--b\r\nContent-Disposition: form-data; name=\"f\"\r\n" + headers + "\r\n" + content + "\r\n"
}

func TestReader(t *testing.T) {
	long := strings.Repeat("x", 2*formparts.MaxHeader)
	for _, c := range []struct {
		name, body string
		parts      int
		err        error
	}{
		{"none", "--b--", 0, io.EOF},
		{"two", part("", "1") + part("", "2") + "--b--\r\n", 2, io.EOF},
		{"an end without a line break", part("", "1") + "--b--", 1, io.EOF},
		{"more behind the end", part("", "1") + "--b--\r\n" + part("", "2"), 1, io.EOF},
		{"content that is longer than headers may be", part("", long+long) + part("", "2") + "--b--\r\n", 2, io.EOF},
		{"one long header", part("", "1") + part("X: "+long+"\r\n", "2") + "--b--\r\n", 1, formparts.ErrHeaders},
		{"many headers", part("", "1") + part(strings.Repeat("X: 1\r\n", formparts.MaxHeader/3), "2") + "--b--\r\n", 1, formparts.ErrHeaders},
		{"headers without an end", "--b\r\n" + long, 0, formparts.ErrHeaders},
		{"cut off in content", part("", "1") + "--b\r\n\r\n2", 2, io.ErrUnexpectedEOF},
		{"cut off in headers", part("", "1") + "--b\r\nX: 2\r\n", 2, io.ErrUnexpectedEOF},
		{"cut off before the end", part("", "1") + "--b\r\n", 2, io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			// One whose parts are read, and one that passes over them.
			for _, read := range []bool{true, false} {
				r, n := formparts.NewReader(strings.NewReader(c.body), "b"), 0
				var err error
				for {
					var p io.Reader
					if p, err = next(r); err != nil {
						break
					}
					n++
					if read {
						if _, err = io.Copy(io.Discard, p); err != nil {
							break
						}
					}
				}
				require.ErrorIs(t, err, c.err)
				require.Equal(t, c.parts, n)
			}
		})
	}
}

func next(r *formparts.Reader) (io.Reader, error) {
	p, err := r.Next()
	if err != nil {
		return nil, err
	}
	return p, nil
}

// TestSourceFails: an error of the source is that of Next.
func TestSourceFails(t *testing.T) {
	broken := errors.New("broken")
	source := io.MultiReader(strings.NewReader("--b\r\nX: 1"), readerFunc(func([]byte) (int, error) { return 0, broken }))
	_, err := formparts.NewReader(source, "b").Next()
	require.ErrorIs(t, err, broken)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
