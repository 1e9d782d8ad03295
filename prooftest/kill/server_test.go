package kill

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
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

// build builds the binary and returns its path.
func build(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "shelflife")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/shelflife")
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// server is a running shelflife serve.
type server struct {
	cmd   *exec.Cmd
	ready chan string   // its URL
	ended chan struct{} // closed
	mu    sync.Mutex    // guards log
	log   bytes.Buffer
}

func start(t *testing.T, binary, data string) *server {
	return startOn(t, binary, "--data", data, "--cache-size", "2MiB", "--use-window", useWindow.String())
}

// startOn starts a server on the store that the arguments name.
func startOn(t *testing.T, binary string, store ...string) *server {
	args := append([]string{"serve", "--addr", "127.0.0.1:0", "--log-format", "json"}, store...)
	for i := range writers {
		args = append(args, "--api-key", fmt.Sprintf("%s=%s", accountOf(i), keyOf(i)))
	}
	s := &server{cmd: exec.Command(binary, args...), ready: make(chan string, 1), ended: make(chan struct{})}
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
	t.Cleanup(s.kill)
	return s
}

// kill ends the server as kill -9 does.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// url waits until the server serves.
func (s *server) url(t *testing.T) string {
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
