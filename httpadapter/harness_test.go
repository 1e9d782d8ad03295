package httpadapter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/ttl"
)

// env is a catalog behind a server.
type env struct {
	t        testing.TB
	catalog  *catalog.Catalog
	clock    *ttl.ManualClock
	handler  *httpadapter.Handler
	budget   *httpadapter.Budget
	server   *httptest.Server
	base     string // of every path, escaped
	log      *logBuffer
	spoolDir string
}

// logBuffer is what was logged.
type logBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// setup is how an env differs from the default.
type setup struct {
	options httpadapter.Options
	backend backend.Backend
	limits  catalog.Limits
	quota   catalog.Quota
	mount   func(h *httpadapter.Handler) (handler http.Handler, base string)
}

var start = time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC)

func newEnv(t testing.TB, s setup) *env {
	t.Helper()
	e := &env{t: t, clock: ttl.NewManualClock(start), log: new(logBuffer)}
	if s.backend == nil {
		s.backend = memory.New(nil)
	}
	var err error
	e.catalog, err = catalog.Open(t.Context(), s.backend, &catalog.Options{
		Clock: e.clock, Limits: s.limits, UseWindow: catalog.NoUseWindow, Quota: func(string) catalog.Quota { return s.quota },
	})
	require.NoError(t, err)
	if s.options.Authenticate == nil {
		keys, err := httpadapter.NewAPIKeys(map[string]string{"key-a": "a", "key-a2": "a", "key-b": "b"})
		require.NoError(t, err)
		s.options.Authenticate = keys.Authenticate
	}
	if s.options.SpoolDir == "" {
		s.options.SpoolDir = t.TempDir()
	}
	if s.options.Budget == nil {
		s.options.Budget, err = httpadapter.NewBudget(nil)
		require.NoError(t, err)
	}
	e.spoolDir, e.budget = s.options.SpoolDir, s.options.Budget
	s.options.Logger = slog.New(slog.NewTextHandler(e.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	e.handler, err = httpadapter.New(e.catalog, &s.options)
	require.NoError(t, err)
	var root http.Handler = e.handler
	if s.mount != nil {
		root, e.base = s.mount(e.handler)
	}
	e.server = httptest.NewServer(record(t, e.base, root))
	t.Cleanup(func() {
		e.server.Close()
		_ = e.catalog.Close() // some tests close it before
	})
	return e
}

// reply is a response read to its end.
type reply struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

// do sends a request as account a; target is an escaped path. headers are
// names and values in turn, and replace the default ones; an empty value
// removes.
func (e *env) do(method, target string, body any, headers ...string) *reply {
	e.t.Helper()
	var r io.Reader
	h := http.Header{"X-Api-Key": {"key-a"}}
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
		h.Set("Content-Type", "application/json")
	case *form:
		r = bytes.NewReader(b.end())
		h.Set("Content-Type", b.w.FormDataContentType())
	default:
		require.FailNow(e.t, "body", "%T", body)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, e.server.URL+e.base+target, r)
	require.NoError(e.t, err)
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			h.Del(headers[i])
		} else {
			h[http.CanonicalHeaderKey(headers[i])] = []string{headers[i+1]}
		}
	}
	req.Header = h
	return e.send(req)
}

