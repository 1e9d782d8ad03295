package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMutationsApply: every mutation still meets the source, and makes another
// program of it.
func TestMutationsApply(t *testing.T) {
	rules := map[string]bool{}
	for _, m := range allMutations() {
		require.False(t, rules[m.rule], m.rule)
		rules[m.rule] = true
		source, err := os.ReadFile(filepath.Join("../..", m.file))
		require.NoError(t, err)
		broken, err := m.apply(source)
		require.NoError(t, err, m.rule)
		_, err = parser.ParseFile(token.NewFileSet(), m.file, broken, 0)
		require.NoError(t, err, m.rule)
	}
}
