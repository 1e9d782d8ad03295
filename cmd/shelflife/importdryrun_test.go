package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mixedLines are one upsert of each kind.
const mixedLines = `{"externalId":"a","images":[{"source":{"url":"https://cdn.example/1.jpg"}}]}
{"externalId":"b","title":"no image"}
not JSON
{"externalId":"a","title":"edited"}
{"externalId":"c","images":[{"source":{"url":"https://cdn.example/1.jpg"}}],"titel":"misspelt"}
`

func TestDryRunOfAnImport(t *testing.T) {
	data := filepath.Join(t.TempDir(), "store")
	dryRun := func(text string, flags ...string) (status int, out, errs string) {
		args := append([]string{"import", "--dry-run", "--data", data, "--account", testAccount, "-"}, flags...)
		return execute(t, strings.NewReader(text), args...)
	}
	const refused = "line 2 \\(\"b\"\\): images: PRODUCT_IMAGES_REQUIRED: .+\nline 3: VALIDATION_FAILED: .+\n"

	status, out, errs := dryRun(mixedLines)
	require.Equal(t, exitRefused, status)
	require.Equal(t, "line 1 (\"a\"): new\nline 4 (\"a\"): edit\nline 5 (\"c\"): new\nnew 2, edits 1, unchanged 0, refused 2; nothing was written\n", out)
	require.Regexp(t, "^"+refused+"$", errs)
	_, err := os.Stat(data)
	require.ErrorIs(t, err, os.ErrNotExist, "no store was made")

	status, out, errs = dryRun(mixedLines, "--must-exist")
	require.Equal(t, exitFailure, status)
	require.Empty(t, out)
	require.Contains(t, errs, "there is no store in "+data)

	status, _, strict := dryRun(mixedLines, "--strict")
	require.Equal(t, exitRefused, status)
	require.Regexp(t, refused+"line 5 \\(\"c\"\\): titel: VALIDATION_FAILED: .+\n$", strict)

	// What the import then says is what was expected, and what is expected next is
	// what the import has left.
	status, out, _ = execute(t, strings.NewReader(mixedLines), "import", "--data", data, "--account", testAccount, "-")
	require.Equal(t, exitRefused, status)
	require.Equal(t, "created 2, edited 1, unchanged 0, refused 2\n", out)
	before := folderState(t, data)
	status, out, errs = dryRun(upsertBody("d") + "\n" + `{"externalId":"a","title":"edited"}` + "\n" + `{"externalId":"c","title":"other"}`)
	require.Equal(t, exitOK, status)
	require.Equal(t, "line 1 (\"d\"): new\nline 2 (\"a\"): unchanged\nline 3 (\"c\"): edit\nnew 1, edits 1, unchanged 1, refused 0; nothing was written\n", out)
	require.Empty(t, errs)
	require.Equal(t, before, folderState(t, data))
}

// TestDryRunChangesNothing where a log is to be replayed, and where a server holds
// the store for reading.
func TestDryRunChangesNothing(t *testing.T) {
	data := killedStore(t)
	before := folderState(t, data)
	s := startServer(t, "--data", data, "--read-only")
	status, out, errs := execute(t, strings.NewReader(`{"externalId":"p","title":"x"}`), "import", "--dry-run", "--data", data, "--account", testAccount, "-")
	require.Equal(t, exitOK, status, errs)
	require.Equal(t, "line 1 (\"p\"): edit\nnew 0, edits 1, unchanged 0, refused 0; nothing was written\n", out)
	s.stop()
	require.Equal(t, before, folderState(t, data))
}

func TestDryRunInterrupted(t *testing.T) {
	data := t.TempDir()
	ctx, interrupt := context.WithCancel(t.Context())
	still := make(chan struct{})
	defer close(still)
	const n = 300 // more than a batch, and than is read to see what kind of file it is
	var text strings.Builder
	for i := range n {
		text.WriteString(upsertBody(fmt.Sprint("p", i)) + "\n")
	}
	in := &lastLine{strings.NewReader(text.String()), interrupt, still}
	var out, errs bytes.Buffer
	status := run(ctx, []string{"import", "--dry-run", "--data", data, "--account", testAccount, "-"}, in, &out, &errs)
	require.Equal(t, exitFailure, status)
	require.Equal(t, fmt.Sprintf("shelflife: the dry run stopped after line %d: interrupted; --from-line 301 goes on behind it\n", n), errs.String())
	require.Contains(t, out.String(), fmt.Sprintf("line %d (\"p%d\"): new\nnew %d, ", n, n-1, n))
}
