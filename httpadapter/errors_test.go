package httpadapter_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/httpadapter"
)

func TestOrderOfChecks(t *testing.T) {
	// contract 6: authentication, path, method, content type, size, JSON,
	// fields, condition, existence. Each request fails at one check and at
	// all later ones.
	e := newEnv(t, setup{options: httpadapter.Options{MaxJSONBytes: 1000}})
	e.create("a")
	long := strings.Repeat("[", 2000)
	for _, tc := range []struct {
		code                 string
		status               int
		method, target, body string
		headers              []string
	}{
		{"MISSING_API_KEY", 401, "PUT", "/nowhere", long, []string{"X-API-Key", "", "Content-Type", "text/plain"}},
		{"INVALID_API_KEY", 401, "PUT", "/nowhere", long, []string{"X-API-Key", "x", "Content-Type", "text/plain"}},
		{"NOT_FOUND", 404, "PUT", "/nowhere", long, []string{"Content-Type", "text/plain"}},
		{"METHOD_NOT_ALLOWED", 405, "PUT", "/products", long, []string{"Content-Type", "text/plain"}},
		{"METHOD_NOT_ALLOWED", 405, "PUT", "/products/%2e", long, []string{"Content-Type", "text/plain"}},
		{"UNSUPPORTED_MEDIA_TYPE", 415, "POST", "/products", long, []string{"Content-Type", "text/plain"}},
		{"PAYLOAD_TOO_LARGE", 413, "POST", "/products", long, []string{"If-Match", "x"}},
		{"VALIDATION_FAILED", 400, "POST", "/products", long[:500], []string{"If-Match", `"x"`}},
		{"VALIDATION_FAILED", 400, "POST", "/products", `{"externalId":"new","title":5}`, []string{"If-Match", `"x"`}},
		{"PRECONDITION_FAILED", 412, "POST", "/products", `{"externalId":"new"}`, []string{"If-Match", `"x"`}},
		{"PRECONDITION_FAILED", 412, "POST", "/products", `{"externalId":"_anon_x","images":[{"url":"https://a.example/x"}]}`, []string{"If-Match", `"x"`}},
		{"PRODUCT_IMAGES_REQUIRED", 400, "POST", "/products", `{"externalId":"new"}`, nil},
		{"PRECONDITION_FAILED", 412, "POST", "/products", `{"externalId":"a","images":[{"sourceUrl":"upload://00000000000000000000000000000001"}]}`, []string{"If-Match", `"x"`}},
	} {
		e.do(tc.method, tc.target, tc.body, tc.headers...).fails(tc.status, tc.code)
	}
}

func TestContentTypes(t *testing.T) {
	// contract 6: UNSUPPORTED_MEDIA_TYPE; bodies are UTF-8 JSON.
	e := newEnv(t, setup{})
	for _, kind := range []string{"", "text/plain", "application/jsonx", "application/json, text/plain", "application/json; charset=latin1",
		"application/json; charset", "multipart/mixed; boundary=x", "application/x-www-form-urlencoded", "json", "application/merge-patch+json"} {
		e.post("/products", productBody("a"), "Content-Type", kind).fails(415, "UNSUPPORTED_MEDIA_TYPE")
	}
	e.post("/products", productBody("a"), "Content-Encoding", "gzip").fails(415, "UNSUPPORTED_MEDIA_TYPE")
	for _, kind := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;Charset=\"UTF-8\"", "application/json; later=x"} {
		r := e.post("/products", productBody("a"), "Content-Type", kind)
		require.Contains(t, []int{200, 201}, r.status, kind)
	}
}

func TestBodyCutOff(t *testing.T) {
	// contract 6: a body cut off is VALIDATION_FAILED, in whatever way it is.
	e := newEnv(t, setup{})
	const head = "POST /products HTTP/1.1\r\nHost: x\r\nX-API-Key: key-a\r\nConnection: close\r\nContent-Type: "
	body := productBody("a")
	e.rawCut(head+fmt.Sprintf("application/json\r\nContent-Length: %d\r\n\r\n", len(body)+1)+body).fails(400, "VALIDATION_FAILED", "")
	e.rawCut(head+fmt.Sprintf("application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(body), body)).fails(400, "VALIDATION_FAILED", "")
	e.rawCut(head+"application/json\r\nTransfer-Encoding: chunked\r\n\r\nrubbish\r\n").fails(400, "VALIDATION_FAILED", "")
	f := newForm().file("f", picture(t, 10_000)).data(fileBody("a", "f"))
	text := string(f.end())
	for _, n := range []int{100, 5000, len(text) - 1} {
		e.rawCut(head+fmt.Sprintf("%s\r\nContent-Length: %d\r\n\r\n", f.w.FormDataContentType(), len(text))+text[:n]).fails(400, "VALIDATION_FAILED", "")
	}
	e.rawCut(head+fmt.Sprintf("%s\r\nContent-Length: %d\r\n\r\n", f.w.FormDataContentType(), len(text)+10)+text).fails(400, "VALIDATION_FAILED", "")
	e.get("/products/a").fails(404, "PRODUCT_NOT_FOUND")
	requireClosed(t, e)

	// A body that announces too much is not waited for.
	for _, kind := range []string{"application/json", "multipart/form-data; boundary=x", "multipart/form-data"} {
		e.rawCut(head+kind+"\r\nContent-Length: 999999999\r\n\r\n").fails(413, "PAYLOAD_TOO_LARGE")
	}
}

// failing is a backend whose calls fail while err is set.
type failing struct {
	*memory.Store
	err error
}

func (f *failing) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	if f.err != nil {
		return false, f.err
	}
	return f.Store.Get(ctx, key, fn)
}

func (f *failing) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if f.err != nil {
		return f.err
	}
	return f.Store.Update(ctx, scopes, o, fn)
}

