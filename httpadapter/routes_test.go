package httpadapter_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/httpadapter"
)

// mounts are the ways in which hosts mount the handler.
var mounts = map[string]func(h *httpadapter.Handler) (http.Handler, string){
	"root": func(h *httpadapter.Handler) (http.Handler, string) { return h, "" },
	"mux":  func(h *httpadapter.Handler) (http.Handler, string) { return mux("/", h), "" },
	"strip": func(h *httpadapter.Handler) (http.Handler, string) {
		return mux("/shop/v1/", http.StripPrefix("/shop/v1", h)), "/shop/v1"
	},
	"strip with slash": func(h *httpadapter.Handler) (http.Handler, string) {
		return mux("/shop/", http.StripPrefix("/shop/", h)), "/shop"
	},
	"strip twice": func(h *httpadapter.Handler) (http.Handler, string) {
		return mux("/a/", http.StripPrefix("/a", mux("/b/", http.StripPrefix("/b", h)))), "/a/b"
	},
	"methods": func(h *httpadapter.Handler) (http.Handler, string) {
		m := http.NewServeMux()
		stripped := http.StripPrefix("/shop", h)
		for _, pattern := range []string{"GET /shop/products", "POST /shop/products", "GET /shop/products/", "POST /shop/products/", "DELETE /shop/products/{id}", "POST /shop/uses"} {
			m.Handle(pattern, stripped)
		}
		return m, "/shop"
	},
}

func mux(pattern string, h http.Handler) http.Handler {
	m := http.NewServeMux()
	m.Handle(pattern, h)
	return m
}

func TestIDsInEveryEndpoint(t *testing.T) {
	// contract 2, 6: any legal ID works in every endpoint when percent-encoded,
	// wherever the handler is mounted; Location and Link are right there.
	ids := []string{
		"a", "a/b", "a//b", "a/../b", "a/./b", "/", "//", "/a", "a/", "a b", " ", "%", "%2F", "%25", "?", "a?b=c#d", "#", "&=+;,:@$", "é", "👕🏽",
		"...", "..a", "products", "use", "images/0", "a/use", "a/images/0", "<>\"'\\^`{|}", strings.Repeat("é", 127), "\u00a0", "\u202e",
	}
	for name, mount := range mounts {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, setup{mount: mount})
			for i, id := range ids {
				r := e.create(id)
				location := r.header.Get("Location")
				require.Equal(t, e.base+path(id), location)
				r = e.get(strings.TrimPrefix(location, e.base)).ok(200)
				require.Equal(t, id, r.product()["externalId"])
				r = e.post(path(id, "use"), nil).ok(200)
				require.Equal(t, id, r.product()["externalId"])
				e.get(path(id, "images", "0")).fails(404, "IMAGE_NOT_FOUND")
				r = e.post("/uses", productBody(id, `"title":"x"`)).ok(200)
				require.Equal(t, id, r.product()["externalId"])
				_, found := e.get("/products?prefix=" + url.QueryEscape(id)).page()
				require.Contains(t, found, id)
				if i%2 == 0 {
					e.do(http.MethodDelete, path(id), nil).ok(204)
					e.get(path(id)).fails(404, "PRODUCT_NOT_FOUND")
				}
			}
			for range 2 { // two pages at least
				r := e.get("/products?limit=3").ok(200)
				link := linkNext.FindStringSubmatch(r.header.Get("Link"))
				require.NotNil(t, link)
				require.True(t, strings.HasPrefix(link[1], e.base+"/products?"), link[1])
				e.get(strings.TrimPrefix(link[1], e.base)).page()
			}
			created := e.post("/uses", `{"images":[{"source":{"url":"https://a.example/x"}}]}`).ok(201)
			e.get(strings.TrimPrefix(created.header.Get("Location"), e.base)).ok(200)
		})
	}
}

// raw sends bytes as they are, a whole request, and returns the answer to it. It
// does not close its side: to a server that is a client that has gone.
func (e *env) raw(request string) *reply {
	e.t.Helper()
	return e.sendRaw(request, func(*net.TCPConn) error { return nil })
}

// rawCut is raw of a request that ends early.
func (e *env) rawCut(request string) *reply {
	e.t.Helper()
	return e.sendRaw(request, (*net.TCPConn).CloseWrite)
}

