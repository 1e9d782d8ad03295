package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestServeOfAReadOnlyVolume: a store on a volume that is mounted read-only is
// served for reading without being asked to, is not healthy, and says why in the
// log. Nothing is imported into it. With --read-only it is healthy.
func TestServeOfAReadOnlyVolume(t *testing.T) {
	dir := killedStore(t)
	before := folderState(t, dir)
	volume := filepath.Join(t.TempDir(), "volume")
	require.NoError(t, os.Mkdir(volume, 0o700))
	err := unix.Mount(dir, volume, "", unix.MS_BIND, "")
	if errors.Is(err, os.ErrPermission) && os.Getenv("SHELFLIFE_TEST_MOUNTS") == "" {
		t.Skip("needs to be allowed to mount: run as root, as CI does")
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Unmount(volume, unix.MNT_DETACH)) })
	require.NoError(t, unix.Mount("", volume, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))

	s := startServer(t, "--data", volume)
	s.awaitLog("backend/pebble: the store can't be written and was opened for reading")
	require.Equal(t, http.StatusOK, s.do("GET", "/products/p", "").status)
	require.Equal(t, http.StatusServiceUnavailable, s.do("POST", "/uses", `{"externalId":"p"}`).status)
	require.Equal(t, http.StatusServiceUnavailable, s.do("GET", "/healthz", "").status)
	s.stop()

	s = startServer(t, "--data", volume, "--read-only")
	require.Equal(t, http.StatusOK, s.do("GET", "/healthz", "").status)
	s.stop()

	file := filepath.Join(t.TempDir(), "products.jsonl")
	require.NoError(t, os.WriteFile(file, []byte(`{"externalId":"q","images":[{"source":{"url":"https://c.example/1.jpg"}}]}`), 0o600))
	status, out, errs := spawn(t, "import", "--data", volume, "--account", "a", file)
	require.Equal(t, exitFailure, status)
	require.Empty(t, out)
	require.Contains(t, errs, "nothing was imported")
	require.Contains(t, errs, "read-only file system")
	status, _, errs = spawn(t, "check", "--data", volume)
	require.Equal(t, exitOK, status, errs)
	require.Equal(t, before, folderState(t, dir))
}
