package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/dump"
	"github.com/shelflife-db/shelflife/httpadapter/admin"
)

func newCatalog(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ask returns the answer to a request that change has changed.
func ask(t *testing.T, h http.Handler, method, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "http://localhost"+path, nil)
	if change != nil {
		change(r)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func TestHealth(t *testing.T) {
	c := newCatalog(t)
	var why error
	h, err := admin.New(c, &admin.Options{Ready: func() error { return why }})
	require.NoError(t, err)
	require.Equal(t, 200, ask(t, h, "GET", "/livez", nil).Code)
	require.JSONEq(t, `{"status":"ok"}`, ask(t, h, "GET", "/readyz", nil).Body.String())
	why = errors.New("the disk is full")
	rec := ask(t, h, "GET", "/readyz", nil)
	require.Equal(t, 503, rec.Code)
	require.JSONEq(t, `{"status":"unavailable","reason":"the disk is full"}`, rec.Body.String())
	require.Equal(t, 200, ask(t, h, "GET", "/livez", nil).Code, "a restart would make it no better")

	h, err = admin.New(c, nil)
	require.NoError(t, err)
	var stats map[string]any
	require.NoError(t, json.Unmarshal(ask(t, h, "GET", "/stats", nil).Body.Bytes(), &stats))
	require.Contains(t, stats, "pendingUses")
	require.NotContains(t, ask(t, h, "GET", "/stats", nil).Body.String(), "1970", "nothing was swept here")
	require.NoError(t, c.Close())
	closed := ask(t, h, "GET", "/readyz", nil)
	require.Equal(t, 503, closed.Code)
	require.JSONEq(t, `{"status":"unavailable","reason":"shelflife: ready: catalog is closed"}`, closed.Body.String())
	require.Equal(t, 503, ask(t, h, "GET", "/stats", nil).Code)
	require.Equal(t, 503, ask(t, h, "POST", "/backup", nil).Code)
}

// TestWhoIsHeard: a page of another site reaches an operator's machine by way of the
// browser, under a name of its own or from an origin of its own.
func TestWhoIsHeard(t *testing.T) {
	open, err := admin.New(newCatalog(t), &admin.Options{Hosts: []string{"ops.internal"}})
	require.NoError(t, err)
	any, err := admin.New(newCatalog(t), &admin.Options{Hosts: []string{"*"}})
	require.NoError(t, err)
	for host, want := range map[string]int{
		"localhost": 200, "localhost:9090": 200, "LOCALHOST": 200, "127.0.0.1:9090": 200, "127.8.8.8": 200, "[::1]:9090": 200,
		"ops.internal:9090": 200, "Ops.Internal": 200,
		"evil.example": 421, "evil.example:9090": 421, "localhost.evil.example": 421, "10.0.0.1": 421, "": 421, "ops.internal.evil.example": 421,
	} {
		name := func(r *http.Request) { r.Host = host }
		require.Equal(t, want, ask(t, open, "GET", "/readyz", name).Code, host)
		require.Equal(t, 200, ask(t, any, "GET", "/readyz", name).Code, host)
	}
	socket := func(r *http.Request) {
		*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.UnixAddr{Name: "s", Net: "unix"})))
		r.Host = "whatever"
	}
	require.Equal(t, 200, ask(t, open, "GET", "/readyz", socket).Code)
	for _, tt := range []struct {
		name, value string
		want        int
	}{
		{"Sec-Fetch-Site", "cross-site", 403}, {"Sec-Fetch-Site", "same-site", 403}, {"Sec-Fetch-Site", "new", 403},
		{"Sec-Fetch-Site", "none", 200}, {"Sec-Fetch-Site", "same-origin", 200},
		{"Origin", "http://evil.example", 403}, {"Origin", "null", 403},
	} {
		with := func(r *http.Request) { r.Header.Set(tt.name, tt.value) }
		require.Equal(t, tt.want, ask(t, open, "GET", "/stats", with).Code, "%s: %s", tt.name, tt.value)
		require.NotEqual(t, 200, ask(t, open, "GET", "/backup", with).Code)
	}
}

func TestBackup(t *testing.T) {
	b, err := pebble.Open(t.Context(), filepath.Join(t.TempDir(), "store"), nil)
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), b, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	images := catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1.jpg"}})
	for i := range 1000 {
		_, err := c.Upsert(t.Context(), "a", fmt.Sprint(i), catalog.Patch{Images: images, Title: catalog.Set(fmt.Sprintf("%0200d", i))})
		require.NoError(t, err)
	}
	h, err := admin.New(c, nil)
	require.NoError(t, err)
	s := httptest.NewServer(h)
	defer s.Close()
	res, err := http.Post(s.URL+"/backup", "", nil)
	require.NoError(t, err)
	require.Equal(t, 200, res.StatusCode)
	info, err := pebble.VerifyBackup(t.Context(), res.Body)
	require.NoError(t, err)
	require.Positive(t, info.Bytes)
	require.NoError(t, res.Body.Close())
	require.Equal(t, "1000", res.Trailer.Get(admin.ProductsTrailer))
	require.Equal(t, "0", res.Trailer.Get(admin.BlobsTrailer))

	res, err = http.Post(s.URL+"/dump", "", nil)
	require.NoError(t, err)
	require.Equal(t, 200, res.StatusCode)
	dumped, err := dump.Verify(t.Context(), res.Body)
	require.NoError(t, err)
	require.Equal(t, 1000, dumped.Products)
	require.NoError(t, res.Body.Close())

	other, err := admin.New(newCatalog(t), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotImplemented, ask(t, other, "POST", "/backup", nil).Code)
}

