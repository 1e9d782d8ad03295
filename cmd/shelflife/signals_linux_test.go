package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestImportOfAPipeWithoutAWriter can be stopped while it waits.
func TestImportOfAPipeWithoutAWriter(t *testing.T) {
	dir := t.TempDir()
	pipe, data := filepath.Join(dir, "pipe"), filepath.Join(dir, "store")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	path, err := binary()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), path, "import", "--data", data, "--account", testAccount, pipe)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	require.NoError(t, cmd.Start())
	awaitSignalHandlers(t, cmd.Process.Pid)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_ = cmd.Wait()
	require.Equal(t, exitFailure, cmd.ProcessState.ExitCode())
	require.Equal(t, "shelflife: nothing was imported: interrupted\n", errs.String())
	require.NoDirExists(t, data)
}

// awaitSignalHandlers waits until a process hears signals: it ignores SIGPIPE
// from then on.
func awaitSignalHandlers(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		require.NoError(t, err)
		var ignored uint64
		_, after, _ := strings.Cut(string(status), "SigIgn:")
		_, err = fmt.Sscanf(strings.TrimSpace(after), "%x", &ignored)
		require.NoError(t, err)
		return ignored&(1<<(syscall.SIGPIPE-1)) != 0
	}, patience, time.Millisecond)
}
