package httpadapter_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
)

func TestRequestID(t *testing.T) {
	// contract 6: every answer has X-Request-ID, the client's if it is sane.
	e := withHost(t)
	for _, target := range []string{"/products", "/products/p", "/products/nobody", "/nope"} {
		for _, key := range []string{"key-a", "wrong"} {
			r := e.get(target, "X-Request-ID", "abc-123", "X-API-Key", key)
			require.Equal(t, "abc-123", r.header.Get("X-Request-ID"), target)
		}
	}
	require.Equal(t, "abc-123", e.post("/try-on", `{}`, "X-Request-ID", "abc-123").header.Get("X-Request-ID"), "a host's endpoint")
	made := map[string]bool{}
	for _, given := range []string{"", "with space", "ü", strings.Repeat("x", 129), "tab\tin"} {
		id := e.get("/products", "X-Request-ID", given).header.Get("X-Request-ID")
		require.Len(t, id, 26, given)
		made[id] = true
	}
	require.Len(t, made, 5, "each one is new")
	require.NoError(t, e.catalog.Close())
	e.get("/products", "X-Request-ID", "the-failed-one").fails(503, "UNAVAILABLE")
	require.Contains(t, e.log.String(), "request_id=the-failed-one")
}

func TestParametersOfTheMediaType(t *testing.T) {
	// contract 6: parameters that mean nothing here are ignored. Apache
	// HttpClient 5 gives a charset with every form.
	e := newEnv(t, setup{})
	for _, kind := range []string{"application/json; charset=utf8", "application/json; charset=US-ASCII", "application/json; profile=x"} {
		e.post("/products", productBody("p"), "Content-Type", kind)
		e.get("/products/p").ok(200)
	}
	f := newForm().data(productBody("q", `"title":"ü"`))
	body := string(f.end())
	for _, kind := range []string{"multipart/form-data; charset=ISO-8859-1; boundary=", "multipart/form-data; later=x; boundary="} {
		e.post("/products", body, "Content-Type", kind+f.w.Boundary())
		require.Equal(t, "ü", e.get("/products/q").product()["title"], "data stays UTF-8")
		e.do("DELETE", "/products/q", nil).ok(204)
	}
	for _, boundary := range []string{"a/b", "a:b", "a=b"} {
		r := e.post("/products", body, "Content-Type", "multipart/form-data; boundary="+boundary).fails(400, "VALIDATION_FAILED", "")
		require.Contains(t, string(r.body), "must be quoted")
	}
}

func TestUnreadableContentDisposition(t *testing.T) {
	e := newEnv(t, setup{})
	broken := func() *form { return newForm().part(`form-data; name="f`, "image/png", picture(t, 0)) }
	r := e.post("/products", broken().data(fileBody("p", "f"))).fails(400, "MULTIPART_FILE_NOT_FOUND", "images.0.source.fileKey")
	require.Contains(t, string(r.body), "Content-Disposition")
	r = e.post("/products", broken()).fails(400, "VALIDATION_FAILED", "data")
	require.Contains(t, string(r.body), "Content-Disposition")
	r = e.post("/products", newForm().data(fileBody("p", "f"))).fails(400, "MULTIPART_FILE_NOT_FOUND")
	require.NotContains(t, string(r.body), "Content-Disposition")
}

