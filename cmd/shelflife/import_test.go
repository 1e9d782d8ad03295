package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productimport"
)

func TestImportOfTheSharedCatalog(t *testing.T) {
	source, err := filepath.Abs(filepath.Join("..", "..", "..", "shared", "data", "products.ndjson"))
	require.NoError(t, err)
	text, err := os.ReadFile(source)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the shared catalog is not beside this checkout: " + source)
	}
	require.NoError(t, err)
	data := filepath.Join(t.TempDir(), "store")

	status, out, errs := spawn(t, "import", "--data", data, "--account", testAccount, source)
	require.Equal(t, "created 194, edited 0, unchanged 0, refused 0\n", out)
	require.Empty(t, errs, "no progress bar where there is no terminal")
	require.Equal(t, exitOK, status)

	s := startServer(t, "--data", data)
	ids, products := s.list()
	require.Len(t, ids, 194)
	for l := range bytes.Lines(text) {
		var in struct {
			ExternalID, Title, Description string
			Metadata                       json.RawMessage
			Images                         []struct {
				Source          struct{ URL string }
				Classifications json.RawMessage
			}
		}
		require.NoError(t, json.Unmarshal(l, &in))
		var got struct {
			Title, Description string
			Metadata           json.RawMessage
			Images             []struct {
				SourceURL       string
				Classifications json.RawMessage
			}
		}
		require.NoError(t, json.Unmarshal(products[in.ExternalID], &got), in.ExternalID)
		require.Equal(t, compact(t, in.Metadata), string(got.Metadata), "digit for digit")
		require.Equal(t, in.Title, got.Title)
		require.Equal(t, in.Description, got.Description)
		require.Len(t, got.Images, len(in.Images))
		for i := range in.Images {
			require.Equal(t, in.Images[i].Source.URL, got.Images[i].SourceURL)
			require.Equal(t, compact(t, in.Images[i].Classifications), string(got.Images[i].Classifications))
		}
	}
	tag := s.do("GET", "/products/"+ids[0], "").header.Get("ETag")
	s.kill()

	s = startServer(t, "--data", data)
	_, survived := s.list()
	require.Equal(t, products, survived, "after a crash")
	s.stop()

	tables := files(t, data, "*.sst")
	status, out, errs = execute(t, bytes.NewReader(text), "import", "--data", data, "--account", testAccount, "-")
	require.Equal(t, "created 0, edited 0, unchanged 194, refused 0\n", out)
	require.Empty(t, errs)
	require.Equal(t, exitOK, status)
	require.Equal(t, tables, files(t, data, "*.sst"), "nothing was written")

	s = startServer(t, "--data", data)
	_, again := s.list()
	require.Equal(t, products, again)
	require.Equal(t, tag, s.do("GET", "/products/"+ids[0], "").header.Get("ETag"))
	s.stop()
}

func compact(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	if raw == nil {
		return ""
	}
	var b bytes.Buffer
	require.NoError(t, json.Compact(&b, raw))
	return b.String()
}

// files returns the names and sizes of a folder's files.
func files(t *testing.T, dir, pattern string) map[string]int64 {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	sizes := map[string]int64{}
	for _, name := range names {
		info, err := os.Stat(name)
		require.NoError(t, err)
		sizes[filepath.Base(name)] = info.Size()
	}
	return sizes
}

