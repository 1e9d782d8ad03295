package httpadapter_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/httpadapter"
)

// TestOpenAPIIsServed: without a key, as it is in the repository but for the server,
// which is the one that was asked.
func TestOpenAPIIsServed(t *testing.T) {
	file, err := os.ReadFile("openapi.yaml")
	require.NoError(t, err)
	const server = "\n  - url: /\n"
	require.Equal(t, 1, strings.Count(string(file), server))
	tags := map[string]bool{}
	for name, mount := range mounts {
		if name == "methods" {
			continue // which lets nothing of it through
		}
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, setup{mount: mount})
			want := strings.Replace(string(file), server, "\n  - url: \""+e.base+"\"\n", 1)
			if e.base == "" {
				want = strings.Replace(string(file), server, "\n  - url: \"/\"\n", 1)
			}
			r := e.get("/openapi.yaml", "X-API-Key", "").ok(200)
			require.Equal(t, want, string(r.body))
			require.Equal(t, "application/yaml", r.header.Get("Content-Type"))
			tags[r.etag()] = true
			head := e.do(http.MethodHead, "/openapi.yaml", nil, "X-API-Key", "").ok(200)
			require.Empty(t, head.body)
			require.Equal(t, r.header.Get("Content-Length"), head.header.Get("Content-Length"))
			for _, known := range []string{r.etag(), "*", `"x", W/` + r.etag(), strings.TrimSuffix(r.etag(), `"`) + `-gzip"`} {
				same := e.get("/openapi.yaml", "If-None-Match", known).ok(304)
				require.Empty(t, same.body)
				require.Equal(t, r.etag(), same.etag())
			}
			e.get("/openapi.yaml", "If-None-Match", `"x"`).ok(200)
			e.get("/openapi.yaml", "If-None-Match", `x`).fails(400, "VALIDATION_FAILED", "If-None-Match")
			e.get("/openapi.yaml?x=1").ok(200)
			e.get("/openapi.yaml?x=1&strict=true").fails(400, "VALIDATION_FAILED", "x")
			require.Equal(t, "GET, HEAD", e.post("/openapi.yaml", "{}").fails(405, "METHOD_NOT_ALLOWED").header.Get("Allow"))
			e.post("/openapi.yaml", "{}", "X-API-Key", "").fails(401, "MISSING_API_KEY")
			e.get("/openapi.yaml/", "X-API-Key", "").fails(401, "MISSING_API_KEY")
		})
	}
	require.Len(t, tags, 4, "an entity tag never names two representations")
}

// TestOpenAPIForPages: a page of an allowed origin may read it too.
func TestOpenAPIForPages(t *testing.T) {
	e := newEnv(t, setup{options: httpadapter.Options{AllowedOrigins: []string{"https://docs.example"}, PublicPath: "/api"}})
	r := e.get("/openapi.yaml", "X-API-Key", "", "Origin", "https://docs.example").ok(200)
	require.Equal(t, "https://docs.example", r.header.Get("Access-Control-Allow-Origin"))
	require.Contains(t, string(r.body), "\n  - url: \"/api\"\n")
}
