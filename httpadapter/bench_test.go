package httpadapter_test

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/shelflife-db/shelflife/httpadapter"
)

// discard is a response that is thrown away.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

// BenchmarkHandler measures the handler over the memory backend, without the
// server.
func BenchmarkHandler(b *testing.B) {
	const edit = `{"externalId":"a","title":"Red tee","images":[{"source":{"url":"https://cdn.example/front.jpg"},"classifications":{"view":"front"}}],"metadata":{"price":19.90}}`
	for _, bc := range []struct{ name, method, target, body string }{
		{"Get", "GET", "/products/a", ""},
		{"PostUnchanged", "POST", "/products", edit},
		{"PostRenew", "POST", "/products", strings.TrimSuffix(edit, "}") + `,"validForDays":30}`},
		{"Use", "POST", "/products/a/use", ""},
		{"Uses", "POST", "/uses", `{"externalId":"a"}`},
		{"List50", "GET", "/products", ""},
	} {
		b.Run(bc.name, func(b *testing.B) {
			e := newEnv(b, setup{})
			e.post("/products", edit).ok(201)
			for i := range 60 {
				e.create(strings.Repeat("b", i+1))
			}
			target, err := url.Parse(bc.target)
			if err != nil {
				b.Fatal(err)
			}
			header := http.Header{"X-Api-Key": {"key-a"}, "Content-Type": {"application/json"}}
			b.ReportAllocs()
			for b.Loop() {
				r := &http.Request{Method: bc.method, URL: target, RequestURI: bc.target, Header: header,
					Body: io.NopCloser(strings.NewReader(bc.body)), ContentLength: int64(len(bc.body))}
				w := &discard{header: make(http.Header)}
				e.handler.ServeHTTP(w, r)
				if w.status != http.StatusOK {
					b.Fatal(w.status)
				}
			}
		})
	}
}

// BenchmarkAuthenticate asks for keys that are not known.
func BenchmarkAuthenticate(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			all := make(map[string]string, n)
			for i := range n {
				all["key-"+strconv.Itoa(i)] = "acct"
			}
			keys, err := httpadapter.NewAPIKeys(all)
			if err != nil {
				b.Fatal(err)
			}
			r := &http.Request{Header: http.Header{"X-Api-Key": {"another-key"}}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := keys.Authenticate(r); err == nil {
					b.Fatal("a key that is not known")
				}
			}
		})
	}
}