func TestRangesOfAnyLength(t *testing.T) {
	// RFC 9110, 14.1.2: positions are any digits.
	e := newEnv(t, setup{})
	image := picture(t, 1000)
	e.post("/products", newForm().data(fileBody("p", "f")).file("f", image)).ok(201)
	last := len(image) - 1
	for spec, want := range map[string]string{
		"0-18446744073709551615":             fmt.Sprintf("bytes 0-%d/%d", last, len(image)),
		"5-9223372036854775808":              fmt.Sprintf("bytes 5-%d/%d", last, len(image)),
		"000000000000000000000005-7":         fmt.Sprintf("bytes 5-7/%d", len(image)),
		"-99999999999999999999999999":        fmt.Sprintf("bytes 0-%d/%d", last, len(image)),
		"0-" + strings.Repeat("9", 1000):     fmt.Sprintf("bytes 0-%d/%d", last, len(image)),
		"0000000000000000000000000000000-10": fmt.Sprintf("bytes 0-10/%d", len(image)),
	} {
		r := e.get("/products/p/images/0", "Range", "bytes="+spec).ok(206)
		require.Equal(t, want, r.header.Get("Content-Range"), spec)
	}
	for _, spec := range []string{"18446744073709551615-", "18446744073709551615-18446744073709551616", "x-18446744073709551615"} {
		e.get("/products/p/images/0", "Range", "bytes="+spec).fails(416, "RANGE_NOT_SATISFIABLE")
	}
}