func TestImportReportsBadLines(t *testing.T) {
	const image = `"images":[{"source":{"url":"https://cdn.example/1.jpg"}}]`
	lines := []string{
		`{"externalId":"a",` + image + `}`,
		``,
		`{"externalId":"b","images":[{"source":{"url":"ftp://x/y"}}],"title":null}`,
		`not JSON`,
		`{"externalId":"c",` + image + `,"metadata":"` + strings.Repeat("x", productimport.MaxEntryBytes) + `"}`,
		"  \t",
		`{` + image + `}`,
		`{"externalId":"d","images":[{"source":{"fileKey":"front"}}]}`,
		`{"externalId":"e","title":"no image"}`,
		`{"externalId":"a","title":"edited","title":"twice"}`,
		`{"externalId":"a","title":"edited"}`,
		`{"externalId":"a","title":"edited"}`,
		`{"externalId":"f","imageUrls":["https://cdn.example/1.jpg","nope"]}`,
		`{"externalId":"_anon_x",` + image + `}`,
		`{"externalId":"g",` + image + `}`,
		`{"externalId":"g","imageUrls":["upload://00000000000000000000000000000000"]}`,
	}
	data := filepath.Join(t.TempDir(), "store")
	status, out, errs := execute(t, strings.NewReader(strings.Join(lines, "\n")), "import", "--data", data, "--account", testAccount, "-")
	require.Equal(t, exitRefused, status)
	require.Equal(t, "created 2, edited 1, unchanged 1, refused 10\n", out)
	want := []string{
		`line 3 \("b"\): images.0.source.url: VALIDATION_FAILED: .+; title: VALIDATION_FAILED: .+`,
		`line 4: VALIDATION_FAILED: .+`,
		`line 5: PAYLOAD_TOO_LARGE: is longer than 1048576 bytes`,
		`line 7: externalId: EXTERNAL_ID_REQUIRED: .+`,
		`line 8 \("d"\): images.0.source.fileKey: MULTIPART_FILE_NOT_FOUND: .+`,
		`line 9 \("e"\): images: PRODUCT_IMAGES_REQUIRED: .+`,
		`line 10: .*VALIDATION_FAILED: .+`,
		`line 13 \("f"\): imageUrls.1: VALIDATION_FAILED: .+`,
		`line 14 \("_anon_x"\): externalId: VALIDATION_FAILED: .+`,
		`line 16 \("g"\): imageUrls.0: VALIDATION_FAILED: .+`,
	}
	got := strings.Split(strings.TrimSuffix(errs, "\n"), "\n")
	require.Len(t, got, len(want), errs)
	for i := range want {
		require.Regexp(t, "^"+want[i]+"$", got[i])
	}
}

func TestImportOfNothing(t *testing.T) {
	status, out, errs := execute(t, strings.NewReader("\n"), "import", "--data", t.TempDir(), "--account", "a", "-")
	require.Equal(t, exitOK, status)
	require.Equal(t, "created 0, edited 0, unchanged 0, refused 0\n", out)
	require.Empty(t, errs)
}

func TestImportIntoNoAccount(t *testing.T) {
	for _, account := range []string{"", strings.Repeat("a", 256)} {
		status, out, errs := execute(t, strings.NewReader(upsertBody("a")), "import", "--data", t.TempDir(), "--account", account, "-")
		require.Equal(t, exitFailure, status)
		require.Empty(t, out)
		require.Contains(t, errs, "shelflife: --account: ")
	}
}

func TestImportThatCannotRead(t *testing.T) {
	data := t.TempDir()
	in := io.MultiReader(strings.NewReader(upsertBody("a")+"\n"+upsertBody("b")+"\n"+upsertBody("c")), iotest.ErrReader(errors.New("the disk is on fire")))
	status, out, errs := execute(t, in, "import", "--data", data, "--account", testAccount, "-")
	require.Equal(t, exitFailure, status)
	require.Equal(t, "created 2, edited 0, unchanged 0, refused 0\n", out)
	require.Equal(t, "shelflife: the import stopped after line 2: reading: the disk is on fire; --from-line 3 goes on behind it\n", errs)
	status, _, errs = execute(t, iotest.ErrReader(errors.New("no")), "import", "--data", data, "--account", testAccount, "-")
	require.Equal(t, exitFailure, status)
	require.Equal(t, "shelflife: nothing was imported: no\n", errs)
}

