package shelflife_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
)

// proxies are how the programs of docs/deploy.md are run with what it says, by
// the language of its blocks. %DIR% is a folder of theirs.
var proxies = map[string]struct {
	program string
	around  [2]string
	args    []string
}{
	"nginx": {"nginx", [2]string{"daemon off; master_process off; pid %DIR%/pid; error_log stderr;\nevents {}\nhttp { access_log off;\n" +
		"client_body_temp_path %DIR%/b; proxy_temp_path %DIR%/p; fastcgi_temp_path %DIR%/f; uwsgi_temp_path %DIR%/u; scgi_temp_path %DIR%/s;\n", "}\n"},
		[]string{"-p", "%DIR%", "-e", "stderr", "-c", "%DIR%/config"}},
	"haproxy": {"haproxy", [2]string{"defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n", ""},
		[]string{"-db", "-f", "%DIR%/config"}},
	"caddyfile": {"caddy", [2]string{"{\n\tadmin off\n}\n", ""},
		[]string{"run", "--adapter", "caddyfile", "--config", "%DIR%/config"}},
}

// TestDeploy runs each proxy of docs/deploy.md that is installed, and sends IDs
// through it that a proxy may spoil. .ci/run needs nginx.
func TestDeploy(t *testing.T) {
	text, err := os.ReadFile("docs/deploy.md")
	require.NoError(t, err)
	blocks := fence.FindAllSubmatch(text, -1)
	require.Len(t, regexp.MustCompile("(?m)^```").FindAll(text, -1), 2*len(blocks))
	// Those in Go are for routers: prooftest/routers runs them.
	blocks = slices.DeleteFunc(blocks, func(block [][]byte) bool { return string(block[1]) == "go" })
	require.Len(t, blocks, len(proxies))
	cat, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	defer cat.Close()
	handler, err := httpadapter.New(cat, &httpadapter.Options{
		PublicPath:   "/shop",
		Authenticate: func(*http.Request) (string, error) { return "a", nil },
	})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	defer server.Close()
	for _, block := range blocks {
		t.Run(string(block[1]), func(t *testing.T) {
			addr := startProxy(t, string(block[1]), string(block[2]), server.Listener.Addr().String())
			for _, id := range []string{"a/b", "a//b", "a/../b", "a b", "100%", "q?x", "é😀", "/lead", "trail/", "a+b", "%2F", "a;b"} {
				requireRoundTrip(t, "http://"+addr+"/shop", id)
			}
		})
	}
}

// startProxy runs a program of proxies with a configuration, in which it listens
// on 127.0.0.1:8081 and the server on 127.0.0.1:8080, and returns the address that
// it has in place of that.
func startProxy(t *testing.T, language, config, server string) (addr string) {
	t.Helper()
	p, ok := proxies[language]
	require.True(t, ok)
	path, err := exec.LookPath(p.program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + p.program)
	}
	if err != nil {
		if p.program == "nginx" {
			require.Empty(t, os.Getenv("SHELFLIFE_REQUIRE_PROXIES"), "nginx must be installed here")
		}
		t.Skip("skipped: " + p.program + " is not installed")
	}
	// The proxies can't say which free port they took.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr = free.Addr().String()
	require.NoError(t, free.Close())
	dir := t.TempDir()
	config = strings.NewReplacer("%DIR%", dir, "127.0.0.1:8081", addr, "127.0.0.1:8080", server).Replace(p.around[0] + config + p.around[1])
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600))
	args := strings.Split(strings.ReplaceAll(strings.Join(p.args, "\n"), "%DIR%", dir), "\n")
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	requireListens(t, addr, ended)
	return addr
}

// requireListens waits until addr takes connections.
func requireListens(t *testing.T, addr string, ended chan error) {
	t.Helper()
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			require.FailNow(t, "the proxy ended", "%v", err)
		default: // it has not begun to listen
		}
	}
}

// requireRoundTrip creates a product and reads it at the path that the answer
// gives.
func requireRoundTrip(t *testing.T, base, id string) {
	t.Helper()
	quoted, err := json.Marshal(id)
	require.NoError(t, err)
	res, err := http.Post(base+"/products", "application/json",
		strings.NewReader(`{"externalId":`+string(quoted)+`,"images":[{"source":{"url":"https://cdn.example/1.jpg"}}]}`))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusCreated, res.StatusCode, id)
	require.Equal(t, "/shop/products/"+url.PathEscape(id), res.Header.Get("Location"))
	res, err = http.Get(base + "/products/" + url.PathEscape(id))
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	var p struct{ ExternalID string }
	require.NoError(t, json.Unmarshal(body, &p), "%s", body)
	require.Equal(t, id, p.ExternalID)
	req, err := http.NewRequest(http.MethodDelete, base+"/products/"+url.PathEscape(id), nil)
	require.NoError(t, err)
	res, err = http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusNoContent, res.StatusCode, id)
}
