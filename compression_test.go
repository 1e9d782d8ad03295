package shelflife_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
)

// compressing are the proxies with compression on, and what becomes of an entity
// tag behind them.
var compressing = map[string]struct {
	config string
	weak   bool
}{
	"nginx": {weak: true, config: `
gzip on; gzip_types application/json; gzip_min_length 1;
server { listen 127.0.0.1:8081; location / { proxy_pass http://127.0.0.1:8080; } }
`},
	"haproxy": {weak: true, config: `
frontend shop
  bind 127.0.0.1:8081
  default_backend shelflife
backend shelflife
  compression algo gzip
  compression type application/json
  server one 127.0.0.1:8080
`},
	"caddyfile": {config: `
http://127.0.0.1:8081 {
	encode gzip {
		minimum_length 1
	}
	reverse_proxy 127.0.0.1:8080
}
`},
}

// TestConditionsBehindCompression: what docs/deploy.md says of compression. A weak
// tag must not match in If-Match (RFC 9110, 13.1.1); all that can hold does.
func TestConditionsBehindCompression(t *testing.T) {
	cat, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	defer cat.Close()
	handler, err := httpadapter.New(cat, &httpadapter.Options{
		Authenticate: func(*http.Request) (string, error) { return "a", nil },
	})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	defer server.Close()
	for name, proxy := range compressing {
		t.Run(name, func(t *testing.T) {
			base := "http://" + startProxy(t, name, proxy.config, server.Listener.Addr().String())
			do := func(method, path, body string, headers ...string) (*http.Response, string) {
				r, err := http.NewRequest(method, base+path, strings.NewReader(body))
				require.NoError(t, err)
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Accept-Encoding", "gzip")
				for i := 0; i < len(headers); i += 2 {
					r.Header.Set(headers[i], headers[i+1])
				}
				res, err := http.DefaultTransport.RoundTrip(r)
				require.NoError(t, err)
				defer res.Body.Close()
				text, err := io.ReadAll(res.Body)
				require.NoError(t, err)
				return res, string(text)
			}
			edit := func(title string) string {
				return `{"externalId":"p","title":"` + title + `","images":[{"source":{"url":"https://c.example/1.jpg"}}]}`
			}
			tag := func() string {
				res, _ := do("GET", "/products/p", "")
				require.Equal(t, http.StatusOK, res.StatusCode)
				require.Equal(t, "gzip", res.Header.Get("Content-Encoding"))
				return res.Header.Get("ETag")
			}
			_, text := do("POST", "/products", edit(name), "Accept-Encoding", "identity")
			require.Contains(t, text, `"version"`)
			etag := tag()
			require.Equal(t, proxy.weak, strings.HasPrefix(etag, "W/"), etag)

			res, _ := do("GET", "/products/p", "", "If-None-Match", etag)
			require.Equal(t, http.StatusNotModified, res.StatusCode, "a copy is kept")
			res, text = do("POST", "/products", edit("by tag"), "If-Match", etag, "Accept-Encoding", "identity")
			if proxy.weak {
				require.Equal(t, http.StatusPreconditionFailed, res.StatusCode)
				require.Contains(t, text, "weak", "the client learns why")
				res, text = do("DELETE", "/products/p", "", "If-Match", etag, "Accept-Encoding", "identity")
				require.Equal(t, http.StatusPreconditionFailed, res.StatusCode)
				require.Contains(t, text, "weak")
			} else {
				require.Equal(t, http.StatusOK, res.StatusCode, text)
				res, text = do("POST", "/products", edit("by an old tag"), "If-Match", etag, "Accept-Encoding", "identity")
				require.Equal(t, http.StatusPreconditionFailed, res.StatusCode)
				require.NotContains(t, text, "weak")
			}
			_, text = do("GET", "/products/p", "", "Accept-Encoding", "identity")
			_, version, _ := strings.Cut(text, `"version":"`)
			version, _, _ = strings.Cut(version, `"`)
			res, text = do("POST", "/products", edit("by version"), "If-Match", `"`+version+`"`, "Accept-Encoding", "identity")
			require.Equal(t, http.StatusOK, res.StatusCode, text)
		})
	}
}
