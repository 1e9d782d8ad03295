package main

import (
	"bufio"
	"context"
	"errors"
	"expvar"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestKilledServerKeepsWhatItAcknowledged(t *testing.T) {
	data := filepath.Join(t.TempDir(), "store")
	s := startServer(t, "--data", data)
	const writers, enough = 4, 80
	var (
		mu           sync.Mutex
		acknowledged = map[string]string{} // ID to body
		reached      = make(chan struct{})
		writing      sync.WaitGroup
	)
	for w := range writers {
		writing.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("w%d/%d", w, i)
				a, err := s.try("POST", "/products", upsertBody(id))
				if err != nil {
					return
				}
				mu.Lock()
				if a.status == http.StatusCreated {
					acknowledged[id] = a.body
				}
				if len(acknowledged) == enough {
					close(reached)
				}
				mu.Unlock()
			}
		})
	}
	<-reached
	s.kill()
	writing.Wait()

	s = startServer(t, "--data", data)
	_, products := s.list()
	for id, body := range acknowledged {
		require.Equal(t, body, string(products[id]), id)
	}
	require.LessOrEqual(t, len(products), len(acknowledged)+writers, "no more than what was under way besides")
	s.stop()
	status, out, errs := execute(t, nil, "check", "--data", data)
	require.Equal(t, exitOK, status, "%s%s", out, errs)
}

func TestStopEndsRequestsAndKeepsUses(t *testing.T) {
	data := filepath.Join(t.TempDir(), "store")
	s := startServer(t, "--data", data, "--use-window", "1h")
	require.Equal(t, http.StatusCreated, s.do("POST", "/products", upsertBody("old")).status)
	used := s.do("POST", "/products/old/use", "")
	require.Equal(t, http.StatusOK, used.status)

	body, answered := s.beginUpsert()
	s.signal(syscall.SIGTERM)
	s.awaitLog("stopping")
	require.Eventually(t, func() bool {
		_, err := s.try("GET", "/healthz", "")
		return err != nil
	}, patience, time.Millisecond, "new connections are refused")
	_, err := io.WriteString(body, upsertBody("new"))
	require.NoError(t, err)
	require.NoError(t, body.Close())
	require.Equal(t, http.StatusCreated, (<-answered).status)
	require.NoError(t, s.wait(), "exit status 0")

	s = startServer(t, "--data", data)
	require.Equal(t, used.body, s.do("GET", "/products/old", "").body)
	require.Equal(t, http.StatusOK, s.do("GET", "/products/new", "").status)
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	s := startServer(t, "--data", t.TempDir(), "--shutdown-timeout", "1h")
	body, answered := s.beginUpsert()
	s.signal(syscall.SIGINT)
	s.awaitLog("stopping")
	s.signal(syscall.SIGINT)
	var exit *exec.ExitError
	require.ErrorAs(t, s.wait(), &exit)
	require.NotZero(t, exit.ExitCode())
	require.NoError(t, body.Close())
	require.Zero(t, (<-answered).status)
}

// TestStopIsTold: a server that is told to stop says that it is not ready and goes on
// meanwhile; each of its answers ends its connection.
func TestStopIsTold(t *testing.T) {
	s := startServer(t, "--data", t.TempDir(), "--shutdown-delay", "1h", "--admin-addr", "127.0.0.1:0")
	operators := "http://" + s.awaitLog("serving operators")["addr"].(string)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	ask := func(method, url, body string) (status int, ends bool) {
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("X-API-Key", s.key)
		r.Header.Set("Content-Type", "application/json")
		res, err := client.Do(r)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode, res.Close
	}
	requireAnswer := func(want int, ends bool, method, url, body string) {
		t.Helper()
		status, closes := ask(method, url, body)
		require.Equal(t, want, status)
		require.Equal(t, ends, closes)
	}
	requireAnswer(200, false, "GET", s.url+"/healthz", "")
	requireAnswer(201, false, "POST", s.url+"/products", upsertBody("before"))
	requireAnswer(200, false, "GET", operators+"/readyz", "")
	s.signal(syscall.SIGTERM)
	s.awaitLog("stopping")
	for _, name := range []string{"on the connection of before", "on a new one"} {
		requireAnswer(201, true, "POST", s.url+"/products", upsertBody(name))
	}
	requireAnswer(503, true, "GET", s.url+"/healthz", "")
	requireAnswer(503, false, "GET", operators+"/readyz", "")
	requireAnswer(200, false, "GET", operators+"/livez", "")
	s.signal(syscall.SIGTERM)
	require.Error(t, s.wait(), "the second one ends it at once")
}

