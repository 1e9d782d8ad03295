//go:build unix

package main

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
	"time"

	"github.com/stretchr/testify/require"
)

// startSmall runs serve as a container has it: with little memory and few files.
func startSmall(t *testing.T, files int, args ...string) *measured {
	path, err := os.Executable()
	require.NoError(t, err)
	script := fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, files)
	cmd := exec.Command("sh", append([]string{"-c", script, path}, serveArgs(args)...)...)
	cmd.Env = append(os.Environ(), figuresVariable+"=1", "GOMEMLIMIT=256MiB")
	ask, err := cmd.StdinPipe()
	require.NoError(t, err)
	answer, err := cmd.StdoutPipe()
	require.NoError(t, err)
	return &measured{server: startCommand(t, cmd), ask: ask, answer: bufio.NewScanner(answer)}
}

// TestAbuseOfASmallServer holds a server with 256 MiB and 512 files against
// clients that take memory and connections and give nothing back.
func TestAbuseOfASmallServer(t *testing.T) {
	const growth = 160 << 20 // above idle: the request memory, the connections, and what is garbage yet
	s := startSmall(t, 512, "--data", filepath.Join(t.TempDir(), "store"), "--cache-size", "8MiB",
		"--api-key", testAccount+"="+testKey)
	for i := range 200 {
		body := fmt.Sprintf(`{"externalId":"p%03d","description":"%s","images":[{"source":{"url":"https://c.example/a.jpg"}}]}`,
			i, strings.Repeat(`\u0001`, 20_000))
		require.Equal(t, http.StatusCreated, s.do("POST", "/products", body).status)
	}
	idle := s.figures()
	t.Logf("idle: %v", idle)
	for _, abuse := range []struct {
		name string
		run  func() []net.Conn
	}{
		{"60 pages of 24 MB that nobody reads", func() []net.Conn {
			return s.crowd(t, 60, "GET /products?limit=200 HTTP/1.1\r\nHost: x\r\nX-API-Key: "+testKey+"\r\n\r\n")
		}},
		{"200 requests of 10,500 headers without a key", func() []net.Conn {
			return s.crowd(t, 200, "POST /products HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"+strings.Repeat("a:b\r\n", 10_500)+"\r\n")
		}},
		{"300 connections that say nothing", func() []net.Conn { return s.crowd(t, 300, "") }},
		{"300 that say half a request", func() []net.Conn { return s.crowd(t, 300, "GET /products HTTP/1.1\r\n") }},
		{"200 bodies that have begun", func() []net.Conn {
			return s.crowd(t, 200, head+"Content-Length: 1000000\r\n\r\n"+`{"title":"`+strings.Repeat("x", 500<<10))
		}},
	} {
		conns := abuse.run()
		require.Eventually(t, func() bool {
			return s.try("GET", "/healthz") == http.StatusOK
		}, patience, 10*time.Millisecond, "health is answered during %s", abuse.name)
		f := s.figures()
		t.Logf("%s: %v", abuse.name, f)
		require.Less(t, f.Memory, idle.Memory+growth, abuse.name)
		for _, c := range conns {
			_ = c.Close()
		}
		require.Eventually(t, func() bool {
			return s.try("POST", "/products/p000/use") == http.StatusOK
		}, patience, 10*time.Millisecond, "all is well after %s", abuse.name)
	}
	// What the bodies held is given back when their connections are seen to be closed.
	require.Eventually(t, func() bool {
		return s.do("POST", "/products", `{"externalId":"p000","title":"written"}`).status == http.StatusOK
	}, patience, 10*time.Millisecond, "the store takes writes")
	t.Logf("at the end: %v", s.figures())
	s.stop()
}

// crowd opens n connections, sends a text on each, and leaves them as they are.
// The server may cut them off as it likes.
func (m *measured) crowd(t *testing.T, n int, text string) (conns []net.Conn) {
	for range n {
		c := m.dial(t)
		conns = append(conns, c)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(10*time.Second)))
		_, _ = io.WriteString(c, text) // an error says that it was cut off
	}
	return conns
}

// try returns the status of an answer on a connection of its own, 0 if there is
// none.
func (m *measured) try(method, path string) int {
	r, err := http.NewRequest(method, m.url+path, nil)
	require.NoError(m.t, err)
	r.Header.Set("X-API-Key", testKey)
	r.Close = true
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode
}