func (e *env) send(req *http.Request) *reply {
	e.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	require.NoError(e.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(e.t, err)
	return &reply{e.t, resp.StatusCode, resp.Header, body}
}

func (e *env) get(target string, headers ...string) *reply {
	e.t.Helper()
	return e.do(http.MethodGet, target, nil, headers...)
}

func (e *env) post(target string, body any, headers ...string) *reply {
	e.t.Helper()
	return e.do(http.MethodPost, target, body, headers...)
}

// create makes a product with one image from a URL.
func (e *env) create(id string) *reply {
	e.t.Helper()
	return e.post("/products", productBody(id)).ok(http.StatusCreated)
}

func productBody(id string, more ...string) string {
	quoted, _ := json.Marshal(id) // a string can't fail
	fields := append([]string{`"externalId":` + string(quoted), `"images":[{"source":{"url":"https://cdn.example/x.jpg"}}]`}, more...)
	return "{" + strings.Join(fields, ",") + "}"
}

func path(id string, more ...string) string {
	return strings.Join(append([]string{"/products/" + url.PathEscape(id)}, more...), "/")
}

// ok requires a success.
func (r *reply) ok(status int) *reply {
	r.t.Helper()
	require.Equal(r.t, status, r.status, "%s", r.body)
	return r
}

type fault struct {
	Path    string `json:"path"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// fails requires an error in the standard form, with details at the given
// paths exactly.
func (r *reply) fails(status int, code string, paths ...string) *reply {
	r.t.Helper()
	require.Equal(r.t, status, r.status, "%s", r.body)
	require.Equal(r.t, "application/json; charset=utf-8", r.header.Get("Content-Type"))
	var names map[string]json.RawMessage
	require.NoError(r.t, json.Unmarshal(r.body, &names), "%s", r.body)
	var e struct {
		Code, Message string
		Status        int
		Details       []fault
	}
	require.NoError(r.t, json.Unmarshal(r.body, &e))
	require.Equal(r.t, code, e.Code, "%s", r.body)
	require.Equal(r.t, status, e.Status)
	require.NotEmpty(r.t, e.Message)
	if status != http.StatusBadRequest {
		require.Len(r.t, names, 3, "%s", r.body)
		return r
	}
	require.Len(r.t, names, 4, "%s", r.body)
	require.NotEmpty(r.t, e.Details, "every 400 has details")
	var got []string
	for _, d := range e.Details {
		require.NotEmpty(r.t, d.Code)
		require.NotEmpty(r.t, d.Message)
		got = append(got, d.Path)
	}
	if paths != nil {
		require.Equal(r.t, paths, got, "%s", r.body)
	}
	return r
}

// product decodes the body of a success.
func (r *reply) product() map[string]any {
	r.t.Helper()
	var p map[string]any
	require.NoError(r.t, json.Unmarshal(r.body, &p), "%s", r.body)
	require.Len(r.t, p, 12, "all names are always present")
	return p
}

func (r *reply) etag() string { return r.header.Get("ETag") }

// form builds a multipart body.
type form struct {
	buf bytes.Buffer
	w   *multipart.Writer
}

func newForm() *form {
	f := new(form)
	f.w = multipart.NewWriter(&f.buf)
	return f
}

func (f *form) data(text string) *form {
	return f.part(`form-data; name="data"`, "application/json", []byte(text))
}

func (f *form) file(name string, content []byte) *form {
	return f.part(`form-data; name="`+name+`"; filename="`+name+`.png"`, "image/png", content)
}

func (f *form) part(disposition, contentType string, content []byte) *form {
	h := textproto.MIMEHeader{"Content-Disposition": {disposition}}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	w, _ := f.w.CreatePart(h) // a buffer takes everything
	_, _ = w.Write(content)
	return f
}

func (f *form) end() []byte {
	_ = f.w.Close()
	return f.buf.Bytes()
}

// picture returns a PNG of about so many bytes.
func picture(t testing.TB, size int) []byte {
	t.Helper()
	var buf bytes.Buffer
	require.NoError(t, png.Encode(&buf, image.NewGray(image.Rect(0, 0, 8, 6))))
	// What follows the end of the picture is not looked at.
	random := rand.New(rand.NewPCG(1, uint64(size)))
	for buf.Len() < size {
		buf.WriteByte(byte(random.Uint32()))
	}
	return buf.Bytes()
}

// fileBody is a product whose images are the given file parts.
func fileBody(id string, keys ...string) string {
	var images []string
	for _, k := range keys {
		images = append(images, `{"source":{"fileKey":"`+k+`"}}`)
	}
	return `{"externalId":"` + id + `","images":[` + strings.Join(images, ",") + `]}`
}
