package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
)

// importInto makes a store of some products.
func importInto(t *testing.T, data string, ids ...string) {
	t.Helper()
	var lines []string
	for _, id := range ids {
		lines = append(lines, upsertBody(id))
	}
	status, _, errs := execute(t, strings.NewReader(strings.Join(lines, "\n")), "import", "--data", data, "--account", testAccount, "-")
	require.Equal(t, exitOK, status, errs)
}

func TestDumpAndLoad(t *testing.T) {
	folder := t.TempDir()
	from, to, file := filepath.Join(folder, "from"), filepath.Join(folder, "to"), filepath.Join(folder, "a.tar.zst")
	importInto(t, from, "a", "b", "c")
	status, out, errs := execute(t, nil, "dump", "--data", from, file)
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, out, "accounts        1\nproducts        3\n")
	require.Contains(t, out, "written to      "+file+"\n")
	require.Empty(t, errs)
	text, err := os.ReadFile(file)
	require.NoError(t, err)

	status, out, errs = execute(t, nil, "load", "--data", to, file)
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, out, "products        3\ncreated         3\n")
	status, out, errs = execute(t, bytes.NewReader(text), "load", "--data", to, "-")
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, out, "created         0\nunchanged       3\n")
	status, out, errs = execute(t, nil, "dump", "--data", to, "-")
	require.Equal(t, exitOK, status, errs)
	require.True(t, string(text) == out, "the same products make the same dump")
	require.Contains(t, errs, "written to      standard output\n")
	status, out, errs = execute(t, nil, "dump", "--data", to, folder)
	require.Equal(t, exitOK, status, errs)
	require.Regexp(t, `written to      .*shelflife-\d{8}T\d{6}\.\d{3}Z\.tar\.zst\n`, out)

	// Another product has the ID.
	status, _, errs = execute(t, nil, "accounts", "delete", "--data", to, testAccount, "--yes")
	require.Equal(t, exitOK, status, errs)
	importInto(t, to, "b")
	status, out, errs = execute(t, nil, "load", "--data", to, file)
	require.Equal(t, exitRefused, status)
	require.Equal(t, fmt.Sprintf("refused: account %q, product \"b\": it is in the store in another version\n", testAccount), errs)
	require.Contains(t, out, "created         2\n")
	require.Contains(t, out, "refused         1\n")
	status, out, errs = execute(t, nil, "load", "--data", to, "--existing", "replace", file)
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, out, "replaced        1\n")
	status, _, errs = execute(t, nil, "load", "--data", to, "--existing", "merge", file)
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "--existing")
}

// TestLoadOfWhatIsNoDump: nothing is made for a file that is none; of standard input
// what was right stays.
func TestLoadOfWhatIsNoDump(t *testing.T) {
	folder := t.TempDir()
	from, to, file := filepath.Join(folder, "from"), filepath.Join(folder, "to"), filepath.Join(folder, "a.tar.zst")
	importInto(t, from, "a")
	status, text, errs := execute(t, nil, "dump", "--data", from, "-")
	require.Equal(t, exitOK, status, errs)
	for _, bad := range []string{"", upsertBody("a"), text[:len(text)-1], text + "\n", text[:len(text)/2]} {
		require.NoError(t, os.WriteFile(file, []byte(bad), 0o600))
		status, out, errs := execute(t, nil, "load", "--data", to, file)
		require.Equal(t, exitFailure, status)
		require.Empty(t, out)
		require.Contains(t, errs, "nothing was loaded: not an intact dump")
		require.NoDirExists(t, to)
	}
	in := io.MultiReader(strings.NewReader(text[:len(text)-1]), iotest.ErrReader(errors.New("the disk is on fire")))
	status, _, errs = execute(t, in, "load", "--data", to, "-")
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "the disk is on fire; loading again goes on\n")
	status, out, errs := execute(t, strings.NewReader(text), "load", "--data", to, "-")
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, out, "products        1\n")
	status, _, errs = execute(t, strings.NewReader(text), "load", "--data", filepath.Join(folder, "none"), "--must-exist", "-")
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "there is no store")
}