func (e *env) sendRaw(request string, end func(*net.TCPConn) error) *reply {
	e.t.Helper()
	conn, err := net.Dial("tcp", e.server.Listener.Addr().String())
	require.NoError(e.t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, request)
	require.NoError(e.t, err)
	require.NoError(e.t, end(conn.(*net.TCPConn)))
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	require.NoError(e.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(e.t, err)
	return &reply{e.t, resp.StatusCode, resp.Header, body}
}

func TestPaths(t *testing.T) {
	// contract 6: NOT_FOUND: no such path. Paths are sent as they stand here.
	e := newEnv(t, setup{})
	e.create("a")
	get := func(target string) *reply {
		return e.raw("GET " + target + " HTTP/1.1\r\nHost: x\r\nX-API-Key: key-a\r\nConnection: close\r\n\r\n")
	}
	for _, target := range []string{
		"/", "/product", "/Products", "/products/", "/products//", "//products", "/products/a/", "/products/a/b", "/products//use", "/uses/", "/uses/a",
		"/products/a/use/", "/products/a/images", "/products/a/images/", "/products/a/images/0/", "/products/a/images/0/1", "/products/../products/a", "/%2Fproducts",
		"/products%2Fa", "/shop/products",
	} {
		get(target).fails(404, "NOT_FOUND")
	}
	for _, target := range []string{"/products/a", "/products/%61", "/%70roducts/a", "/products/a?x=y", "http://x/products/a"} {
		get(target).ok(200)
	}
	// contract 2: only . and .. alone are refused.
	for _, id := range []string{".", "..", "%2e", "%2E%2e", "%00", "a%0Ab", "%7f", "%c2%85", "%ff", strings.Repeat("x", 256)} {
		get("/products/"+id).fails(400, "VALIDATION_FAILED", "externalId")
		get("/products/"+id+"/images/0").fails(400, "VALIDATION_FAILED", "externalId")
	}
	// The location is right in the absolute form of a request, too.
	body := productBody("b")
	r := e.raw(fmt.Sprintf("POST http://x/products HTTP/1.1\r\nHost: x\r\nX-API-Key: key-a\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body))
	require.Equal(t, "/products/b", r.ok(201).header.Get("Location"))
}

func TestMethods(t *testing.T) {
	// contract 6: METHOD_NOT_ALLOWED with Allow.
	e := newEnv(t, setup{})
	for target, allow := range map[string]string{
		"/products":            "GET, HEAD, POST",
		"/products/a":          "DELETE, GET, HEAD",
		"/products/a/use":      "POST",
		"/products/a/images/0": "GET, HEAD",
		"/uses":                "POST",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "WHATEVER"} {
			if strings.Contains(allow, method) {
				continue
			}
			r := e.do(method, target, nil).fails(405, "METHOD_NOT_ALLOWED")
			require.Equal(t, allow, r.header.Get("Allow"), "%s %s", method, target)
		}
	}
	r := e.do(http.MethodHead, "/uses", nil)
	require.Equal(t, 405, r.status)
	require.Empty(t, r.body)
}

func TestOptionsOfTheServer(t *testing.T) {
	// contract 6: errors on every path. OPTIONS * names none.
	e := newEnv(t, setup{})
	for key, status := range map[string]int{"key-a": 404, "": 401} {
		r := httptest.NewRequest(http.MethodOptions, "*", nil)
		r.Header.Set("X-API-Key", key)
		w := httptest.NewRecorder()
		e.serve(w, r)
		require.Equal(t, status, w.Code)
		require.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
	}
}

func TestRequestMadeByHand(t *testing.T) {
	// No request makes the handler panic, not even one without a body.
	e := newEnv(t, setup{})
	for target, kind := range map[string]string{"/products": "application/json", "/uses": "multipart/form-data; boundary=x", "/products/a/use": "", "/nowhere": ""} {
		w := httptest.NewRecorder()
		e.serve(w, &http.Request{Method: http.MethodPost, URL: &url.URL{Path: target}, Header: http.Header{"X-Api-Key": {"key-a"}, "Content-Type": {kind}}})
		require.Contains(t, []int{400, 404}, w.Code, target)
	}
}

func TestRewrittenPath(t *testing.T) {
	// Where a middleware rewrites the path there is no telling where the
	// handler is mounted; a request made by hand has no original path.
	e := newEnv(t, setup{})
	send := func(requestURI string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/products", strings.NewReader(productBody("x"+requestURI)))
		r.RequestURI = requestURI
		r.Header = http.Header{"X-Api-Key": {"key-a"}, "Content-Type": {"application/json"}}
		w := httptest.NewRecorder()
		e.serve(w, r)
		return w
	}
	for _, uri := range []string{"", "*", "/elsewhere", "x:y:z", "%"} {
		w := send(uri)
		require.Equal(t, 201, w.Code, "%s", w.Body)
		require.Equal(t, "/products/"+url.PathEscape("x"+uri), w.Header().Get("Location"))
	}
}

// contract 2: an ID is one escaped path segment, whatever else of the path the
// client did not escape, though it should have.
func TestUnescapedBytesBesideAnEscapedSlash(t *testing.T) {
	e := newEnv(t, setup{})
	ask := func(method, target string) int {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, "/", nil)
		var err error
		r.URL, err = url.ParseRequestURI(target) // as the server does
		require.NoError(t, err)
		r.RequestURI = target
		r.Header.Set("X-API-Key", "key-a")
		e.serve(w, r)
		return w.Code
	}
	for _, raw := range []string{"\u00e9", "|", "\"", "^", "{}", "<>", "`", "\\"} {
		e.create(raw)
		require.Equal(t, 405, ask(http.MethodPost, "/products/"+raw+"%2Fuse"), "it is the product %s/use", raw)
		require.Equal(t, 404, ask(http.MethodDelete, "/products%2F"+raw))
		e.get(path(raw)).ok(200)
		e.create(raw + "/b")
		require.Equal(t, 200, ask(http.MethodGet, "/products/"+raw+"%2Fb"))
		require.Equal(t, 200, ask(http.MethodPost, "/products/"+raw+"%2Fb/use"))
		require.Equal(t, 204, ask(http.MethodDelete, "/products/"+raw+"%2Fb"))
	}
}