func TestFormReadBefore(t *testing.T) {
	// A middleware of the host that read the form is no fault of the client.
	before := func(read func(r *http.Request)) *env {
		return newEnv(t, setup{mount: func(h *httpadapter.Handler) (http.Handler, string) {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				read(r)
				h.ServeHTTP(w, r)
			}), ""
		}})
	}
	e := before(func(r *http.Request) { _ = r.FormValue("x") })
	image := picture(t, 400<<10)
	e.post("/products", newForm().file("f", image).data(fileBody("p", "f"))).ok(201)
	require.True(t, bytes.Equal(image, e.get("/products/p/images/0").ok(200).body))
	e.post("/products", newForm().data(fileBody("p", "g")).file("f", image)).fails(400, "MULTIPART_FILE_NOT_FOUND")
	e.post("/products", newForm().data(productBody("p")).data(productBody("p"))).fails(400, "VALIDATION_FAILED", "data")
	e.post("/products", newForm().data(strings.Repeat(" ", 1<<20+1))).fails(413, "PAYLOAD_TOO_LARGE")
	e.post("/products", productBody("q")).ok(201)

	e = before(func(r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	e.post("/products", newForm().data(productBody("p"))).fails(500, "INTERNAL")
	e.post("/products", productBody("p")).fails(500, "INTERNAL")
	require.Contains(t, e.log.String(), "the body was read before the handler got the request")
	e = before(func(r *http.Request) { _ = r.Body.Close() })
	e.post("/products", productBody("p")).fails(500, "INTERNAL")
	e = before(func(r *http.Request) { _, _ = io.CopyN(io.Discard, r.Body, 10) })
	e.post("/products", newForm().data(productBody("p"))).fails(500, "INTERNAL")
}

func TestPreflight(t *testing.T) {
	// contract 6: a preflight from an allowed origin is answered before
	// authentication.
	const origin = "https://shop.example"
	e := newEnv(t, setup{options: httpadapter.Options{AllowedOrigins: []string{origin}}})
	ask := []string{"X-API-Key", "", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-api-key,content-type"}
	r := e.do("OPTIONS", "/products", nil, append(ask, "Origin", origin)...).ok(204)
	require.Equal(t, origin, r.header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "x-api-key,content-type", r.header.Get("Access-Control-Allow-Headers"))
	require.Equal(t, "GET, HEAD, POST, DELETE", r.header.Get("Access-Control-Allow-Methods"))
	require.Contains(t, r.header.Values("Vary"), "Origin")
	require.Empty(t, r.header.Get("Access-Control-Allow-Credentials"))

	for _, other := range []string{"https://evil.example", "http://shop.example", "https://shop.example:444", "null", ""} {
		r := e.do("OPTIONS", "/products", nil, append(ask, "Origin", other)...).fails(401, "MISSING_API_KEY")
		require.Empty(t, r.header.Get("Access-Control-Allow-Origin"))
		require.Contains(t, r.header.Values("Vary"), "Origin")
	}
	for _, r := range []*reply{e.get("/products", "Origin", origin).ok(200), e.get("/products", "Origin", origin, "X-API-Key", "").fails(401, "MISSING_API_KEY"),
		e.get("/products/nobody", "Origin", origin).fails(404, "PRODUCT_NOT_FOUND")} {
		require.Equal(t, origin, r.header.Get("Access-Control-Allow-Origin"))
		require.Equal(t, "ETag, Location, Link, Retry-After, Deprecation, X-Request-ID", r.header.Get("Access-Control-Expose-Headers"))
		require.Equal(t, []string{"Origin"}, r.header.Values("Vary"))
	}
	e = newEnv(t, setup{options: httpadapter.Options{AllowedOrigins: []string{"*"}}})
	require.Equal(t, origin, e.get("/products", "Origin", origin).header.Get("Access-Control-Allow-Origin"))
	e = newEnv(t, setup{})
	r = e.do("OPTIONS", "/products", nil, append(ask, "Origin", origin)...).fails(401, "MISSING_API_KEY")
	require.Empty(t, r.header.Values("Vary"), "off by default")
}

func TestStrict(t *testing.T) {
	// contract 6: names that the contract does not know, in body and query.
	e := newEnv(t, setup{})
	image := newForm().data(fileBody("p", "f")).file("f", picture(t, 0))
	e.post("/products", image).ok(201)
	got := string(e.get("/products/p").body)
	for _, target := range []string{"/products?strict=true", "/uses?strict=true"} {
		e.post(target, productBody("p", `"titel":"x"`, `"metadata":{"any":1}`)).fails(400, "VALIDATION_FAILED", "titel")
		e.post(target, `{"externalId":"p","images":[{"source":{"url":"https://a.example/x","uri":1},"clasifications":{}}]}`).fails(400, "VALIDATION_FAILED", "images.0.clasifications", "images.0.source.uri")
		e.post(target+"&x=1&x=2", productBody("p", `"titel":"x"`)).fails(400, "VALIDATION_FAILED", "titel", "x")
		e.post(target, got).ok(200) // read-only names are known, href too
	}
	for _, tc := range []struct{ method, target string }{
		{"GET", "/products?limt=5"}, {"GET", "/products/p?limt=5"}, {"GET", "/products/p/images/0?limt=5"},
		{"POST", "/products/p/use?limt=5"}, {"DELETE", "/products/p?limt=5"}, {"POST", "/products/p/use?limt=%25&limt"},
	} {
		e.do(tc.method, tc.target+"&strict=true", nil).fails(400, "VALIDATION_FAILED", "limt")
		e.do(tc.method, tc.target+"&strict=maybe", nil).fails(400, "VALIDATION_FAILED", "strict")
		e.do(tc.method, tc.target+"&strict=true&strict=true", nil).fails(400, "VALIDATION_FAILED", "strict")
	}
	// Names without end are counted, not told.
	many := func(format, between string) string {
		names := make([]string, 5000)
		for i := range names {
			names[i] = fmt.Sprintf(format, i)
		}
		return strings.Join(names, between)
	}
	for _, a := range []*reply{
		e.post("/products?strict=true", productBody("p", many(`"x%d":1`, ","))),
		e.get("/products?strict=true&" + many("%x", "&")),
	} {
		require.Equal(t, 400, a.status)
		require.Contains(t, string(a.body), "4900 more")
		require.Less(t, len(a.body), 20<<10)
	}
	e.get("/products?limt=5").ok(200)
	e.post("/products?x=1", productBody("p", `"titel":"x"`)).ok(200)
	e.create("q")
	require.Contains(t, e.get("/products?strict=true&limit=1").ok(200).header.Get("Link"), "strict=true")

	host := new(tryOn)
	e = newEnv(t, setup{options: httpadapter.Options{Strict: true}, mount: func(h *httpadapter.Handler) (http.Handler, string) {
		host.handler = h
		m := http.NewServeMux()
		m.Handle("POST /try-on", host)
		m.Handle("/", h)
		return m, ""
	}})
	e.post("/products", productBody("p", `"titel":"x"`)).fails(400, "VALIDATION_FAILED", "titel")
	e.post("/products?strict=false", productBody("p", `"titel":"x"`)).ok(201)
	e.get("/products?limt=5").fails(400, "VALIDATION_FAILED", "limt")
	e.post("/try-on?pose=x", `{"product":{"externalId":"p"},"pose":{"a":1}}`).ok(200)
	e.post("/try-on?pose=x", `{"product":{"externalId":"p","titel":"x"},"pose":{"a":1}}`).fails(400, "VALIDATION_FAILED", "product.titel")
}

func TestHref(t *testing.T) {
	// contract 1: an uploaded image has the path at which this client can fetch it.
	hrefs := func(e *env, text []byte) (out []string) {
		var p struct{ Images []struct{ Href string } }
		require.NoError(t, json.Unmarshal(text, &p))
		for _, i := range p.Images {
			out = append(out, i.Href)
		}
		return out
	}
	for name, mount := range mounts {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, setup{mount: mount})
			image := picture(t, 100)
			body := `{"externalId":"a/b ü","images":[{"source":{"url":"https://a.example/x"}},{"source":{"fileKey":"f"}}]}`
			want := []string{"", e.base + path("a/b ü") + "/images/1"}
			r := e.post("/products", newForm().data(body).file("f", image)).ok(201)
			require.Equal(t, want, hrefs(e, r.body))
			r = e.get(path("a/b ü")).ok(200)
			require.Equal(t, want, hrefs(e, r.body))
			var page struct{ Items []json.RawMessage }
			require.NoError(t, json.Unmarshal(e.get("/products").ok(200).body, &page))
			require.Equal(t, string(r.body), string(page.Items[0]), "items of a list are the same")
			require.True(t, bytes.Equal(image, e.get(strings.TrimPrefix(want[1], e.base)).ok(200).body))

			// contract 6: a condition of what was read holds, with ETag and version.
			e.get(path("a/b ü"), "If-None-Match", r.etag()).ok(304)
			e.post("/products", string(r.body), "If-Match", r.etag()).ok(200)
			quoted := `"` + r.product()["version"].(string) + `"`
			e.get(path("a/b ü"), "If-None-Match", quoted).ok(200)
			e.get(path("a/b ü"), "If-Match", quoted).ok(200)
			e.post("/products", `{"externalId":"a/b ü","title":"x"}`, "If-Match", quoted).ok(200)
			e.post("/products", `{"externalId":"a/b ü","title":"y"}`, "If-Match", quoted).fails(412, "PRECONDITION_FAILED")
			e.do("DELETE", path("a/b ü"), nil, "If-Match", quoted).fails(412, "PRECONDITION_FAILED")
		})
	}
}

