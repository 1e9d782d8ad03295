package shelflife_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// fence matches a fenced block of a document: its language and its text.
var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

// blocksOf returns the blocks of a document that have the language, and makes sure
// that none has a language beside those of languages.
func blocksOf(t *testing.T, document, language string, languages ...string) []string {
	t.Helper()
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	blocks := fence.FindAllSubmatch(text, -1)
	require.Len(t, regexp.MustCompile("(?m)^```").FindAll(text, -1), 2*len(blocks), document)
	var texts []string
	for _, m := range blocks {
		if string(m[1]) == language {
			texts = append(texts, string(m[2]))
		} else {
			require.Contains(t, languages, string(m[1]), document)
		}
	}
	require.NotEmpty(t, texts, document)
	return texts
}

func TestReadmeIsShort(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	require.LessOrEqual(t, len(strings.Fields(string(text))), 900, "words, code included")
}

// TestFragments: the Go blocks of these documents stand in the programs of examples,
// line by line, wherever they are indented to.
func TestFragments(t *testing.T) {
	programs, err := filepath.Glob("examples/*/main.go")
	require.NoError(t, err)
	require.NotEmpty(t, programs)
	var sources []string
	for _, p := range programs {
		source, err := os.ReadFile(p)
		require.NoError(t, err)
		sources = append(sources, string(source))
	}
	fragments := append(blocksOf(t, "README.md", "go", "sh"), blocksOf(t, "docs/embed.md", "go")...)
	for _, fragment := range fragments {
		require.True(t, slices.ContainsFunc(sources, func(s string) bool { return hasFragment(s, fragment) }),
			"no program of examples has this:\n%s", fragment)
	}
	require.False(t, hasFragment("func f() {\n\tg()\n\th()\n}\n", "g()\n\th()\n"), "the indentation counts")
	require.True(t, hasFragment("func f() {\n\tg()\n\n\th()\n}\n", "g()\n\nh()\n"))
}

// hasFragment reports whether source has the lines of fragment, all of them
// indented by the same number of tabs.
func hasFragment(source, fragment string) bool {
	for tabs := range 5 {
		var indented strings.Builder
		indented.WriteString("\n")
		for line := range strings.Lines(fragment) {
			if line != "\n" {
				indented.WriteString(strings.Repeat("\t", tabs))
			}
			indented.WriteString(line)
		}
		if strings.Contains(source, indented.String()) {
			return true
		}
	}
	return false
}

// TestReadmeShell runs each command of the README, and of the page about the
// proofs.
func TestReadmeShell(t *testing.T) {
	if testing.Short() {
		t.Skip("programs of their own: a run without -short has them")
	}
	dir := t.TempDir()
	run(t, ".", "go", "build", "-o", filepath.Join(dir, "shelflife"), "./cmd/shelflife")
	for _, script := range append(blocksOf(t, "README.md", "sh", "go"), blocksOf(t, "docs/testing.md", "sh")...) {
		script = strings.TrimSpace(script)
		t.Run(strings.SplitN(script, "\n", 2)[0], func(t *testing.T) {
			switch {
			case script == "go test ./...":
				requireInCI(t, script)
			case script == "cd bench && go run .":
				// Its own tests run every workload, in short.
				requireInCI(t, "cd bench")
			case strings.HasPrefix(script, "go get "):
				// It is not where the command would look for it yet.
				require.Equal(t, "go get "+module, script)
				mod, err := os.ReadFile("go.mod")
				require.NoError(t, err)
				require.True(t, strings.HasPrefix(string(mod), "module "+module+"\n"))
			case strings.HasPrefix(script, "go test "):
				out := run(t, ".", "sh", "-ec", script+" -benchtime 1x")
				require.Contains(t, out, "Benchmark")
			case strings.Contains(script, "SHELFLIFE_STORE="):
				requireServesTogether(t, dir, script)
			default:
				// In a folder, with what "go run" would have built.
				require.Contains(t, script, " serve --demo")
				requireServes(t, dir, strings.ReplaceAll(script, "go run ./cmd/shelflife", "./shelflife"))
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

// requireServesTogether runs a script that makes a database on the machine's own
// server and has two servers of ours use it. On a machine of the tests' own it is
// run as it is printed; elsewhere its end is, with a database and ports of the test's
// own, since what a machine's server holds is none of a test's.
func requireServesTogether(t *testing.T, dir, script string) {
	t.Helper()
	lines := strings.Split(script, "\n")
	require.Len(t, lines, 5)
	if os.Getenv("SHELFLIFE_TEST_SYSTEM") == "" {
		before, keys, found := strings.Cut(lines[2], " SHELFLIFE_API_KEYS=")
		require.True(t, found)
		require.True(t, strings.HasPrefix(before, "export SHELFLIFE_STORE=postgres://"))
		lines[2] = "export SHELFLIFE_STORE='" + postgrestest.Database(t) + "' SHELFLIFE_API_KEYS=" + keys
		ports := [2]string{freePort(t), freePort(t)}
		script = strings.NewReplacer(":8081", ":"+ports[0], ":8082", ":"+ports[1], ":808[1-2]", ":{"+ports[0]+","+ports[1]+"}").
			Replace(strings.Join(lines[2:], "\n"))
		requireShares(t, dir, script, ports)
		return
	}
	require.NoFileExists(t, "shelflife", "the script would write over it")
	started := exec.Command("service", "postgresql", "status").Run() != nil
	defer func() {
		require.NoError(t, os.Remove("shelflife"))
		run(t, ".", "su", "postgres", "-c", "psql -c 'DROP DATABASE shelflife' -c 'DROP ROLE shelflife'")
		if started {
			run(t, ".", "service", "postgresql", "stop")
		}
	}()
	requireShares(t, ".", script, [2]string{"8081", "8082"})
}

// freePort returns a port that nothing listens on, for a program that can't say which
// one it took.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return port
}

// requireShares runs a script that starts servers and asks both, and has each server
// answer for what the other was given.
func requireShares(t *testing.T, dir, script string, ports [2]string) {
	t.Helper()
	cmd := exec.Command("bash", "-ec", "exec 2>&1\n"+script+"\n"+
		"echo \"key=${SHELFLIFE_API_KEYS#*=}\"\nread -r _ || true\nkill $(jobs -p)\nwait")
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() {
		require.NoError(t, in.Close())
		_, _ = io.Copy(io.Discard, out)
		require.NoError(t, cmd.Wait())
	}()
	said, key, serving, lists := bufio.NewScanner(out), "", 0, 0
	for (key == "" || serving < 2) && said.Scan() {
		if _, k, ok := strings.Cut(said.Text(), "key="); ok { // it may come behind an answer
			key = k
		}
		serving += strings.Count(said.Text(), "msg=serving")
		lists += strings.Count(said.Text(), `{"items":[]`)
	}
	require.Equal(t, 2, serving, "both servers say where they are")
	require.GreaterOrEqual(t, lists, 2, "and answer")
	do := func(method, url, body string) int {
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("X-API-Key", key)
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	product := `{"externalId":"p","images":[{"source":{"url":"https://cdn.example/1.jpg"}}]}`
	require.Equal(t, http.StatusCreated, do(http.MethodPost, "http://127.0.0.1:"+ports[0]+"/products", product))
	require.Equal(t, http.StatusOK, do(http.MethodGet, "http://127.0.0.1:"+ports[1]+"/products/p", ""))
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
