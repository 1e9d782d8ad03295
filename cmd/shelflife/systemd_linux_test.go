package main

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// startPassed starts a server that is passed a socket, as systemd does.
func startPassed(t *testing.T, l *net.TCPListener, notify string, args ...string) *server {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	f, err := l.File()
	require.NoError(t, err)
	defer f.Close()
	// The number of the process is known to the process alone before it runs.
	cmd := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, path}, serveArgs(append([]string{"--api-key", testAccount + "=" + testKey}, args...))...)...)
	cmd.ExtraFiles = []*os.File{f}
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "NOTIFY_SOCKET="+notify)
	return startCommand(t, cmd)
}

// TestRestartRefusesNoConnection: while a server is replaced by another, the socket that
// is passed to both keeps the connections that come.
func TestRestartRefusesNoConnection(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	told, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "n"), Net: "unixgram"})
	require.NoError(t, err)
	defer told.Close()
	hear := func() string {
		require.NoError(t, told.SetReadDeadline(time.Now().Add(time.Minute)))
		text := make([]byte, 100)
		n, err := told.Read(text)
		require.NoError(t, err)
		return string(text[:n])
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer l.Close()
	url := "http://" + l.Addr().String() + "/healthz"
	s := startPassed(t, l, told.LocalAddr().String(), "--data", dir)
	require.Equal(t, "READY=1", hear())

	var answers atomic.Int64
	var failures sync.Map
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for {
				select {
				case <-stop:
					return
				default:
				}
				res, err := client.Get(url)
				if err != nil {
					failures.Store(err.Error(), true)
					return
				}
				_ = res.Body.Close()
				answers.Add(1)
			}
		})
	}
	for range 2 {
		before := answers.Load()
		require.Eventually(t, func() bool { return answers.Load() > before+20 }, time.Minute, time.Millisecond)
		s.stop()
		require.Equal(t, "STOPPING=1", hear())
		s = startPassed(t, l, told.LocalAddr().String(), "--data", dir)
		require.Equal(t, "READY=1", hear())
	}
	before := answers.Load()
	require.Eventually(t, func() bool { return answers.Load() > before+20 }, time.Minute, time.Millisecond)
	close(stop)
	clients.Wait()
	failures.Range(func(failure, _ any) bool { t.Error(failure); return true })
	s.stop()
}

func TestWhatIsNotPassed(t *testing.T) {
	l, err := passedListener()
	require.NoError(t, err)
	require.Nil(t, l)
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("LISTEN_PID", "1") // of another process
	l, err = passedListener()
	require.NoError(t, err)
	require.Nil(t, l)
	require.NoError(t, notify("READY=1"), "there is no listener")
	t.Setenv("NOTIFY_SOCKET", "relative")
	require.Error(t, notify("READY=1"))
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	require.Error(t, notify("READY=1"))
}