func TestPublicPath(t *testing.T) {
	e := newEnv(t, setup{})
	e.post("/products", newForm().data(fileBody("p", "f")).file("f", picture(t, 0))).ok(201)
	e.create("q")
	ask := func(public, target string) *httptest.ResponseRecorder {
		h, err := httpadapter.New(e.catalog, &httpadapter.Options{PublicPath: public, Authenticate: func(*http.Request) (string, error) { return "a", nil }})
		require.NoError(t, err)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		require.Equal(t, 200, w.Code)
		return w
	}
	tags := map[string]bool{}
	for public, base := range map[string]string{"": "", "/": "", "/shop": "/shop", "/shop/": "/shop", "/my%20shop/v1": "/my%20shop/v1"} {
		w := ask(public, "/products/p")
		require.Contains(t, w.Body.String(), `"href":"`+base+`/products/p/images/0"`)
		tags[w.Header().Get("ETag")] = true
		require.Contains(t, ask(public, "/products?limit=1").Header().Get("Link"), "<"+base+"/products?")
		require.Equal(t, e.get("/products/q").etag(), ask(public, "/products/q").Header().Get("ETag"))
	}
	require.Len(t, tags, 3, "an entity tag never names two representations")
	p, err := e.catalog.Get(t.Context(), "a", "p")
	require.NoError(t, err)
	h, err := httpadapter.New(e.catalog, &httpadapter.Options{PublicPath: "/shop"})
	require.NoError(t, err)
	require.Contains(t, string(h.AppendProduct(nil, httptest.NewRequest("POST", "/try-on", nil), p)), `"href":"/shop/products/p/images/0"`)
}

