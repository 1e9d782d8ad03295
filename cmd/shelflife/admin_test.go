package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAdminAddresses(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1:9090": true, "localhost:9090": true, "[::1]:9090": true, "127.0.0.1:0": true, "unix:/run/s": true,
		"0.0.0.0:9090": false, ":9090": false, "10.0.0.1:9090": false, "ops.internal:9090": false, "[::]:9090": false,
		"9090": false, "unix:": false, "http://127.0.0.1:9090": false,
	} {
		err := adminFlags{AdminAddr: addr}.check()
		require.Equal(t, ok, err == nil, "%s: %v", addr, err)
	}
	require.NoError(t, adminFlags{AdminAddr: "0.0.0.0:9090", AdminHost: []string{"ops.internal"}}.check())
	require.Error(t, adminFlags{AdminHost: []string{"ops.internal"}}.check())
	require.NoError(t, adminFlags{}.check())
	for addr, ok := range map[string]bool{
		"http://127.0.0.1:9090": true, "127.0.0.1:9090": true, "https://ops.internal/": true, "unix:/run/s": true,
		"ftp://h": false, "http://h/path": false, "http://": false, "": false,
	} {
		_, err := newAdminClient(addr)
		require.Equal(t, ok, err == nil, "%q: %v", addr, err)
	}
}

func TestSocketOfOperators(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := listenUnix(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	_, err = listenUnix(path)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as after a crash
	require.NoError(t, l.Close())
	l, err = listenUnix(path)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err = listenUnix(path)
	require.ErrorContains(t, err, "no socket")
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "precious", string(kept))
}

// TestBackupOfARunningServer: what was acknowledged is in it, and the server goes on.
func TestBackupOfARunningServer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	socket := filepath.Join(t.TempDir(), "s")
	s := startServer(t, "--data", dir, "--use-window", "1h", "--admin-addr", "unix:"+socket)
	created := s.do("POST", "/products", `{"externalId":"a","validForDays":30,"images":[{"source":{"url":"https://cdn.example/1.jpg"}}]}`)
	require.Equal(t, http.StatusCreated, created.status, created.body)
	require.Equal(t, http.StatusOK, s.do("POST", "/products/a/use", "").status)
	used := s.do("GET", "/products/a", "").body

	file := filepath.Join(t.TempDir(), "b")
	code, _, errs := execute(t, nil, "backup", "--data", dir, file)
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, "--admin")
	code, out, errs := execute(t, nil, "backup", "--admin", "unix:"+socket, file)
	require.Equal(t, exitOK, code, errs)
	require.Contains(t, out, "products        1\n")
	require.Equal(t, http.StatusNotFound, s.do("GET", "/debug/pprof/heap", "").status, "nothing of it is on the API's port")

	// The backup has another writer's disk at its end: nothing is left, and the
	// server says so and goes on.
	code, _, errs = execute(t, nil, "backup", "--admin", "unix:"+socket, filepath.Join(t.TempDir(), "no", "b"))
	require.Equal(t, exitFailure, code, errs)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	client, err := newAdminClient("unix:" + socket)
	require.NoError(t, err)
	_, err = client.backup(ctx, nil)
	require.ErrorIs(t, err, errInterrupted)
	require.Equal(t, http.StatusOK, s.do("GET", "/healthz", "").status)
	s.kill()

	to := filepath.Join(t.TempDir(), "to")
	code, _, errs = execute(t, nil, "restore", file, "--data", to)
	require.Equal(t, exitOK, code, errs)
	again := startServer(t, "--data", to)
	require.JSONEq(t, used, again.do("GET", "/products/a", "").body)
	again.stop()
	code, _, errs = execute(t, nil, "backup", "--admin", "unix:"+socket, filepath.Join(t.TempDir(), "c"))
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, "can't be asked")
}