// TestLoadInterrupted: it ends though nothing more comes.
func TestLoadInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	still := make(chan struct{})
	defer close(still)
	in := &lastLine{strings.NewReader(""), interrupt, still}
	var out, errs bytes.Buffer
	status := run(ctx, []string{"load", "--data", t.TempDir(), "-"}, in, &out, &errs)
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs.String(), "interrupted")
}

// TestDumpOfAStoreInUse: it is taken from the server that has it.
func TestDumpOfAStoreInUse(t *testing.T) {
	folder := t.TempDir()
	data, socket, file := filepath.Join(folder, "store"), "unix:"+filepath.Join(folder, "admin"), filepath.Join(folder, "a.tar.zst")
	s := startServer(t, "--data", data, "--admin-addr", socket)
	s.do("POST", "/products", upsertBody("mug"))
	status, _, errs := execute(t, nil, "dump", "--data", data, "-")
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "with --admin")
	status, out, errs := execute(t, nil, "dump", "--admin", socket, file)
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, out, "products        1\n")
	for _, args := range [][]string{{"--data", data}, {"--past-damage"}} {
		status, _, errs = execute(t, nil, append([]string{"dump", "--admin", socket, "-"}, args...)...)
		require.Equal(t, exitFailure, status, errs)
	}
	s.stop()
	status, out, errs = execute(t, nil, "dump", "--data", data, "-")
	require.Equal(t, exitOK, status, errs)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, string(text) == out)
	status, _, errs = execute(t, nil, "dump", "--admin", socket, "-")
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "can't be asked")
	status, _, errs = execute(t, nil, "dump", "--data", filepath.Join(data, "none"), "-")
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "there is no store")
}

// TestMoveToADatabase: what a server has in a folder, one on PostgreSQL has then,
// entity tags included.
func TestMoveToADatabase(t *testing.T) {
	dsn := postgrestest.Database(t)
	data := filepath.Join(t.TempDir(), "store")
	s := startServer(t, "--data", data)
	s.do("POST", "/products", upsertBody("mug"))
	s.do("POST", "/products/mug/use", "")
	want := s.do("GET", "/products/mug", "")
	s.stop()
	status, text, errs := execute(t, nil, "dump", "--data", data, "-")
	require.Equal(t, exitOK, status, errs)
	status, _, errs = execute(t, strings.NewReader(text), "load", "--store", dsn, "-")
	require.Equal(t, exitOK, status, errs)
	s = startServer(t, "--store", dsn)
	got := s.do("GET", "/products/mug", "")
	require.Equal(t, want.body, got.body)
	require.Equal(t, want.header.Get("ETag"), got.header.Get("ETag"))
	status, again, errs := execute(t, nil, "dump", "--store", dsn, "-")
	require.Equal(t, exitOK, status, errs)
	require.True(t, text == again)
	status, accounts, errs := execute(t, nil, "accounts", "list", "--store", dsn)
	require.Equal(t, exitOK, status, errs)
	require.Equal(t, testAccount+"\n", accounts)
}

func TestAccountsCommand(t *testing.T) {
	data := filepath.Join(t.TempDir(), "store")
	importInto(t, data, "a", "b")
	for _, account := range []string{"other", "line\nbreak"} {
		status, _, errs := execute(t, strings.NewReader(upsertBody("a")), "import", "--data", data, "--account", account, "-")
		require.Equal(t, exitOK, status, errs)
	}
	status, out, errs := execute(t, nil, "accounts", "list", "--data", data)
	require.Equal(t, exitOK, status, errs)
	require.ElementsMatch(t, []string{testAccount, "other", `line\nbreak`}, strings.Split(strings.TrimSpace(out), "\n"))
	status, out, errs = execute(t, nil, "accounts", "list", "--data", data, "--after", "line\nbreak")
	require.Equal(t, exitOK, status, errs)
	require.NotContains(t, out, "line")
	status, out, errs = execute(t, nil, "accounts", "stats", "--data", data, testAccount)
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, out, "products        2\nlisted          2\n")
	status, _, errs = execute(t, nil, "accounts", "delete", "--data", data, testAccount)
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "has 2 products and 0 stored images: nothing was deleted, --yes deletes them")
	status, out, errs = execute(t, nil, "accounts", "delete", "--data", data, testAccount, "--yes", "--erase-now")
	require.Equal(t, exitOK, status, errs)
	require.Equal(t, "deleted         2 products\n", out)
	status, out, errs = execute(t, nil, "accounts", "list", "--data", data)
	require.Equal(t, exitOK, status, errs)
	require.Equal(t, "line\\nbreak\nother\n", out)
	status, _, errs = execute(t, nil, "accounts", "list", "--data", data+"none")
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "there is no store")
}

