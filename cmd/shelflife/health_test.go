package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHealthCommand: a server is asked how it is, by way of its operators' address or of the
// API's, and one that takes no writes lives.
func TestHealthCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	socket := filepath.Join(t.TempDir(), "s")
	s := startServer(t, "--data", dir, "--admin-addr", "unix:"+socket)
	addr := strings.TrimPrefix(strings.TrimSuffix(s.url, "/"), "http://")
	for _, args := range [][]string{
		{"--admin", "unix:" + socket}, {"--admin", "unix:" + socket, "--ready"}, {"--addr", addr}, {"--addr", addr, "--ready"},
	} {
		status, out, errs := execute(t, nil, append([]string{"health"}, args...)...)
		require.Equal(t, exitOK, status, errs)
		require.Equal(t, "ok\n", out)
	}
	t.Setenv("SHELFLIFE_ADMIN_ADDR", "unix:"+socket)
	status, _, errs := execute(t, nil, "health")
	require.Equal(t, exitOK, status, errs)
	s.stop()
	status, _, errs = execute(t, nil, "health")
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "does not answer")
	t.Setenv("SHELFLIFE_ADMIN_ADDR", "")

	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/livez":
		case "/readyz":
			w.WriteHeader(503)
			_, _ = w.Write([]byte(`{"status":"unavailable","reason":"the disk is full"}`))
		case "/healthz":
			w.WriteHeader(503)
		}
	}))
	defer sick.Close()
	addr = sick.Listener.Addr().String()
	for want, args := range map[string][]string{
		"":                 {"--admin", addr},
		"the disk is full": {"--admin", addr, "--ready"},
		"503":              {"--addr", addr, "--ready"},
	} {
		status, _, errs := execute(t, nil, append([]string{"health"}, args...)...)
		require.Equal(t, want == "", status == exitOK)
		require.Contains(t, errs, want)
	}
	status, _, errs = execute(t, nil, "health", "--addr", addr)
	require.Equal(t, exitOK, status, errs)

	silent, err := net.Listen("tcp", "127.0.0.1:0") // from which nothing accepts
	require.NoError(t, err)
	defer silent.Close()
	status, _, errs = execute(t, nil, "health", "--addr", silent.Addr().String(), "--timeout", "10ms")
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "does not answer")
}

func TestAddressesOfThisMachine(t *testing.T) {
	for listens, want := range map[string]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:8080": "127.0.0.1:8080", "[::]:8080": "[::1]:8080",
		"10.0.0.1:80": "10.0.0.1:80", "localhost:80": "localhost:80", "unix:/run/s": "unix:/run/s", "http://127.0.0.1:80": "http://127.0.0.1:80",
	} {
		require.Equal(t, want, onThisMachine(listens))
	}
}

// TestMetricsOfAServer: what the API is asked shows to operators alone.
func TestMetricsOfAServer(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	s := startServer(t, "--data", filepath.Join(t.TempDir(), "store"), "--admin-addr", "unix:"+socket)
	require.Equal(t, http.StatusCreated, s.do("POST", "/products", upsertBody("a")).status)
	require.Equal(t, http.StatusNotFound, s.do("GET", "/products/b", "").status)
	client, err := newAdminClient("unix:" + socket)
	require.NoError(t, err)
	scrape := func() string {
		r, err := http.NewRequest("GET", client.base+"/metrics", nil)
		require.NoError(t, err)
		res, err := client.client.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return string(text)
	}
	text := scrape()
	for _, want := range []string{
		`shelflife_calls_total{operation="upsert",result="created"} 1` + "\n", `shelflife_calls_total{operation="get",result="not_found"} 1` + "\n",
		"shelflife_ready 1\n", "shelflife_pebble_disk_free_bytes ", "shelflife_build_info{", "go_goroutines ", "process_",
	} {
		require.True(t, strings.Contains(text, want), "no %s", want)
	}
	require.False(t, strings.Contains(text, testAccount))
	require.False(t, strings.Contains(text, "shelflife_backup_last_timestamp_seconds"))
	status, _, errs := execute(t, nil, "backup", "--admin", "unix:"+socket, filepath.Join(t.TempDir(), "b"))
	require.Equal(t, exitOK, status, errs)
	require.True(t, strings.Contains(scrape(), "shelflife_backup_last_timestamp_seconds 1"))
	require.Equal(t, http.StatusNotFound, s.do("GET", "/metrics", "").status)
}
