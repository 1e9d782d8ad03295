package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		"plain, ünïcode 🧦 \"x\"": "plain, ünïcode 🧦 \"x\"",
		"\ufffd":                 "\ufffd",
		"a\nb\tc\x00":            `a\nb\tc\x00`,
		"\x1b[31mred":            `\x1b[31mred`,
		"a\u202egpj.exe":         `a\u202egpj.exe`,
		"a\u2028b\u2066c\u200f":  `a\u2028b\u2066c\u200f`,
		"\xff\xfe":               `\xff\xfe`,
		"\u0085\u00a0\ufeff":     `\u0085\u00a0\ufeff`,
		"ok\xe2\x80":             `ok\xe2\x80`,
	} {
		require.Equal(t, want, visible(text))
	}
}

// TestErrorsAreVisible: nothing that a command line names drives the terminal.
func TestErrorsAreVisible(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a\x1b[2J\u202e\nshelflife: all is well\u2028b")
	require.NoError(t, os.Mkdir(name, 0o700))
	absent := filepath.Join(name, "absent")
	for _, args := range [][]string{
		{"import", "--data", name + "x", "--account", "a", absent},
		{"import", "--data", name + "x", "--account", "a", name},
		{"check", "--data", absent},
		{"check", "--\x1b[2J"},
		{"\x1b[2J\u202e"},
		{"serve", "--data", absent, "--api-key-file", absent},
		{"serve", "--data", absent, "--api-key", "a\u202e="},
		{"serve", "--data", absent, "--api-key", "a=a-long-enough-key", "--prefix", "/\x1b"},
		{"serve", "--data", absent, "--api-key", "a=a-long-enough-key", "--addr", "\x1b[2J:1"},
	} {
		status, out, errs := execute(t, nil, args...)
		require.Equal(t, exitFailure, status)
		require.Empty(t, out)
		line, ended := strings.CutSuffix(errs, "\n")
		require.True(t, ended)
		require.Equal(t, line, visible(line), "%q", args)
	}
}

func TestReportOfSeveralErrors(t *testing.T) {
	var out strings.Builder
	report(&out, errors.Join(errors.New("one\ntwo"), fmt.Errorf("%w: %w", errors.New("three"), errors.New("four"))))
	require.Equal(t, "shelflife: one\\ntwo\nshelflife: three: four\n", out.String())
}
