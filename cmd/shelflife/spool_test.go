package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/ttl"
)

func TestSpoolIsProbed(t *testing.T) {
	clock := ttl.NewManualClock(time.Unix(0, 0))
	store := filepath.Join(t.TempDir(), "a[b]")
	dir := filepath.Join(store, spoolName)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	for _, name := range []string{"shelflife-upload-123", "something-else"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	var log bytes.Buffer
	s, err := openSpool("", store, clock, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	require.Equal(t, dir, s.dir)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "what a crash has left is removed, and nothing else; so is what was tried")

	require.NoError(t, os.Rename(dir, dir+"2"))
	require.NoError(t, s.ready(), "the last answer holds for a moment")
	for range 3 {
		clock.Advance(probeEvery)
		err := s.ready()
		require.ErrorIs(t, err, os.ErrNotExist)
		require.ErrorContains(t, err, "--spool-dir")
	}
	require.NoError(t, os.Rename(dir+"2", dir))
	require.Error(t, s.ready())
	clock.Advance(probeEvery)
	require.NoError(t, s.ready())
	require.NoError(t, s.ready())
	require.Equal(t, 2, strings.Count(log.String(), "\n"), "each change is logged once: %s", log.String())

	s.mu.Lock() // an attempt hangs
	clock.Advance(time.Hour)
	require.NoError(t, s.ready(), "no caller waits for it")
	s.mu.Unlock()
}

func TestSpoolDir(t *testing.T) {
	chosen := filepath.Join(t.TempDir(), "a", "b")
	kept := filepath.Join(chosen, "shelflife-upload-123")
	require.NoError(t, os.MkdirAll(chosen, 0o700))
	require.NoError(t, os.WriteFile(kept, nil, 0o600))
	s, err := openSpool(chosen, t.TempDir(), ttl.SystemClock(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Equal(t, chosen, s.dir)
	require.FileExists(t, kept, "another process may be at it")

	_, err = openSpool(kept, t.TempDir(), ttl.SystemClock(), slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, kept)
	require.ErrorContains(t, err, "--spool-dir")
}

// TestUploadsAreSpooledBesideTheStore: where the system's temporary folder is of
// no use, uploads go on; where their own folder is, no server starts, and one
// that runs says so.
func TestUploadsAreSpooledBesideTheStore(t *testing.T) {
	data, file := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := binary() // while there is a temporary folder
	require.NoError(t, err)
	t.Setenv("TMPDIR", "/nowhere/at/all")
	s := startServer(t, "--data", data)
	image := tinyGIF + strings.Repeat("x", 1<<20)
	post := func() answer {
		r, err := http.NewRequest("POST", s.url+"/products", strings.NewReader(part("data", dataWithFile)+part("f", image)+"--"+boundary+"--\r\n"))
		require.NoError(t, err)
		r.Header.Set("X-API-Key", s.key)
		r.Header.Set("Content-Type", multipart)
		a, err := send(r)
		require.NoError(t, err)
		return a
	}
	a := post()
	require.Equal(t, http.StatusCreated, a.status, a.body)
	require.Equal(t, image, s.do("GET", "/products/abused/images/0", "").body)
	require.Equal(t, http.StatusOK, s.do("GET", healthPath, "").status)

	require.NoError(t, os.Rename(filepath.Join(data, spoolName), filepath.Join(data, "elsewhere")))
	require.Eventually(t, func() bool {
		return s.do("GET", healthPath, "").status == http.StatusServiceUnavailable
	}, patience, 10*time.Millisecond)
	require.Contains(t, s.awaitLog("uploads can't be kept")["error"], "--spool-dir")
	require.Equal(t, http.StatusOK, s.do("GET", "/products/abused", "").status, "the rest is served")
	s.stop()

	status, _, errs := spawn(t, "serve", "--addr", "127.0.0.1:0", "--data", data, "--api-key", testAccount+"="+testKey, "--spool-dir", file)
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "uploads can't be kept")
	require.Contains(t, errs, file)
}
