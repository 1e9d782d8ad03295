package shelflife_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDashboardDoc runs the program of docs/dashboard.md.
func TestDashboardDoc(t *testing.T) {
	if testing.Short() {
		t.Skip("programs of their own: a run without -short has them")
	}
	text, err := os.ReadFile("docs/dashboard.md")
	require.NoError(t, err)
	blocks := fence.FindAllSubmatch(text, -1)
	require.Len(t, blocks, 1)
	require.Equal(t, "go", string(blocks[0][1]))
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	require.NoError(t, os.WriteFile(source, blocks[0][2], 0o600))
	run(t, ".", "go", "build", "-o", binary, source)
	require.Equal(t, outputComment(t, string(blocks[0][2])), run(t, dir, binary))
}
