package abuse

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What the server has. Its cache is small, so that what is measured is what
// clients take.
const (
	memoryLimit   = 384 << 20 // of the container
	goMemoryLimit = "256MiB"
	fileLimit     = 512
	spoolSize     = 128 << 20
)

// server is a running shelflife serve.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	data string
	pid  int // of serve itself

	mu  sync.Mutex // guards log
	log bytes.Buffer
}

// startServer builds the binary and runs it within the limits.
func startServer(t *testing.T) *server {
	dir := t.TempDir()
	binary := filepath.Join(dir, "shelflife")
	build := exec.Command("go", "build", "-o", binary, "./cmd/shelflife")
	build.Dir = "../.."
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	s := &server{t: t, data: filepath.Join(dir, "store")}
	script, limit := limitMemory(t)
	t.Logf("memory is limited by %s", limit)
	s.cmd = exec.Command("sh", "-c", script+fmt.Sprintf(` ulimit -n %d; exec "$0" "$@"`, fileLimit), binary,
		"serve", "--addr", "127.0.0.1:0", "--log-format", "json", "--log-level", "info", "--h2c", "--data", s.data,
		"--cache-size", "16MiB", "--spool-size", strconv.Itoa(spoolSize),
		"--api-key", greedy+"="+greedyKey, "--api-key", neighbour+"="+neighbourKey)
	s.cmd.Env = append(os.Environ(), "GOMEMLIMIT="+goMemoryLimit)
	log, err := s.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	s.pid = s.cmd.Process.Pid // sh has become serve
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			var line struct{ Msg, URL string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
				ready <- strings.TrimPrefix(line.URL, "http://")
			}
			if !strings.Contains(lines.Text(), `"msg":"request"`) {
				s.mu.Lock()
				s.log.WriteString(lines.Text() + "\n")
				s.mu.Unlock()
			}
		}
		close(ready)
	}()
	addr, ok := <-ready
	require.True(t, ok, "the server did not start: %s", s.logged())
	s.addr = addr
	return s
}

func (s *server) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// limitMemory returns what a shell does to limit its own memory, and how that is
// called: a control group of version 2 or 1 where one can be made, else the
// address space, of which Go takes more than it uses.
func limitMemory(t *testing.T) (script, name string) {
	for _, g := range []struct{ root, limit, name string }{
		{"/sys/fs/cgroup", "memory.max", "a control group"},
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "a control group of version 1"},
	} {
		dir := filepath.Join(g.root, fmt.Sprintf("shelflife-abuse-%d", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		file := filepath.Join(dir, g.limit)
		if _, err := os.Stat(file); err == nil && os.WriteFile(file, []byte(strconv.Itoa(memoryLimit)), 0o644) == nil {
			t.Cleanup(func() {
				// The process has ended or is being killed; its group empties then.
				for range 100 {
					if err := os.Remove(dir); err == nil || errors.Is(err, os.ErrNotExist) {
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
			})
			return fmt.Sprintf("echo $$ > %s/cgroup.procs || exit 1;", dir), g.name
		}
		_ = os.Remove(dir)
	}
	return fmt.Sprintf("ulimit -v %d;", 8*memoryLimit>>10), "the address space"
}

// figures are what the server takes.
type figures struct {
	resident, peak int64 // bytes
	files          int
	cpu            time.Duration
}

// figures returns those of the moment; the peak is that since the last call.
func (s *server) figures() (f figures) {
	proc := fmt.Sprintf("/proc/%d/", s.pid)
	status, err := os.ReadFile(proc + "status")
	require.NoError(s.t, err, "the server is gone: %s", s.logged())
	kib := func(name string) (n int64) {
		_, after, _ := strings.Cut(string(status), name+":")
		_, _ = fmt.Sscan(after, &n)
		return n << 10
	}
	f.resident, f.peak = kib("VmRSS"), kib("VmHWM")
	_ = os.WriteFile(proc+"clear_refs", []byte("5"), 0) // begins a new peak
	names, err := os.ReadDir(proc + "fd")
	require.NoError(s.t, err)
	f.files = len(names)
	stat, err := os.ReadFile(proc + "stat")
	require.NoError(s.t, err)
	_, fields, _ := strings.Cut(string(stat), ") ")
	var user, system int64 // in hundredths of a second
	ticks := strings.Fields(fields)
	user, _ = strconv.ParseInt(ticks[11], 10, 64)
	system, _ = strconv.ParseInt(ticks[12], 10, 64)
	f.cpu = time.Duration(user+system) * 10 * time.Millisecond
	return f
}

// stop ends the server as an operator would, and looks at its store.
func (s *server) stop() {
	require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(s.t, s.cmd.Wait(), "%s", s.logged())
	require.NotContains(s.t, s.logged(), "panic")
	require.NotContains(s.t, s.logged(), `"level":"ERROR"`)
	out, err := exec.Command(s.cmd.Args[3], "check", "--data", s.data).CombinedOutput()
	require.NoError(s.t, err, "%s", out)
	_, _ = io.Discard.Write(out)
}
