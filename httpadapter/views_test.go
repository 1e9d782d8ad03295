package httpadapter_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// What a client is answered from a view is, byte for byte, what a host's own
// endpoint writes of the product, and so is the entity tag that a write had.
func TestViewsAreAnsweredAsProducts(t *testing.T) {
	e := newEnv(t, setup{})
	content := picture(t, 5000)
	tags := map[string]string{}
	for i, body := range []string{
		`{"externalId":"0","images":[{"source":{"url":"https://a.example/x"}}],"metadata":[1.0,"\u00e9"],"title":"\"<&>\u2028"}`,
		`{"externalId":"1","images":[{"source":{"fileKey":"f"}},{"source":{"url":"https://a.example/ä"}}],"validForDays":3}`,
		`{"externalId":"2/ä ?","images":[{"source":{"fileKey":"f"},"classifications":{"a":{}}}],"description":"` + strings.Repeat("ß", 900) + `"}`,
	} {
		id := []string{"0", "1", "2/ä ?"}[i]
		tags[id] = e.post("/products", newForm().file("f", content).data(body)).ok(201).etag()
	}
	var items []string
	for id, tag := range tags {
		r := e.get(path(id)).ok(200)
		require.Equal(t, tag, r.etag(), id)
		p, err := e.catalog.Get(t.Context(), "a", id)
		require.NoError(t, err)
		req := httptest.NewRequest(http.MethodGet, path(id), nil)
		require.Equal(t, string(e.handler.AppendProduct(nil, req, p)), string(r.body), id)
		require.Equal(t, fmt.Sprint(len(r.body)), e.do(http.MethodHead, path(id), nil).ok(200).header.Get("Content-Length"))
		require.Empty(t, e.get(path(id), "If-None-Match", tag).ok(304).body)
		e.get(path(id), "If-Match", `"`+p.Version().String()+`"`).ok(200)
		e.get(path(id), "If-Match", `"`+catalog.Version{}.String()+`"`).fails(412, "PRECONDITION_FAILED")
	}
	for _, id := range []string{"0", "1", "2/ä ?"} {
		items = append(items, string(e.get(path(id)).ok(200).body))
	}
	for range 2 { // the second body is in the memory of the first
		require.Equal(t, `{"items":[`+strings.Join(items, ",")+`],"nextCursor":null,"hasMore":false,"count":3}`,
			string(e.get("/products").ok(200).body))
		e.get(path("0")).ok(200)
	}
}

// An image that is asked for whole is answered as ServeContent answers, which is
// asked where there is a condition.
func TestWholeImage(t *testing.T) {
	e := newEnv(t, setup{})
	for _, size := range []int{100, 256 << 10, 600 << 10} {
		content := picture(t, size)
		e.post("/products", newForm().file("f", content).data(`{"externalId":"a","images":[{"source":{"fileKey":"f"}}]}`))
		whole := e.get("/products/a/images/0").ok(200)
		served := e.get("/products/a/images/0", "If-None-Match", `"x"`).ok(200)
		require.True(t, string(content) == string(whole.body), size)
		require.True(t, string(content) == string(served.body), size)
		for _, h := range []http.Header{whole.header, served.header} {
			h.Del("X-Request-Id")
			h.Del("Date")
		}
		require.Equal(t, served.header, whole.header)
	}
}

// failedWriter is an answer whose writing fails, and which goes on using what it was
// given, as that of a stream of HTTP/2 does that its client has reset.
type failedWriter struct {
	header http.Header
	kept   []byte
}

func (w *failedWriter) Header() http.Header { return w.header }
func (w *failedWriter) WriteHeader(int)     {}
func (w *failedWriter) Write(p []byte) (int, error) {
	w.kept = p
	return 0, http.ErrHandlerTimeout
}

// TestMemoryOfAnswersThatFailed is not used for the answer to another: it may still be
// on its way to the client.
func TestMemoryOfAnswersThatFailed(t *testing.T) {
	e := newEnv(t, setup{})
	// Of equal lengths, so that the memory of one is enough for the other.
	for _, of := range []struct{ key, id, fill string }{{"key-a", "secret", "a"}, {"key-b", "public", "b"}} {
		image := append(picture(t, 100), strings.Repeat(of.fill, 100_000)...)
		body := newForm().file("f", image).data(`{"externalId":"` + of.id + `","title":"` + strings.Repeat(of.fill, 500) + `","images":[{"source":{"fileKey":"f"}}]}`)
		e.post("/products", body, "X-API-Key", of.key).ok(201)
	}
	ask := func(w http.ResponseWriter, key, target string) {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("X-API-Key", key)
		e.serve(w, r)
	}
	for _, target := range []string{"/products/%s", "/products", "/products/%s/images/0", "/bulk"} {
		for range 10 { // a pool forgets now and then
			w := &failedWriter{header: make(http.Header)}
			ask(w, "key-b", strings.ReplaceAll(target, "%s", "public"))
			before := string(w.kept)
			require.Contains(t, before, strings.Repeat("b", 400), target)
			ask(&discard{header: make(http.Header)}, "key-a", strings.ReplaceAll(target, "%s", "secret"))
			require.Equal(t, before, string(w.kept), target)
		}
	}
}
