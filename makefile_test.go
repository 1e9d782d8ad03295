package shelflife_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMakefile: what people call by hand is what CI calls.
func TestMakefile(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	require.NoError(t, err)
	ci, err := os.ReadFile(".ci/run")
	require.NoError(t, err)
	called := map[string]bool{}
	for line := range strings.Lines(string(ci)) {
		command, _, _ := strings.Cut(line, " #")
		called[strings.TrimSpace(command)] = true
	}
	commands := 0
	for line := range strings.Lines(string(makefile)) {
		recipe, ok := strings.CutPrefix(line, "\t")
		if !ok {
			continue
		}
		commands++
		recipe = strings.TrimSpace(recipe)
		if dir, command, ok := strings.Cut(recipe, " && "); ok {
			require.True(t, called[dir], "%s: .ci/run does not go there", recipe)
			recipe = command
		}
		require.True(t, called[recipe], "%s: .ci/run does not call it", recipe)
	}
	require.NotZero(t, commands)
}