// TestStopCutsNoConnection: what writes on and on over the same connections while the
// server stops has an answer to each, and only new connections are refused.
func TestStopCutsNoConnection(t *testing.T) {
	s := startServer(t, "--data", t.TempDir(), "--shutdown-delay", "2s")
	var writers sync.WaitGroup
	var cut atomic.Pointer[string]
	started := make(chan struct{}, 8)
	for w := range cap(started) {
		writers.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for n := 0; ; n++ {
				reused := false
				r, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
					GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused },
				}), "POST", s.url+"/products", strings.NewReader(upsertBody(fmt.Sprint(w))))
				if err != nil {
					panic(err)
				}
				r.GetBody = nil // the client would send again what it finds cut
				r.Header.Set("X-API-Key", s.key)
				r.Header.Set("Content-Type", "application/json")
				res, err := client.Do(r)
				if err != nil {
					if text := err.Error(); reused {
						cut.Store(&text)
					}
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if n == 10 {
					started <- struct{}{}
				}
			}
		})
	}
	for range cap(started) {
		<-started
	}
	s.stop()
	writers.Wait()
	if text := cut.Load(); text != nil {
		t.Fatal(*text)
	}
}

func TestStopCutsOffWhatDoesNotEnd(t *testing.T) {
	s := startServer(t, "--data", t.TempDir(), "--shutdown-timeout", "1ms")
	body, answered := s.beginUpsert()
	s.stop()
	require.NoError(t, body.Close())
	require.NotEqual(t, http.StatusCreated, (<-answered).status)
	s.awaitLog("requests that did not end were cut off")
}

// beginUpsert sends a request up to its body and returns when the server reads
// that. The answer is zero if there was none.
func (s *server) beginUpsert() (body io.WriteCloser, answered <-chan answer) {
	s.t.Helper()
	in, out := io.Pipe()
	r, err := http.NewRequest("POST", s.url+"/products", in)
	require.NoError(s.t, err)
	r.Header.Set("X-API-Key", s.key)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Expect", "100-continue")
	reading := make(chan struct{})
	trace := &httptrace.ClientTrace{Got100Continue: func() { close(reading) }}
	result := make(chan answer, 1)
	transport := &http.Transport{ExpectContinueTimeout: patience}
	go func() {
		defer transport.CloseIdleConnections()
		var a answer
		if res, err := transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace))); err == nil {
			a.status = res.StatusCode
			res.Body.Close()
		}
		result <- a
	}()
	<-reading
	return out, result
}

// TestMaxConnections: a client over the limit takes the place of one that stands
// still; where none does, it is answered that the server is full, and of health.
func TestMaxConnections(t *testing.T) {
	s := startServer(t, "--data", t.TempDir(), "--max-connections", "2", "--api-key", testAccount+"="+testKey)
	dial := func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return c, bufio.NewReader(c)
	}
	get := func(c net.Conn, in *bufio.Reader, path string) *http.Response {
		_, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		res, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(t, err)
		return res
	}
	first, fromFirst := dial()
	require.Equal(t, http.StatusOK, get(first, fromFirst, "/healthz").StatusCode)
	second, fromSecond := dial()
	require.Equal(t, http.StatusOK, get(second, fromSecond, "/healthz").StatusCode)
	_, err := fromFirst.ReadByte()
	require.Error(t, err, "it stood still, and only half of the connections may be without a key")

	for range 2 {
		busy, in := dial()
		_, err := io.WriteString(busy, head+"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		require.NoError(t, err)
		status, err := in.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "HTTP/1.1 100 Continue\r\n", status, "its key was looked at, and its body is awaited")
	}
	for range 3 {
		c, in := dial()
		full := get(c, in, "/products")
		require.Equal(t, http.StatusServiceUnavailable, full.StatusCode)
		require.NotEmpty(t, full.Header.Get("Retry-After"))
		_, err = in.ReadByte()
		require.Error(t, err, "it was closed")
		c, in = dial()
		require.Equal(t, http.StatusOK, get(c, in, "/healthz").StatusCode, "health is answered meanwhile")
	}
}

func TestStoreInUse(t *testing.T) {
	data := filepath.Join(t.TempDir(), "store")
	s := startServer(t, "--data", data)
	for _, args := range [][]string{
		{"serve", "--addr", "127.0.0.1:0", "--api-key", "a=a-key-that-is-long", "--data", data},
		{"import", "--account", "a", "--data", data, "/dev/null"},
		{"check", "--data", data},
	} {
		status, out, errs := spawn(t, args...)
		require.Equal(t, exitFailure, status, args)
		require.Empty(t, out)
		require.Equal(t, "shelflife: the store in "+data+" is in use by another process\n", errs)
	}
	require.Equal(t, http.StatusOK, s.do("GET", "/healthz", "").status, "the first goes on")
}

