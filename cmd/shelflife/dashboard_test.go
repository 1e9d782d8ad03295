package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestServeHasADashboard(t *testing.T) {
	s := startServer(t, "--data", filepath.Join(t.TempDir(), "store"), "--prefix", "/shop")
	require.Equal(t, http.StatusCreated, s.do("POST", "/products", upsertBody("a//b")).status)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	get := func(path string) (int, string) {
		res, err := browser.Get(s.url + path)
		require.NoError(t, err)
		return res.StatusCode, bodyOf(t, res)
	}
	_, body := get("/dashboard") // by way of two redirects
	require.Contains(t, body, "API key")
	res, err := browser.PostForm(s.url+"/dashboard/signin", url.Values{"key": {s.key}})
	require.NoError(t, err)
	require.Contains(t, bodyOf(t, res), "product?id=a%2F%2Fb")
	status, body := get("/dashboard/product?id=a%2F%2Fb")
	require.Equal(t, http.StatusOK, status)
	require.NotContains(t, body, s.key)
	// The API does not know the cookie.
	status, _ = get("/products")
	require.Equal(t, http.StatusUnauthorized, status)
	s.stop()
	log := strings.Join(s.logged(), "\n")
	require.NotContains(t, log, s.key)
	require.Contains(t, log, `"path":"/shop/dashboard/product"`)
}

func bodyOf(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(data)
}

func TestServeWithoutADashboard(t *testing.T) {
	s := startServer(t, "--data", filepath.Join(t.TempDir(), "store"), "--no-dashboard")
	for _, path := range []string{"/dashboard", "/dashboard/", "/dashboard/signin"} {
		require.Equal(t, http.StatusNotFound, s.do("GET", path, "").status, path)
	}
	s.stop()
}

func TestSessionKeyFile(t *testing.T) {
	dir := t.TempDir()
	short := filepath.Join(dir, "key")
	require.NoError(t, os.WriteFile(short, []byte(strings.Repeat("k", 31)+"\n"), 0o600))
	for says, file := range map[string]string{"less than 32 bytes": short, "--session-key-file": short + "2"} {
		status, _, errs := execute(t, nil, "serve", "--addr", "127.0.0.1:0", "--data", filepath.Join(dir, "store"), "--api-key", "a=a-key-that-is-long", "--session-key-file", file)
		require.NotEqual(t, exitOK, status)
		require.Contains(t, errs, says)
	}
}
