//go:build unix

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestModesOfKeyFiles(t *testing.T) {
	for mode, want := range map[fs.FileMode]struct{ refused, warned string }{
		0o600: {}, 0o400: {}, 0o700: {},
		0o640: {warned: "may be read by others (mode 0640)"},
		0o604: {warned: "may be read by others (mode 0604)"},
		0o444: {warned: "may be read by others (mode 0444)"},
		0o660: {warned: "may be written by its group (mode 0660)"},
		0o602: {refused: "may be written by any user (mode 0602)"},
		0o666: {refused: "may be written by any user (mode 0666)"},
	} {
		t.Run(fmt.Sprintf("%04o", mode), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "keys")
			require.NoError(t, os.WriteFile(file, []byte("acme=a-key-that-is-long"), 0o600))
			require.NoError(t, os.Chmod(file, mode))
			link := file + ".link"
			require.NoError(t, os.Symlink(file, link), "as secrets are mounted")
			for _, name := range []string{file, link} {
				keys, warnings, err := readAPIKeys(nil, name, "")
				if want.refused != "" {
					require.ErrorContains(t, err, name+" "+want.refused)
					require.ErrorContains(t, err, "chmod 600")
					continue
				}
				require.NoError(t, err)
				require.Equal(t, apiKeys{"a-key-that-is-long": "acme"}, keys)
				if want.warned == "" {
					require.Empty(t, warnings)
					continue
				}
				require.Len(t, warnings, 1)
				require.Contains(t, warnings[0], name+" "+want.warned)
				require.Contains(t, warnings[0], "chmod 600")
			}
		})
	}
}

// TestKeyFilesThatAreNone: what would wait, or never end, is not opened.
func TestKeyFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(pipe, link))
	for _, name := range []string{pipe, link, dir, "/dev/zero", "/dev/null"} {
		_, _, err := readAPIKeys(nil, name, "")
		require.ErrorContains(t, err, name+" is no regular file", name)
	}
	large := filepath.Join(dir, "large")
	require.NoError(t, os.WriteFile(large, []byte("acme=a-key-that-is-long\n"), 0o600))
	require.NoError(t, os.Truncate(large, maxKeyFile+1)) // takes no room
	_, _, err := readAPIKeys(nil, large, "")
	require.ErrorContains(t, err, "more than 67108864 bytes")

	status, _, errs := spawn(t, "serve", "--addr", "127.0.0.1:0", "--data", filepath.Join(dir, "store"), "--api-key-file", pipe)
	require.Equal(t, exitFailure, status, "it does not wait for a writer")
	require.Contains(t, errs, "no regular file")
}
