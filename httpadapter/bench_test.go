package httpadapter_test

import (
	"fmt"
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

// fullProduct has what products of catalogs have: a description, several images and
// a kilobyte of metadata. Shorter ones show what a product costs that has nothing.
const fullProduct = `"title":"Essential cotton tee","description":"A tee of combed cotton in a regular cut, with a ribbed collar and double seams; it keeps its shape when it is washed.",` +
	`"images":[{"source":{"url":"https://cdn.example/tees/essential/front.webp"},"classifications":{"view":"front","position":0}},` +
	`{"source":{"url":"https://cdn.example/tees/essential/back.webp"},"classifications":{"view":"back","position":1}}],` +
	`"metadata":{"category":"tops","brand":"Essence","price":19.9,"discountPercentage":10.48,"rating":4.56,"stock":99,"tags":["cotton","basic"],` +
	`"dimensions":{"width":15.14,"height":13.08,"depth":22.99},"warranty":"1 week","shipping":"3-5 business days","availability":"In Stock",` +
	`"reviews":[{"rating":3,"comment":"Would not recommend it!","date":"2026-04-30T09:41:02.053Z","name":"Eleanor"},` +
	`{"rating":4,"comment":"Soft, and fits as it should.","date":"2026-05-02T10:11:42.011Z","name":"Lucas"},` +
	`{"rating":5,"comment":"Bought three more.","date":"2026-05-04T18:31:32.453Z","name":"Nora"}],` +
	`"sku":"TOP-ESS-ESS-001","barcode":"5784719087687","returns":"No return policy"},"validForDays":30`

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
		{"GetFull", "GET", "/products/full00", ""},
		{"List50Full", "GET", "/products", ""},
	} {
		b.Run(bc.name, func(b *testing.B) {
			e := newEnv(b, setup{})
			e.post("/products", edit).ok(201)
			for i := range 60 {
				e.create(strings.Repeat("b", i+1))
				full := fmt.Sprintf(`{"externalId":"full%02d",%s}`, i, fullProduct)
				e.post("/products", full, "X-API-Key", "key-b").ok(201)
			}
			target, err := url.Parse(bc.target)
			if err != nil {
				b.Fatal(err)
			}
			key := "key-a"
			if strings.HasSuffix(bc.name, "Full") {
				key = "key-b"
			}
			header := http.Header{"X-Api-Key": {key}, "Content-Type": {"application/json"}}
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
