package shelflife_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var inBackticks = regexp.MustCompile("`([^`\n]+)`")

// TestContributing: the files and packages that CONTRIBUTING.md names are there.
func TestContributing(t *testing.T) {
	text, err := os.ReadFile("CONTRIBUTING.md")
	require.NoError(t, err)
	named := 0
	for _, m := range inBackticks.FindAllStringSubmatch(string(text), -1) {
		path := m[1]
		if !strings.Contains(path, "/") || strings.ContainsAny(path, " ") || strings.HasPrefix(path, "/") || strings.HasPrefix(path, "testdata/") || strings.HasPrefix(path, "pages/") {
			continue
		}
		named++
		_, err := os.Stat(filepath.FromSlash(path))
		require.NoError(t, err)
	}
	require.Greater(t, named, 10)
}
