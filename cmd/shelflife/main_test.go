package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
)

var update = flag.Bool("update", false, "write the golden files")

// patience ends tests that wait for what never comes.
const patience = time.Minute

// binary builds the program under test at its first call and returns its path.
var binary = sync.OnceValues(func() (path string, err error) {
	if binaryDir, err = os.MkdirTemp("", "shelflife-cmd-*"); err != nil {
		return "", err
	}
	path = filepath.Join(binaryDir, "shelflife")
	out, err := exec.Command("go", append(append([]string{"build"}, buildFlags...), "-o", path, ".")...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, err
})

// binaryDir is where the program was built, "" if it was not.
var binaryDir string

func TestMain(m *testing.M) {
	// Neither the developer's keys nor the width of a terminal matter here.
	os.Unsetenv(keysVariable)
	os.Unsetenv("SHELFLIFE_STORE")
	os.Unsetenv("COLUMNS")
	if os.Getenv(figuresVariable) != "" {
		os.Exit(serveWithFigures())
	}
	status := postgrestest.Main(m)
	if binaryDir != "" {
		os.RemoveAll(binaryDir)
	}
	os.Exit(status)
}

// execute runs a command line in this process.
func execute(t *testing.T, stdin io.Reader, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, stdin, &out, &errs)
	return status, out.String(), errs.String()
}

// spawn runs the binary to its end.
func spawn(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

const (
	testAccount = "acme"
	testKey     = "a-very-secret=key="
)

// server is a running shelflife serve.
type server struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	key    string
	stdout *bytes.Buffer // once it has ended
	ended  chan error

	mu   sync.Mutex // guards what follows
	log  []string
	news chan struct{} // closed and replaced with each line of the log
}

// startServer starts the binary on a free port and waits until it is ready.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	return startServerIn(t, "", append([]string{"--api-key", testAccount + "=" + testKey}, args...)...)
}

func startServerIn(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	cmd := exec.Command(path, serveArgs(args)...)
	cmd.Dir = dir
	stdout := new(bytes.Buffer)
	cmd.Stdout = stdout
	s := startCommand(t, cmd)
	s.stdout = stdout
	return s
}

func serveArgs(args []string) []string {
	return append([]string{"serve", "--addr", "127.0.0.1:0", "--log-format", "json", "--shutdown-delay", "0s"}, args...)
}

// startCommand starts a command that serves.
func startCommand(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	s := &server{t: t, cmd: cmd, key: testKey, ended: make(chan error, 1), news: make(chan struct{})}
	log, err := s.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	go func() {
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			s.mu.Lock()
			s.log = append(s.log, lines.Text())
			close(s.news)
			s.news = make(chan struct{})
			s.mu.Unlock()
		}
		s.ended <- s.cmd.Wait()
	}()
	t.Cleanup(func() { s.kill() })
	s.url = s.awaitLog("serving")["url"].(string)
	return s
}

// awaitLog returns the first line of the log with a message.
func (s *server) awaitLog(message string) map[string]any {
	s.t.Helper()
	timeout := time.After(patience)
	for {
		s.mu.Lock()
		news, log := s.news, s.log
		s.mu.Unlock()
		for _, text := range log {
			var line map[string]any
			if json.Unmarshal([]byte(text), &line) == nil && line["msg"] == message {
				return line
			}
		}
		select {
		case <-news:
		case err := <-s.ended:
			s.ended <- err
			require.FailNow(s.t, "the server ended", "%v: %q", err, log)
		case <-timeout:
			require.FailNow(s.t, "no such line in the log", "%s: %q", message, log)
		}
	}
}

// logged returns the log so far.
func (s *server) logged() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log
}

// kill ends the server as a crash would.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	s.wait()
}

// stop ends the server as an operator would.
func (s *server) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	require.NoError(s.t, s.wait())
}

func (s *server) signal(sig os.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(sig))
}

func (s *server) wait() error {
	s.t.Helper()
	select {
	case err := <-s.ended:
		s.ended <- err
		return err
	case <-time.After(patience):
		require.FailNow(s.t, "the server does not end", "%q", s.logged())
		return nil
	}
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   string
}

// do makes a request with the server's key; a body is JSON.
func (s *server) do(method, path, body string) answer {
	s.t.Helper()
	a, err := s.try(method, path, body)
	require.NoError(s.t, err)
	return a
}

func (s *server) try(method, path, body string) (answer, error) {
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("X-API-Key", s.key)
	r.Header.Set("Content-Type", "application/json")
	return send(r)
}

func send(r *http.Request) (answer, error) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	res, err := http.DefaultClient.Do(r.WithContext(ctx))
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(data)}, err
}

// list returns all listed products as they came, by their IDs.
func (s *server) list() (ids []string, products map[string]json.RawMessage) {
	s.t.Helper()
	products = map[string]json.RawMessage{}
	for cursor := ""; ; {
		a := s.do("GET", "/products?limit=50&cursor="+cursor, "")
		require.Equal(s.t, http.StatusOK, a.status, a.body)
		var page struct {
			Items      []json.RawMessage
			NextCursor *string
		}
		require.NoError(s.t, json.Unmarshal([]byte(a.body), &page))
		for _, item := range page.Items {
			var p struct{ ExternalID string }
			require.NoError(s.t, json.Unmarshal(item, &p))
			ids = append(ids, p.ExternalID)
			products[p.ExternalID] = item
		}
		if page.NextCursor == nil {
			return ids, products
		}
		cursor = *page.NextCursor
	}
}

// upsertBody is the JSON of a product with an image elsewhere.
func upsertBody(id string) string {
	return fmt.Sprintf(`{"externalId":%q,"title":"T","images":[{"source":{"url":"https://cdn.example/1.jpg"}}]}`, id)
}
