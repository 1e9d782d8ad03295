package main

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

func TestCleanPrefix(t *testing.T) {
	for given, want := range map[string]string{"": "", "/": "", "/shop": "/shop", "/shop/": "/shop", "/a/b-c/v1.2_3": "/a/b-c/v1.2_3"} {
		got, err := cleanPrefix("--prefix", given)
		require.NoError(t, err, given)
		require.Equal(t, want, got, given)
	}
	for _, given := range []string{"shop", "//", "/a//b", "/a/../b", "/.", "/a b", "/a%20b", "/ü", "/a?b", "/a#b", "/{a}", "/a//"} {
		_, err := cleanPrefix("--prefix", given)
		require.Error(t, err, given)
	}
}

func TestMount(t *testing.T) {
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "api ", r.URL.EscapedPath()) })
	health := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "health") })
	const missing = `{"code":"NOT_FOUND","message":"no such path","status":404}`
	for _, tc := range []struct{ prefix, path, want string }{
		{"", "/healthz", "health"},
		{"", "/healthz/", "api /healthz/"},
		{"", "/products/healthz", "api /products/healthz"},
		{"", "/products/a%2F..%2Fb", "api /products/a%2F..%2Fb"},
		{"", "/", "api /"},
		{"/shop", "/healthz", "health"},
		{"/shop", "/shop/healthz", "api /healthz"},
		{"/shop", "/shop/products/a%2F%2Fb", "api /products/a%2F%2Fb"},
		{"/shop", "/shop", missing},
		{"/shop", "/shopping", missing},
		{"/shop", "/products", missing},
		{"/healthz", "/healthz", "health"},
		{"/healthz", "/healthz/products", "api /products"},
	} {
		rec := httptest.NewRecorder()
		mount(tc.prefix, api, nil, health).ServeHTTP(rec, httptest.NewRequest("GET", tc.path, nil))
		require.Equal(t, tc.want, rec.Body.String(), "%q %q", tc.prefix, tc.path)
		if tc.want == missing {
			require.Equal(t, http.StatusNotFound, rec.Code)
		}
	}
}

func TestOptionsOfTheServer(t *testing.T) {
	// contract 6: errors on every path, in the standard form: OPTIONS * is not
	// left to net/http.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nothing := http.NotFoundHandler()
	s := newServer(mount("", nothing, nil, nothing), ttl.SystemClock(), slog.New(slog.DiscardHandler), nil)
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(listener) }) // until Close
	defer serving.Wait()
	defer s.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
	require.Equal(t, `{"code":"NOT_FOUND","message":"no such path","status":404}`, string(body))
}

func TestHealth(t *testing.T) {
	cat, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	ask := func(method string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		healthHandler(cat.Ready, cat.Damage).ServeHTTP(rec, httptest.NewRequest(method, healthPath, nil))
		return rec
	}
	get := ask("GET")
	require.Equal(t, http.StatusOK, get.Code)
	require.Equal(t, `{"status":"ok"}`, get.Body.String())
	head := ask("HEAD")
	require.Equal(t, http.StatusOK, head.Code)
	require.Empty(t, head.Body.String())
	post := ask("POST")
	require.Equal(t, http.StatusMethodNotAllowed, post.Code)
	require.Equal(t, "GET, HEAD", post.Header().Get("Allow"))

	require.NoError(t, cat.Close())
	get = ask("GET")
	require.Equal(t, http.StatusServiceUnavailable, get.Code)
	require.Equal(t, `{"status":"unavailable"}`, get.Body.String())
}

func TestBaseHost(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8080": "127.0.0.1:8080",
		"0.0.0.0:80":     "127.0.0.1:80",
		"[::]:81":        "[::1]:81",
		"[::1]:82":       "[::1]:82",
		"192.0.2.7:83":   "192.0.2.7:83",
	} {
		a, err := net.ResolveTCPAddr("tcp", addr)
		require.NoError(t, err)
		require.Equal(t, want, baseHost(a))
	}
}

func TestAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	t.Chdir(t.TempDir())
	status, out, errs := execute(t, io.LimitReader(nil, 0), "serve", "--demo", "--addr", taken.Addr().String())
	require.Equal(t, exitFailure, status)
	require.Empty(t, out)
	require.Contains(t, errs, "the address "+taken.Addr().String()+" is in use")
}