// lastLine is an input that stands still after its text, and signals when it has
// been read to there.
type lastLine struct {
	text    io.Reader
	reached func()
	still   <-chan struct{}
}

func (l *lastLine) Read(p []byte) (int, error) {
	n, err := l.text.Read(p)
	if err != io.EOF {
		return n, err
	}
	l.reached()
	<-l.still
	return 0, io.EOF
}

func TestImportInterrupted(t *testing.T) {
	data := t.TempDir()
	ctx, interrupt := context.WithCancel(t.Context())
	still := make(chan struct{})
	defer close(still)
	const n = 256 + 10
	var text strings.Builder
	for i := range n {
		text.WriteString(upsertBody(fmt.Sprint("p", i)) + "\n")
	}
	in := &lastLine{strings.NewReader(text.String()), interrupt, still}
	var out, errs bytes.Buffer
	status := run(ctx, []string{"import", "--data", data, "--account", testAccount, "-"}, in, &out, &errs)
	require.Equal(t, exitFailure, status)
	require.Equal(t, fmt.Sprintf("created %d, edited 0, unchanged 0, refused 0\n", n), out.String(), "what was read is imported")
	require.Equal(t, fmt.Sprintf("shelflife: the import stopped after line %d: interrupted; --from-line %d goes on behind it\n", n, n+1), errs.String())

	status, again, _ := execute(t, strings.NewReader(text.String()), "import", "--data", data, "--account", testAccount, "-")
	require.Equal(t, exitOK, status)
	require.Equal(t, fmt.Sprintf("created 0, edited 0, unchanged %d, refused 0\n", n), again)
}

func TestImportStopsWhenTheStoreFails(t *testing.T) {
	cat, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	require.NoError(t, cat.Close())
	m := newImporter(cat, testAccount, false, io.Discard)
	err = m.run(t.Context(), inputOf(t, "\n"+upsertBody("a")+"\n"+upsertBody("b")))
	require.ErrorIs(t, err, catalog.ErrClosed)
	require.ErrorContains(t, err, "line 2: ")
	require.Zero(t, m.into.Done())
	require.Zero(t, m.refused)
	require.Empty(t, m.outcomes)
}

func inputOf(t *testing.T, text string) *input {
	t.Helper()
	in, err := openInput(t.Context(), opened(strings.NewReader(text)))
	require.NoError(t, err)
	t.Cleanup(in.close)
	return in
}

// FuzzImportLine imports one line twice. The import never fails, and what the
// first time was imported the second time is unchanged.
func FuzzImportLine(f *testing.F) {
	f.Add([]byte(upsertBody("a")))
	cat, err := catalog.Open(f.Context(), memory.New(nil), nil)
	require.NoError(f, err)
	f.Cleanup(func() { _ = cat.Close() })
	f.Fuzz(func(t *testing.T, text []byte) {
		text = bytes.ReplaceAll(text, []byte("\n"), nil)
		if len(text) > productimport.MaxEntryBytes {
			return
		}
		_, err := cat.DeleteAccount(t.Context(), testAccount)
		require.NoError(t, err)
		var reports [2]bytes.Buffer
		var imports [2]*importer
		for i := range imports {
			imports[i] = newImporter(cat, testAccount, false, &reports[i])
			require.NoError(t, imports[i].into.Add(t.Context(), productimport.Entry{Number: 1, Text: append([]byte{}, text...)}))
			require.NoError(t, imports[i].into.Flush(t.Context()))
		}
		first, second := imports[0], imports[1]
		require.Equal(t, 1, first.outcomes[catalog.Created]+first.refused)
		require.Equal(t, first.refused, second.refused)
		require.Equal(t, first.outcomes[catalog.Created], second.outcomes[catalog.Unchanged])
		require.Equal(t, reports[0].String(), reports[1].String())
		require.Equal(t, first.refused, strings.Count(reports[0].String(), "\n"), "a report is one line")
	})
}