func TestFailuresOfTheStore(t *testing.T) {
	// contract 6: INTERNAL gives no internal text; UNAVAILABLE when closed, not
	// answering, or the outcome is unknown.
	b := &failing{Store: memory.New(nil)}
	e := newEnv(t, setup{backend: b})
	upsert := func() *reply { return e.post("/products", productBody("a")) }
	for _, tc := range []struct {
		err    error
		status int
		code   string
	}{
		{errors.New("secret text"), 500, "INTERNAL"},
		{fmt.Errorf("secret text: %w", backend.ErrUnavailable), 503, "UNAVAILABLE"},
		{fmt.Errorf("secret text: %w", backend.ErrUnknownOutcome), 503, "UNKNOWN_OUTCOME"},
		{fmt.Errorf("secret text: %w", backend.ErrClosed), 503, "UNAVAILABLE"},
		{fmt.Errorf("secret text: %w", context.DeadlineExceeded), 503, "UNAVAILABLE"},
	} {
		b.err = tc.err
		for _, r := range []*reply{upsert(), e.post("/uses", `{"images":[{"source":{"url":"https://a.example/x"}}]}`),
			e.get("/products/a"), e.do("DELETE", "/products/a", nil), e.post("/products/a/use", nil), e.get("/products/a/images/0")} {
			r.fails(tc.status, tc.code)
			require.NotContains(t, string(r.body), "secret")
			require.Equal(t, "no-store", r.header.Get("Cache-Control"))
			if errors.Is(tc.err, backend.ErrUnknownOutcome) {
				require.Empty(t, r.header.Get("Retry-After"))
				require.Contains(t, string(r.body), "or may happen yet")
			} else if tc.status == 503 {
				require.NotEmpty(t, r.header.Get("Retry-After"))
			}
		}
		require.Contains(t, e.log.String(), tc.err.Error())
	}
	b.err = nil
	upsert().ok(201)
	require.NoError(t, e.catalog.Close())
	upsert().fails(503, "UNAVAILABLE")
	e.get("/products/a").fails(503, "UNAVAILABLE")
	e.get("/products").fails(503, "UNAVAILABLE")
}

func TestClientThatLeft(t *testing.T) {
	// What a client's leaving cuts off is no failure; a failure that
	// happens to fall together with it is still one.
	auth := func(r *http.Request) (string, error) { return "a", r.Context().Err() }
	for _, o := range []httpadapter.Options{{}, {Authenticate: auth}} {
		b := &failing{Store: memory.New(nil)}
		e := newEnv(t, setup{backend: b, options: o})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		send := func() {
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/products", strings.NewReader(productBody("a")))
			r.Header = http.Header{"X-Api-Key": {"key-a"}, "Content-Type": {"application/json"}}
			e.serve(httptest.NewRecorder(), r)
		}
		send()
		require.NotContains(t, e.log.String(), "level=ERROR")
		require.NotContains(t, e.log.String(), "level=WARN")
		e.get("/products/a").fails(404, "PRODUCT_NOT_FOUND")
		b.err = nil // for Close
	}
}

func TestFailuresOfWhoLeft(t *testing.T) {
	// A failure that a client's leaving had a part in is still one.
	for _, tc := range []struct {
		err   error
		level string // "" for less than info
	}{
		{context.Canceled, ""},
		{fmt.Errorf("stopped: %w", context.Canceled), ""},
		{errors.Join(context.DeadlineExceeded, context.Canceled), ""},
		{errors.New("the disk is gone"), "ERROR"},
		{fmt.Errorf("%w: %w", errors.New("the disk is gone"), context.Canceled), "ERROR"},
		{fmt.Errorf("commit: %w", errors.Join(context.Canceled, errors.New("the disk is gone"))), "ERROR"},
		{fmt.Errorf("%w: %w", backend.ErrUnknownOutcome, context.Canceled), "WARN"},
		{fmt.Errorf("%w: %w", backend.ErrUnavailable, context.Canceled), "WARN"},
	} {
		t.Run(tc.err.Error(), func(t *testing.T) {
			b := &failing{Store: memory.New(nil)}
			e := newEnv(t, setup{backend: b})
			b.err = tc.err
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/products", strings.NewReader(productBody("a")))
			r.Header = http.Header{"X-Api-Key": {"key-a"}, "Content-Type": {"application/json"}}
			w := httptest.NewRecorder()
			e.serve(w, r)
			b.err = nil // for Close
			if tc.level == "" {
				require.Equal(t, 503, w.Code)
				require.Empty(t, e.log.String())
				return
			}
			require.Contains(t, e.log.String(), "level="+tc.level)
			require.Equal(t, tc.level == "ERROR", w.Code == 500, "%d", w.Code)
		})
	}
}
