package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/httpadapter/client"
)

const key = "0123456789abcdef-importer"

// sampleFeed copies the sample, beside which the program writes.
func sampleFeed(t *testing.T) string {
	text, err := os.ReadFile("testdata/feed.csv")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "feed.csv")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return path
}

// log is what a process writes.
type log struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestImporter builds the program and runs it against shelflife serve.
func TestImporter(t *testing.T) {
	if testing.Short() {
		t.Skip("programs of their own: a run without -short has them")
	}
	dir := t.TempDir()
	for name, pkg := range map[string]string{"importer": ".", "shelflife": "../../cmd/shelflife"} {
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, name), pkg).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	said := new(log)
	ctx, stop := context.WithCancel(t.Context())
	server := exec.CommandContext(ctx, filepath.Join(dir, "shelflife"), "serve", "--data", filepath.Join(dir, "store"), "--addr", "127.0.0.1:0", "--api-key", "shop="+key)
	server.Stderr = said
	server.Cancel = func() error { return server.Process.Signal(os.Interrupt) }
	require.NoError(t, server.Start())
	defer func() { stop(); _ = server.Wait() }()
	var url string
	require.Eventually(t, func() bool {
		found := regexp.MustCompile(`msg=serving url=(\S+)`).FindStringSubmatch(said.String())
		if found != nil {
			url = found[1]
		}
		return found != nil
	}, time.Minute, 10*time.Millisecond, "%s", said)
	feed := sampleFeed(t)
	importFeed := func() (status int, out, errs string) {
		var stdout, stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "importer"), "-server", url, feed)
		cmd.Env = append(os.Environ(), "SHELFLIFE_KEY="+key)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
			require.NoError(t, err)
		}
		return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
	}
	for _, want := range []string{"8 rows: 5 created, 0 edited, 0 unchanged, 3 refused\n", "8 rows: 0 created, 0 edited, 5 unchanged, 3 refused\n"} {
		status, out, errs := importFeed()
		require.Equal(t, 2, status, errs)
		require.Equal(t, want, out)
		for _, refused := range []string{"row 5 (hat-3): ", "row 6 (scarf-9): ", `row 8 (belt-5): price: "n/a" is no number`} {
			require.Contains(t, errs, refused)
		}
	}
	c, err := client.New(url, &client.Options{APIKey: key})
	require.NoError(t, err)
	p, err := c.Get(t.Context(), "shirt/42-red")
	require.NoError(t, err)
	require.Equal(t, `{"currency":"EUR","price":19.90}`, string(p.Metadata))
	require.Len(t, p.Images, 2)
	require.Equal(t, `Soft cotton, "slim" fit`, p.Description)
}

// hindered is a server whose bulk upserts are cut off behind so many lines, as long as
// cuts says.
type hindered struct {
	mu   sync.Mutex // guards the fields below
	cuts int        // how many more
}

func (h *hindered) serve(t *testing.T) (url string, c *catalog.Catalog) {
	c, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	api, err := httpadapter.New(c, &httpadapter.Options{Authenticate: func(*http.Request) (string, error) { return "shop", nil }})
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		cut := h.cuts > 0
		h.cuts--
		h.mu.Unlock()
		if cut {
			w = &cutWriter{ResponseWriter: w, left: 100}
		}
		api.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { server.Close(); require.NoError(t, c.Close()) })
	return server.URL, c
}

// cutWriter drops the connection behind so many lines.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Write(b []byte) (int, error) {
	for i, c := range b {
		if c == '\n' {
			if w.left--; w.left == 0 {
				_, _ = w.ResponseWriter.Write(b[:i+1])
				_ = http.NewResponseController(w.ResponseWriter).Flush()
				return 0, errors.New("cut off")
			}
		}
	}
	return w.ResponseWriter.Write(b)
}

func (w *cutWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func longFeed(t *testing.T, rows int) string {
	var text strings.Builder
	text.WriteString("sku,name,images\n")
	for i := range rows {
		fmt.Fprintf(&text, "sku/%05d,Product %d,https://cdn.example/%d.jpg\n", i, i, i)
	}
	path := filepath.Join(t.TempDir(), "feed.csv")
	require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	return path
}

func count(t *testing.T, c *catalog.Catalog) (n int) {
	for _, err := range c.All(t.Context(), "shop", catalog.AllOptions{}) {
		require.NoError(t, err)
		n++
	}
	return n
}

// TestImporterGoesOn: behind the last row that has a result, at once or when it is run
// again.
func TestImporterGoesOn(t *testing.T) {
	const rows = 2000
	t.Run("at once", func(t *testing.T) {
		h := &hindered{cuts: 3}
		url, c := h.serve(t)
		var out, errs bytes.Buffer
		feed := longFeed(t, rows)
		require.Zero(t, run(t.Context(), []string{"-server", url, "-pause", "1ms", feed}, key, &out, &errs), errs.String())
		require.Regexp(t, `^2000 rows: \d+ created, 0 edited, \d+ unchanged, 0 refused\n$`, out.String())
		require.Equal(t, 3, strings.Count(errs.String(), "trying again"), errs.String())
		require.Contains(t, errs.String(), "behind row 100: ")
		require.Equal(t, rows, count(t, c))
		require.NoFileExists(t, feed+".place")
	})
	t.Run("when it is run again", func(t *testing.T) {
		h := &hindered{cuts: 1 << 30}
		url, c := h.serve(t)
		feed := longFeed(t, rows)
		var out, errs bytes.Buffer
		again := []string{"-server", url, "-pause", "1ms", "-tries", "1", feed}
		require.Equal(t, 1, run(t.Context(), again, key, &out, &errs))
		require.Contains(t, errs.String(), "stopped behind row 100: ")
		require.FileExists(t, feed+".place")
		h.mu.Lock()
		h.cuts = 0
		h.mu.Unlock()
		out.Reset()
		require.Zero(t, run(t.Context(), again, key, &out, &errs), errs.String())
		require.Contains(t, out.String(), "1900 rows: ")
		require.Equal(t, rows, count(t, c))

		// A feed that has changed is not gone on with.
		require.NoError(t, os.WriteFile(feed+".place", []byte(`{"row":5,"sku":"another"}`), 0o600))
		require.Equal(t, 1, run(t.Context(), again, key, &out, &errs))
		require.Contains(t, errs.String(), "it was changed")
	})
	t.Run("not with what is wrong", func(t *testing.T) {
		h := new(hindered)
		url, _ := h.serve(t)
		path := filepath.Join(t.TempDir(), "feed.csv")
		require.NoError(t, os.WriteFile(path, []byte("sku,images\na,https://a.example/x\n\"b"), 0o600))
		var out, errs bytes.Buffer
		require.Equal(t, 1, run(t.Context(), []string{"-server", url, path}, key, &out, &errs))
		require.Contains(t, errs.String(), "stopped behind row 1: the feed: ")
		require.Equal(t, 1, run(t.Context(), []string{"-server", url, path + ".not"}, key, &out, &errs))
		require.Equal(t, 1, run(t.Context(), []string{"-server", "x", path}, key, &out, &errs))
		require.Equal(t, 1, run(t.Context(), nil, key, &out, &errs))
	})
}