// TestOptionsThatCannotBeHeeded: a slip must not become a page that is never
// allowed, or a Location that leads nowhere.
func TestOptionsThatCannotBeHeeded(t *testing.T) {
	c, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	defer c.Close()
	for origin, says := range map[string]string{
		"https://shop.example": "", "http://localhost:3000": "", "*": "", "http://127.0.0.1:8080": "", "http://[::1]:8080": "",
		"https://xn--bcher-kva.example": "", "capacitor://localhost": "", "chrome-extension://abcdefgh": "", "http://my_host": "",
		"https://shop.example/":         "browsers write it: https://shop.example",
		"https://shop.example/path?q#f": "browsers write it: https://shop.example",
		"HTTPS://Shop.Example":          "browsers write it: https://shop.example",
		"https://shop.example:443":      "browsers write it: https://shop.example",
		"http://shop.example:080":       "browsers write it: http://shop.example",
		"http://shop.example:":          "browsers write it: http://shop.example",
		"http://[0:0::1]":               "browsers write it: http://[::1]",
		"https://bücher.example":        "browsers write it: https://xn--bcher-kva.example",
		"https://user:secret@x.example": "no user and no password",
		"https://*.shop.example":        "list the origins",
		"https://x.example:99999":       "port", "https://x.example:0": "port",
		"shop.example": "no origin like", "//shop.example": "no origin like", "": "no origin like", "https://": "no origin like",
		"https:shop.example": "no origin like", " https://shop.example": "no origin like", "https://a.example,https://b.example": "proper host name",
		"https://a b.example": "no origin like", "null": "sandboxed",
	} {
		_, err := httpadapter.New(c, &httpadapter.Options{AllowedOrigins: []string{"https://good.example", origin}})
		if says == "" {
			require.NoError(t, err, origin)
			continue
		}
		require.ErrorContains(t, err, says, origin)
		require.ErrorContains(t, err, "Options.AllowedOrigins", origin)
		require.NotContains(t, err.Error(), "secret")
	}
	for _, path := range []string{"shop", "//shop", "/shop?x", "/shop#x", "/my shop", "/ü", "/%zz", "/a\r\nb", "https://shop.example/x", `/"`} {
		_, err := httpadapter.New(c, &httpadapter.Options{PublicPath: path})
		require.ErrorContains(t, err, "Options.PublicPath", path)
	}
}

func TestListFrom(t *testing.T) {
	e := newEnv(t, setup{})
	for _, id := range []string{"a", "b", "b/c", "d"} {
		e.create(id)
	}
	for from, want := range map[string][]string{"": {"a", "b", "b/c", "d"}, "b": {"b", "b/c", "d"}, "b/": {"b/c", "d"}, "c": {"d"}, "e": nil} {
		_, ids := e.get("/products?from=" + url.QueryEscape(from)).page()
		require.Equal(t, want, ids, from)
	}
	r := e.get("/products?from=b&limit=1")
	p, ids := r.page()
	require.Equal(t, []string{"b"}, ids)
	_, ids = e.get(linkNext.FindStringSubmatch(r.header.Get("Link"))[1]).page()
	require.Equal(t, []string{"b/c"}, ids)
	e.get("/products?from=b&cursor="+url.QueryEscape(*p.NextCursor)).fails(400, "VALIDATION_FAILED", "from")
	e.get("/products?from=%ff").fails(400, "VALIDATION_FAILED", "from")
	e.get("/products?from=a&from=a").fails(400, "VALIDATION_FAILED", "from")
	_, ids = e.get("/products?from=b&prefix=d").page()
	require.Equal(t, []string{"d"}, ids)
}