func TestKeysAndPrefix(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(keys, []byte("other=other-key\n"), 0o600))
	s := startServer(t, "--data", t.TempDir(), "--api-key-file", keys, "--prefix", "/shop/v1/")
	require.True(t, strings.HasSuffix(s.url, "/shop/v1"), s.url)
	created := s.do("POST", "/products", upsertBody("a/b"))
	require.Equal(t, http.StatusCreated, created.status, created.body)
	require.Equal(t, "/shop/v1/products/a%2Fb", created.header.Get("Location"))
	require.Equal(t, http.StatusOK, s.do("GET", "/products/a%2Fb", "").status)

	s.key = "other-key"
	require.Equal(t, http.StatusNotFound, s.do("GET", "/products/a%2Fb", "").status, "another account")
	for key, code := range map[string]string{"": "MISSING_API_KEY", "wrong-key": "INVALID_API_KEY", testKey + "x": "INVALID_API_KEY", testAccount: "INVALID_API_KEY"} {
		s.key = key
		a := s.do("GET", "/products", "")
		require.Equal(t, http.StatusUnauthorized, a.status)
		require.Contains(t, a.body, `"code":"`+code+`"`)
	}

	s.url = strings.TrimSuffix(s.url, "/shop/v1")
	s.key = ""
	health := s.do("GET", "/healthz", "")
	require.Equal(t, http.StatusOK, health.status, "needs no key and has no prefix")
	require.Equal(t, http.StatusNotFound, s.do("GET", "/products", "").status)

	s.stop()
	log := strings.Join(s.logged(), "\n")
	for _, key := range []string{testKey, "other-key", "wrong-key"} {
		require.NotContains(t, log, key)
	}
	require.Equal(t, 9, strings.Count(log, `"msg":"request"`), "one line per request: %s", log)
	require.Contains(t, log, `"method":"GET","path":"/shop/v1/products/a%2Fb","status":200,"account":"`+testAccount+`","client":"127.0.0.1:`)
	require.Contains(t, log, `"status":404,"code":"PRODUCT_NOT_FOUND","account":"other","client":"127.0.0.1:`)
	require.Contains(t, log, `"status":401,"code":"MISSING_API_KEY","client":"127.0.0.1:`)
	require.Empty(t, s.stdout.String())
}

// TestKeysAreServedNowhere: the engine links expvar, which shows the command
// line at /debug/vars of a mux that is not served, and is left none to show.
func TestKeysAreServedNowhere(t *testing.T) {
	s := startServer(t, "--data", t.TempDir())
	for _, path := range []string{"/debug/vars", "/debug/pprof/cmdline", "/debug/pprof/", "/metrics"} {
		for _, key := range []string{testKey, ""} {
			s.key = key
			a := s.do("GET", path, "")
			require.Contains(t, []int{http.StatusNotFound, http.StatusUnauthorized}, a.status, path)
			require.NotContains(t, a.body, testKey)
			require.NotContains(t, fmt.Sprint(a.header), testKey)
		}
	}
	s.stop()

	given := os.Args
	defer func() { os.Args = given }()
	os.Args = []string{"shelflife", "serve", "--api-key", testAccount + "=" + testKey}
	require.Equal(t, []string{"serve", "--api-key", testAccount + "=" + testKey}, takeArgs())
	require.NotContains(t, expvar.Get("cmdline").String(), testKey)
}

func TestKeysFromTheEnvironment(t *testing.T) {
	t.Setenv(keysVariable, "env=env-key-that-is-long")
	s := startServer(t, "--data", t.TempDir(), "--durability", "buffered", "--use-window", "0", "--cache-size", "2MiB", "--max-image-size", "1KiB", "--max-request-size", "2KiB")
	s.key = "env-key-that-is-long"
	require.Equal(t, http.StatusCreated, s.do("POST", "/products", upsertBody("x")).status)
	require.Equal(t, http.StatusOK, s.do("POST", "/products/x/use", "").status)
	s.stop()
}

func TestLimitsOfUploads(t *testing.T) {
	s := startServer(t, "--data", t.TempDir(), "--max-image-size", "1KiB", "--max-request-size", "2KiB")
	post := func(padding int) answer {
		body := "--b\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n" +
			`{"externalId":"x","images":[{"source":{"fileKey":"f"}}]}` +
			"\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n" +
			"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;" +
			strings.Repeat("x", padding) + "\r\n--b--\r\n"
		r, err := http.NewRequest("POST", s.url+"/products", strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("X-API-Key", s.key)
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		a, err := send(r)
		require.NoError(t, err)
		return a
	}
	require.Equal(t, http.StatusRequestEntityTooLarge, post(4096).status, "the request")
	require.Equal(t, http.StatusRequestEntityTooLarge, post(1024).status, "the image")
	require.Equal(t, http.StatusCreated, post(0).status)
}

func TestServerThatFailsToOpen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	status, _, errs := spawn(t, "serve", "--addr", "127.0.0.1:0", "--api-key", "a=a-key-that-is-long", "--data", file)
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, file)
	require.False(t, errors.Is(os.Remove(file), os.ErrNotExist), "the file is left alone")
}
