package shelflife_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// fence matches a fenced block of the README: its language and its text.
var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

func readmeBlocks(t *testing.T, language string) []string {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var texts []string
	for _, m := range fence.FindAllSubmatch(readme, -1) {
		if string(m[1]) == language {
			texts = append(texts, string(m[2]))
		}
	}
	require.NotEmpty(t, texts)
	return texts
}

// TestReadmeLanguages makes sure that no block escapes the tests below.
func TestReadmeLanguages(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	fences := len(regexp.MustCompile("(?m)^```").FindAll(readme, -1))
	require.Equal(t, fences, 2*(len(readmeBlocks(t, "go"))+len(readmeBlocks(t, "sh"))))
}

// TestReadmeGo runs each Go program of the README in an empty folder and
// compares what it prints with its Output comment.
func TestReadmeGo(t *testing.T) {
	if testing.Short() {
		t.Skip("programs of their own: a run without -short has them")
	}
	for _, program := range readmeBlocks(t, "go") {
		dir := t.TempDir()
		source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
		require.NoError(t, os.WriteFile(source, []byte(program), 0o600))
		run(t, ".", "go", "build", "-o", binary, source)
		require.Equal(t, outputComment(t, program), run(t, dir, binary))
	}
}

// TestReadmeShell runs each command of the README.
func TestReadmeShell(t *testing.T) {
	if testing.Short() {
		t.Skip("programs of their own: a run without -short has them")
	}
	// One block goes on from another: they share a folder, which has what "go
	// build" puts there.
	dir := t.TempDir()
	binary := filepath.Join(dir, "shelflife")
	run(t, ".", "go", "build", "-o", binary, "./cmd/shelflife")
	for _, script := range readmeBlocks(t, "sh") {
		script = strings.TrimSpace(script)
		t.Run(strings.SplitN(script, "\n", 2)[0], func(t *testing.T) {
			switch {
			case script == "go test ./...":
				requireInCI(t, script)
			case script == "cd bench && go run .":
				// Its own tests run every workload, in short.
				requireInCI(t, "cd bench")
			case strings.HasPrefix(script, "go test "):
				out := run(t, ".", "sh", "-ec", script+" -benchtime 1x")
				require.Contains(t, out, "Benchmark")
			case strings.Contains(script, "SHELFLIFE_STORE="):
				requireServesTogether(t, dir, script)
			case strings.Contains(script, " serve --d"):
				// In a folder, with what "go run" would have built.
				script = strings.ReplaceAll(script, "go run ./cmd/shelflife", "./shelflife")
				requireServes(t, dir, script)
			default:
				script = strings.ReplaceAll(script, "go build ./cmd/shelflife", "true")
				run(t, dir, "sh", "-ec", script)
			}
		})
	}
}

// requireInCI looks for a line of .ci/run.
func requireInCI(t *testing.T, line string) {
	ci, err := os.ReadFile(".ci/run")
	require.NoError(t, err)
	require.Contains(t, strings.Split(string(ci), "\n"), line)
}

// requireServes runs a script that ends in a server, which it has serve at a
// free port, waits until that says where it is, and stops it.
func requireServes(t *testing.T, dir, script string) {
	lines := strings.Split(script, "\n")
	last := len(lines) - 1
	// The shell becomes the server, which then gets the signal.
	lines[last] = "exec " + lines[last] + " --addr 127.0.0.1:0"
	cmd := exec.Command("sh", "-ec", strings.Join(lines, "\n"))
	cmd.Dir = dir
	out, in, err := os.Pipe()
	require.NoError(t, err)
	defer out.Close()
	cmd.Stdout, cmd.Stderr = in, in
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	require.NoError(t, in.Close())
	said := bufio.NewScanner(out)
	found := false
	for !found && said.Scan() {
		found = strings.Contains(said.Text(), "http://127.0.0.1:")
	}
	require.True(t, found, "the server never said where it is")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	for said.Scan() {
	}
	require.NoError(t, cmd.Wait())
}

// requireServesTogether runs the end of a script that makes a database on the
// machine's own server, which is none of a test's, and has two servers use it. It
// is given a database of the test's own.
func requireServesTogether(t *testing.T, dir, script string) {
	dsn := postgrestest.Database(t)
	lines := strings.Split(script, "\n")
	require.Len(t, lines, 5)
	require.True(t, strings.HasPrefix(lines[2], "export SHELFLIFE_STORE=postgres://"))
	first, second := strings.TrimSuffix(lines[3], " &"), lines[4]
	for _, command := range []string{first, second} {
		command, _, _ = strings.Cut(command, " --addr")
		requireServes(t, dir, "export SHELFLIFE_STORE='"+dsn+"'\n"+command+" --api-key-file api-keys")
	}
}

// run runs a command in dir and returns what it prints.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Run(), "%s", &out)
	return out.String()
}

// outputComment returns what the program says that it prints.
func outputComment(t *testing.T, program string) string {
	t.Helper()
	_, comment, ok := strings.Cut(program, "// Output:\n")
	require.True(t, ok, "the program has no Output comment")
	var out strings.Builder
	for line := range strings.Lines(comment) {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), "// ")
		if !ok {
			break
		}
		out.WriteString(text + "\n")
	}
	return out.String()
}
