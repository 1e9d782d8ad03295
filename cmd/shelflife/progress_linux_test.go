package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a pseudo-terminal.
func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { master.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	terminal, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { terminal.Close() })
	return master, terminal
}

func TestProgressOnATerminal(t *testing.T) {
	for _, input := range []string{"a file", "standard input"} {
		t.Run(input, func(t *testing.T) {
			master, terminal := openTerminal(t)
			text := upsertBody("a") + "\nwrong\n" + upsertBody("b") + "\n"
			file := filepath.Join(t.TempDir(), "products")
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			if input != "a file" {
				file = "-"
			}
			var out strings.Builder
			status := run(t.Context(), []string{"import", "--data", t.TempDir(), "--account", "a", file}, strings.NewReader(text), &out, terminal)
			require.Equal(t, exitRefused, status)
			shown := make([]byte, 1<<16)
			n, err := master.Read(shown)
			require.NoError(t, err)
			require.Contains(t, string(shown[:n]), "importing")
			require.Contains(t, string(shown[:n]), "line 2: VALIDATION_FAILED: ")
			require.Equal(t, "created 2, edited 0, unchanged 0, refused 1\n", out.String())
		})
	}
}
