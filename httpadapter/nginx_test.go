package httpadapter_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireProxies makes the tests with real proxies fail where they would be
// skipped. .ci/run sets it.
const requireProxies = "SHELFLIFE_REQUIRE_PROXIES"

// startNginx runs nginx with its defaults in front of the address and returns
// its own.
func startNginx(t *testing.T, upstream string) (addr string) {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/nginx")
	}
	if err != nil {
		if os.Getenv(requireProxies) != "" {
			require.FailNow(t, "nginx is not installed, and "+requireProxies+" is set")
		}
		t.Skip("skipped: nginx is not installed (Debian package nginx-light)")
	}
	dir := t.TempDir()
	// nginx can't say which free port it took: ask for one and give it back.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr = free.Addr().String()
	require.NoError(t, free.Close())
	config := filepath.Join(dir, "nginx.conf")
	// The limit alone is not nginx's default: it would refuse by itself.
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
daemon off; master_process off; pid %[1]s/pid; error_log stderr warn;
events {}
http {
	access_log off; client_max_body_size 100m;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server { listen %[2]s; location / { proxy_pass http://%[3]s; } }
}`, dir, addr, upstream), 0o600))
	cmd := exec.Command(path, "-p", dir, "-c", config, "-e", "stderr")
	log := new(logBuffer)
	cmd.Stderr = log
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return addr
		}
		select {
		case err := <-ended:
			ended <- err
			require.FailNow(t, "nginx ended", "%v: %s", err, log)
		default: // it has not begun to listen
		}
	}
}

func TestEarlyAnswersArriveBehindNginx(t *testing.T) {
	// contract 6: every answer reaches its client. nginx turns a reset
	// connection into 502.
	e := withHost(t)
	addr := startNginx(t, e.server.Listener.Addr().String())
	for _, tc := range earlyAnswers {
		for _, size := range []int{20_000, 200_000, 1_500_000, 4_000_000, large} {
			want := tc.status
			if want == http.StatusRequestEntityTooLarge && size < 1<<20 {
				want = http.StatusBadRequest // no JSON
			}
			conn, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			_, err = fmt.Fprintf(conn, "%sHost: x\r\nContent-Length: %d\r\n\r\n%s", tc.head, size, strings.Repeat(" ", size))
			require.NoError(t, err)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.NoError(t, conn.Close())
			require.Equal(t, want, resp.StatusCode, "%s, %d bytes", tc.name, size)
		}
	}
}