func TestExport(t *testing.T) {
	folder := t.TempDir()
	data, file := filepath.Join(folder, "store"), filepath.Join(folder, "shop.ndjson")
	s := startServer(t, "--data", data)
	s.do("POST", "/products", upsertBody("listed"))
	s.do("POST", "/uses", upsertBody("inline"))
	s.do("POST", "/uses", `{"images":[{"source":{"url":"https://cdn.example/1.jpg"}}]}`)
	s.stop()
	status, out, errs := execute(t, nil, "export", "--data", data, "--account", testAccount, file)
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, out, "products        3\n")
	require.Contains(t, out, "of this store   1: ")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, 3, bytes.Count(text, []byte("\n")))

	status, out, errs = execute(t, nil, "import", "--data", data, "--account", testAccount, file)
	require.Equal(t, exitOK, status, errs)
	require.Equal(t, "created 0, edited 1, unchanged 2, refused 0\n", out, "the inline one becomes listed")
	status, out, errs = execute(t, nil, "import", "--data", filepath.Join(folder, "other"), "--account", testAccount, file)
	require.Equal(t, exitRefused, status)
	require.Equal(t, "created 2, edited 0, unchanged 0, refused 1\n", out)
	require.Contains(t, errs, "_anon_")
	status, out, errs = execute(t, nil, "export", "--data", data, "--account", testAccount, "--prefix", "list", "--listed", "-")
	require.Equal(t, exitOK, status, errs)
	require.Equal(t, 1, strings.Count(out, "\n"))
	require.Contains(t, errs, "products        1\n")
	status, _, errs = execute(t, nil, "export", "--data", data, "--account", "", "-")
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "--account")
}

// TestImportFromLine: an import goes on where it says.
func TestImportFromLine(t *testing.T) {
	data := filepath.Join(t.TempDir(), "store")
	lines := []string{upsertBody("a"), "", upsertBody("b"), upsertBody("c"), upsertBody("d")}
	text := strings.Join(lines, "\n") + "\n"
	args := []string{"import", "--data", data, "--account", testAccount, "-"}
	in := io.MultiReader(strings.NewReader(strings.Join(lines[:3], "\n")+"\n"), iotest.ErrReader(errors.New("broken")))
	status, out, errs := execute(t, in, args...)
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "stopped after line 3: reading: broken; --from-line 4 goes on behind it\n")
	require.Contains(t, out, "created 2, ")
	status, out, errs = execute(t, strings.NewReader(text), append(args, "--from-line", "4", "--dry-run")...)
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, out, "new 2, edits 0, unchanged 0, refused 0;")
	status, out, errs = execute(t, strings.NewReader(text), append(args, "--from-line", "4")...)
	require.Equal(t, exitOK, status, errs)
	require.Equal(t, "created 2, edited 0, unchanged 0, refused 0\n", out)

	array := "[" + upsertBody("a") + ",\n" + upsertBody("b") + "," + upsertBody("e") + ",\nx]"
	status, out, errs = execute(t, strings.NewReader(array), append(args, "--from-line", "2")...)
	require.Equal(t, exitFailure, status)
	require.Contains(t, out, "created 1, edited 0, unchanged 1, ")
	require.Contains(t, errs, "; --from-line 2 goes on behind it", "more may begin on that line")
	status, _, errs = execute(t, strings.NewReader(text), append(args, "--from-line", "0")...)
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "--from-line is 1 or more")
	status, out, errs = execute(t, strings.NewReader(text), append(args, "--from-line", "6")...)
	require.Equal(t, exitOK, status, "what an import says that stopped behind all: %s", errs)
	require.Contains(t, out, "created 0, ")
	status, _, errs = execute(t, strings.NewReader(text), append(args, "--from-line", "7")...)
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "--from-line is 7, and the last entry is on line 5")
}
