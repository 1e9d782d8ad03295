package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCompletion completes command lines in each shell that is installed.
func TestCompletion(t *testing.T) {
	const ask = `_shelflife_asked() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shelflife; echo "${COMPREPLY[*]}"; }
_shelflife_asked shelflife com
_shelflife_asked shelflife serve --log-l
_shelflife_asked shelflife serve --log-level w
_shelflife_asked shelflife serve --addr w
_shelflife_asked shelflife completion f
_shelflife_asked shelflife serve --data fo
_shelflife_asked shelflife serve --api-key-file f
_shelflife_asked shelflife check --log
_shelflife_asked shelflife accounts s
_shelflife_asked shelflife accounts ""
_shelflife_asked shelflife accounts --af
_shelflife_asked shelflife accounts stats f
`
	for shell, tc := range map[string]struct {
		args []string
		ask  string
		want string
	}{
		"bash": {nil, ask, "completion\n--log-level\nwarn\n\nfish\nfolder\nfile folder\n\nstats\nlist stats delete\n--after\nfile folder\n"},
		// Its completions can't be asked for without a terminal: that it is read and has
		// the commands.
		"zsh": {[]string{"-f", "-e"}, "[[ $(which _shelflife) == *'serve:Serve a catalog over HTTP'*'(list stats delete)'* ]] && echo yes\n", "yes\n"},
		"fish": {[]string{"--no-config"}, `complete -C "shelflife com" | cut -f1
complete -C "shelflife serve --log-l" | cut -f1
complete -C "shelflife serve --log-level w" | cut -f1
complete -C "shelflife completion f" | cut -f1 | grep -v folder | grep -v file
complete -C "shelflife accounts st" | cut -f1
`, "completion\n--log-level\nwarn\nfish\nstats\n"},
	} {
		t.Run(shell, func(t *testing.T) {
			status, script, errs := execute(t, nil, "completion", shell)
			require.Equal(t, exitOK, status, errs)
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skip("skipped: " + shell + " is not installed")
			}
			dir := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
			if shell == "zsh" {
				script = "autoload -Uz compinit && compinit -D\n" + script
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, "script"), []byte(script+tc.ask), 0o600))
			cmd := exec.CommandContext(t.Context(), path, append(tc.args, "script")...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "HOME="+dir)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Equal(t, tc.want, string(out))
		})
	}
	status, _, errs := execute(t, nil, "completion", "csh")
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "csh")
}

func TestVersionCommand(t *testing.T) {
	_, flag, _ := execute(t, nil, "--version")
	status, out, errs := execute(t, nil, "version")
	require.Equal(t, exitOK, status, errs)
	require.Equal(t, flag, out)
}
