// Package serve builds and runs the command, as the proofs over HTTP do.
package serve

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience ends what never comes.
const patience = 2 * time.Minute

// Build builds the binary and returns its path.
func Build(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "shelflife")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/shelflife")
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// Server is a running shelflife serve.
type Server struct {
	cmd   *exec.Cmd
	ready chan string   // its URL
	ended chan struct{} // closed
	mu    sync.Mutex    // guards log
	log   bytes.Buffer
}

// Start starts a server with arguments, on a port of its own, until the test ends.
func Start(t *testing.T, binary string, args ...string) *Server {
	args = append([]string{"serve", "--addr", "127.0.0.1:0", "--log-format", "json"}, args...)
	s := &Server{cmd: exec.Command(binary, args...), ready: make(chan string, 1), ended: make(chan struct{})}
	s.cmd.Env = append(os.Environ(), "SHELFLIFE_API_KEYS=")
	out, err := s.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	go func() {
		defer close(s.ended)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var line struct{ Msg, URL, Level string }
			_ = json.Unmarshal(lines.Bytes(), &line)
			if line.Msg == "serving" {
				s.ready <- line.URL
			}
			if line.Msg != "request" {
				s.mu.Lock()
				s.log.Write(append(lines.Bytes(), '\n'))
				s.mu.Unlock()
			}
		}
		_ = s.cmd.Wait()
	}()
	t.Cleanup(s.Kill)
	return s
}

// Kill ends the server as kill -9 does.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// URL waits until the server serves and returns where.
func (s *Server) URL(t *testing.T) string {
	select {
	case url := <-s.ready:
		return url
	case <-s.ended:
	case <-time.After(patience):
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	require.FailNow(t, "the server does not serve", "%s", s.log.String())
	return ""
}