func TestPagesOf2MiB(t *testing.T) {
	// contract 6: a page may hold fewer products where its answer would pass
	// 2 MiB; hasMore stays exact.
	e := newEnv(t, setup{})
	const products = 60
	description := strings.Repeat("\x01", 20_000) // six bytes each in JSON
	for i := range products {
		_, err := e.catalog.Upsert(t.Context(), "a", fmt.Sprintf("p%02d", i), catalog.Patch{
			Description: catalog.Set(description),
			Images:      catalog.Set([]catalog.NewImage{{URL: "https://a.example/x"}}),
		})
		require.NoError(t, err)
	}
	seen, next := 0, "/products?limit=200"
	for next != "" {
		r := e.get(next)
		p, _ := r.page()
		require.LessOrEqual(t, len(r.body), 2<<20)
		if p.HasMore {
			require.Greater(t, len(r.body), 2<<20-130_000, "no smaller than needed")
		}
		seen += p.Count
		next = ""
		if p.HasMore {
			next = linkNext.FindStringSubmatch(r.header.Get("Link"))[1]
		}
	}
	require.Equal(t, products, seen)
}

func TestReadProductWritesNothing(t *testing.T) {
	// contract 8: parse, then apply: a host that refuses its own part of the
	// request has changed nothing.
	var handler *httpadapter.Handler
	e := newEnv(t, setup{mount: func(h *httpadapter.Handler) (http.Handler, string) {
		handler = h
		m := http.NewServeMux()
		m.HandleFunc("POST /try-on", func(w http.ResponseWriter, r *http.Request) {
			q, err := h.ReadProduct(w, r)
			if err != nil {
				h.WriteError(w, r, err)
				return
			}
			if _, ok := q.File("photo"); !ok {
				h.WriteError(w, r, q.Fault(catalog.FieldError{Path: "photo", Code: catalog.CodeFileNotFound, Message: "is missing"}))
				return
			}
			require.NoError(t, q.Fault())
			result, err := q.Apply(r.Context())
			if err != nil {
				h.WriteError(w, r, err)
				return
			}
			if _, err := q.Apply(r.Context()); err == nil {
				panic("applied twice")
			}
			_, _ = w.Write(h.AppendProduct(nil, r, result.Product))
		})
		m.Handle("/", h)
		return m, ""
	}})
	require.NotNil(t, handler)
	spec := `{"product":{"externalId":"p","images":[{"source":{"fileKey":"shirt"}}]}}`
	e.post("/try-on", newForm().data(spec).file("shirt", picture(t, 0))).fails(400, "MULTIPART_FILE_NOT_FOUND", "photo")
	e.get("/products/p").fails(404, "PRODUCT_NOT_FOUND")
	e.post("/try-on", newForm().data(spec).file("shirt", picture(t, 0)).file("photo", []byte("me"))).ok(200)
	e.get("/products/p").ok(200)
	used := e.get("/products/p").product()["lastUsedAt"]
	e.clock.Advance(1000)
	e.post("/try-on", `{"product":{"externalId":"p"}}`).fails(400, "MULTIPART_FILE_NOT_FOUND", "photo")
	require.Equal(t, used, e.get("/products/p").product()["lastUsedAt"])
	e.post("/try-on", newForm().data(`{"product":{"externalId":"nobody"}}`).file("photo", nil)).fails(404, "PRODUCT_NOT_FOUND")
	e.post("/try-on", newForm().data(`{"product":{"externalId":"p","images":[{"source":{"url":"upload://00000000000000000000000000000001"}}]}}`).file("photo", nil)).
		fails(400, "VALIDATION_FAILED", "product.images.0.source.url")
}
