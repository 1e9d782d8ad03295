package shelflife_test

import (
	"bufio"
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
)

// buildExample builds a program of examples and returns its path.
func buildExample(t *testing.T, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("programs of their own: a run without -short has them")
	}
	binary := filepath.Join(t.TempDir(), name)
	run(t, ".", "go", "build", "-o", binary, "./examples/"+name)
	return binary
}

// exampleOutput returns what a program of examples says that it prints.
func exampleOutput(t *testing.T, name string) string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("examples", name, "main.go"))
	require.NoError(t, err)
	return outputComment(t, string(source))
}

func TestExampleEmbed(t *testing.T) {
	binary, dir := buildExample(t, "embed"), t.TempDir()
	require.Equal(t, exampleOutput(t, "embed"), run(t, dir, binary))
	require.Equal(t, exampleOutput(t, "embed"), run(t, dir, binary), "again, on the store that is there")
}

func TestExampleShared(t *testing.T) {
	binary := buildExample(t, "shared")
	t.Setenv("SHELFLIFE_STORE", postgrestest.Database(t))
	require.Equal(t, exampleOutput(t, "shared"), run(t, t.TempDir(), binary))
}

func TestExampleTryOn(t *testing.T) {
	binary := buildExample(t, "tryon")
	cmd := exec.CommandContext(t.Context(), binary, "-addr", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	first, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	base, ok := strings.CutPrefix(strings.TrimSpace(first), "serving ")
	require.True(t, ok, first)

	do := func(method, path, contentType string, body io.Reader) (status int, text string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, base+path, body)
		require.NoError(t, err)
		r.AddCookie(&http.Cookie{Name: "session", Value: "of-ann"})
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		read, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, string(read)
	}
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	require.NoError(t, parts.WriteField("data", `{"product": {"externalId": "shirt-42"}, "pose": "front"}`))
	photo, err := parts.CreateFormFile("photo", "ann.jpg")
	require.NoError(t, err)
	_, err = photo.Write([]byte("a photograph"))
	require.NoError(t, err)
	require.NoError(t, parts.Close())
	status, text := do(http.MethodPost, "/try-on", parts.FormDataContentType(), &form)
	require.Equal(t, http.StatusOK, status, text)
	require.JSONEq(t, `{"product":"shirt-42","outcome":"used","pose":"front","photoBytes":12}`, text)

	status, text = do(http.MethodPost, "/try-on", "application/json", strings.NewReader(`{"product": {"externalId": "shirt-42"}}`))
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, text, `"path":"photo"`)
	status, text = do(http.MethodGet, "/catalog/products/shirt-42", "", nil)
	require.Equal(t, http.StatusOK, status, text)
	require.NotContains(t, text, `"lastUsedAt":null`, "the try-on was a use")
	status, text = do(http.MethodGet, "/products/", "", nil)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, text, "Red tee")
	res, err := http.Get(base + "/catalog/products")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_, err = io.Copy(io.Discard, out)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
}