// TestBackupIsCutOff: what ends early looks so, be it a backup or a dump.
func TestBackupIsCutOff(t *testing.T) {
	for _, path := range []string{"/backup", "/dump"} {
		t.Run(path, func(t *testing.T) { testCutOff(t, path) })
	}
}

func testCutOff(t *testing.T, path string) {
	t.Helper()
	b, err := pebble.Open(t.Context(), filepath.Join(t.TempDir(), "store"), nil)
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), b, nil)
	require.NoError(t, err)
	noise := make([]byte, 19<<20) // that nothing compresses: more than sockets hold
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	image := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"), noise...)
	_, err = c.Upsert(t.Context(), "a", "p", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(bytes.NewReader(image))}})})
	require.NoError(t, err)
	h, err := admin.New(c, nil)
	require.NoError(t, err)
	s := httptest.NewServer(h)
	defer s.Close()
	res, err := http.Post(s.URL+path, "", nil)
	require.NoError(t, err)
	_, err = io.ReadFull(res.Body, make([]byte, 1000))
	require.NoError(t, err)
	closed := make(chan error, 1)
	go func() { closed <- c.Close() }()
	require.Eventually(t, func() bool { return errors.Is(c.Ready(), catalog.ErrClosed) }, 20*time.Second, time.Millisecond)
	_, err = io.Copy(io.Discard, res.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NoError(t, <-closed)
	require.NoError(t, res.Body.Close())
}

func TestProfiles(t *testing.T) {
	h, err := admin.New(newCatalog(t), nil)
	require.NoError(t, err)
	require.Contains(t, ask(t, h, "GET", "/debug/pprof/goroutine?debug=1", nil).Body.String(), "goroutine profile:")
	require.Equal(t, "\x1f\x8b", ask(t, h, "GET", "/debug/pprof/heap", nil).Body.String()[:2])
	require.Equal(t, 404, ask(t, h, "GET", "/debug/pprof/cmdline", nil).Code)
	require.Equal(t, 404, ask(t, h, "GET", "/debug/vars", nil).Code)
	for _, seconds := range []string{"0", "-1", "301", "x"} {
		require.Equal(t, 400, ask(t, h, "GET", "/debug/pprof/profile?seconds="+seconds, nil).Code)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	at := func(r *http.Request) { *r = *r.WithContext(ended) }
	require.Equal(t, 200, ask(t, h, "GET", "/debug/pprof/profile", at).Code)
	require.Equal(t, 200, ask(t, h, "GET", "/debug/pprof/trace", at).Code)
}

func TestRoutes(t *testing.T) {
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	h, err := admin.New(newCatalog(t), &admin.Options{Routes: map[string]http.Handler{"POST /hello": hello}})
	require.NoError(t, err)
	require.Equal(t, "hello", ask(t, h, "POST", "/hello", nil).Body.String())
	for _, pattern := range []string{"GET /livez", "no pattern", ""} {
		_, err = admin.New(newCatalog(t), &admin.Options{Routes: map[string]http.Handler{pattern: hello}})
		require.Error(t, err, pattern)
	}
	_, err = admin.New(nil, nil)
	require.Error(t, err)
}

// stuckWriter is an answer whose client does not read until release is closed.
type stuckWriter struct {
	http.ResponseWriter
	begun, release chan struct{}
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	w.begun <- struct{}{}
	<-w.release
	return w.ResponseWriter.Write(p)
}

// However many ask, two backups and dumps are written at once; others are refused.
func TestCopiesAtOnce(t *testing.T) {
	h, err := admin.New(newCatalog(t), nil)
	require.NoError(t, err)
	begun, release := make(chan struct{}, 1000), make(chan struct{})
	var running sync.WaitGroup
	for range 2 {
		running.Go(func() {
			r := httptest.NewRequest(http.MethodPost, "http://localhost/dump", nil)
			h.ServeHTTP(&stuckWriter{httptest.NewRecorder(), begun, release}, r)
		})
		<-begun
	}
	for _, path := range []string{"/dump", "/backup"} {
		res := ask(t, h, http.MethodPost, path, nil)
		require.Equal(t, http.StatusServiceUnavailable, res.Code)
		require.Equal(t, "60", res.Header().Get("Retry-After"))
	}
	close(release)
	running.Wait()
	require.Equal(t, http.StatusOK, ask(t, h, http.MethodPost, "/dump", nil).Code)
}
