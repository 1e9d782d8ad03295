package routers

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode) // else it prints its routes
	os.Exit(m.Run())
}

// ids are external IDs whose paths a router may spoil.
var ids = []string{"plain", "a/b", "a//b", "//", "/lead", "trail/", "a/../b", "../b", "a/.", "a b", "100%", "%2F", "%2e%2e", "q?x", "a#b", "a+b", "a;b", "é😀", "images/0", "use", "products"}

// TestDocumentedSettings: each block of Go in docs/deploy.md is what a function of
// this package does, and there is one for each.
func TestDocumentedSettings(t *testing.T) {
	docs, err := os.ReadFile("../../docs/deploy.md")
	require.NoError(t, err)
	source, err := os.ReadFile("mounts.go")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllSubmatch(docs, -1)
	require.Len(t, blocks, len(mounts))
	bodies := regexp.MustCompile(`(?ms)^func (\w+)\(shop http\.Handler\) http\.Handler \{\n(.*?)^\treturn \w\n\}$`).FindAllSubmatch(source, -1)
	require.Len(t, bodies, len(mounts))
	for i, body := range bodies {
		require.Contains(t, mounts, string(body[1]))
		require.Equal(t, strings.ReplaceAll("\n"+string(body[2]), "\n\t", "\n"), "\n"+string(blocks[i][1]), "in the order of mounts.go")
	}
}

func TestEveryIDPassesARouter(t *testing.T) {
	for name, mount := range mounts {
		t.Run(name, func(t *testing.T) {
			base := serve(t, mount)
			for _, id := range ids {
				require.NoError(t, roundTrip(t, base, id), "%q", id)
			}
		})
	}
}

// TestSettingsThatSpoilIDs: what docs/deploy.md warns of is so, and what it calls
// harmless is. Where this fails with a new version, the text is out of date.
func TestSettingsThatSpoilIDs(t *testing.T) {
	for name, c := range map[string]struct {
		mount   func(shop http.Handler) http.Handler
		spoiled bool
	}{
		"gorilla/mux without UseEncodedPath": {spoiled: true, mount: func(shop http.Handler) http.Handler {
			r := mux.NewRouter()
			r.PathPrefix("/shop/").Handler(http.StripPrefix("/shop", shop))
			return r
		}},
		"gin with a route for each path": {spoiled: true, mount: func(shop http.Handler) http.Handler {
			r, h := gin.New(), gin.WrapH(http.StripPrefix("/shop", shop))
			r.Any("/shop/products", h)
			r.Any("/shop/products/:id", h)
			r.Any("/shop/products/:id/images/:order", h)
			r.Any("/shop/products/:id/use", h)
			return r
		}},
		"chi with CleanPath and StripSlashes": {mount: func(shop http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Use(middleware.CleanPath, middleware.StripSlashes)
			r.Mount("/shop", http.StripPrefix("/shop", shop))
			return r
		}},
		"gin with UseRawPath": {mount: func(shop http.Handler) http.Handler {
			r := gin.New()
			r.UseRawPath = true
			r.Any("/shop/*path", gin.WrapH(http.StripPrefix("/shop", shop)))
			return r
		}},
		"echo with a route for each path": {mount: func(shop http.Handler) http.Handler {
			e, h := echo.New(), echo.WrapHandler(http.StripPrefix("/shop", shop))
			e.Any("/shop/products", h)
			e.Any("/shop/products/:id", h)
			e.Any("/shop/products/:id/images/:order", h)
			e.Any("/shop/products/:id/use", h)
			return e
		}},
	} {
		t.Run(name, func(t *testing.T) {
			base := serve(t, c.mount)
			require.NoError(t, roundTrip(t, base, "plain"))
			var spoiled []string
			for _, id := range ids {
				if roundTrip(t, base, id) != nil {
					spoiled = append(spoiled, id)
				}
			}
			t.Logf("spoiled: %q", spoiled)
			require.Equal(t, c.spoiled, len(spoiled) > 0)
		})
	}
}

// serve serves a catalog under /shop of a router.
func serve(t *testing.T, mount func(http.Handler) http.Handler) (base string) {
	cat, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	shop, err := httpadapter.New(cat, &httpadapter.Options{Authenticate: func(*http.Request) (string, error) { return "a", nil }})
	require.NoError(t, err)
	server := httptest.NewServer(mount(shop))
	t.Cleanup(func() {
		server.Close()
		require.NoError(t, cat.Close())
	})
	return server.URL + "/shop"
}

// wrong is an answer that is not the one for the ID.
type wrong string

func (w wrong) Error() string { return string(w) }

// roundTrip makes a product with an image and goes to every path that it has. The
// error says where the path led to something else.
func roundTrip(t *testing.T, base, id string) error {
	do := func(method, target, kind string, body io.Reader) (*http.Response, []byte) {
		r, err := http.NewRequest(method, base+target, body)
		require.NoError(t, err)
		r.Header.Set("Content-Type", kind)
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		res, err := client.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res, text
	}
	var picture, form bytes.Buffer
	require.NoError(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 4, 3))))
	w := multipart.NewWriter(&form)
	quoted, err := json.Marshal(id)
	require.NoError(t, err)
	require.NoError(t, w.WriteField("data", `{"externalId":`+string(quoted)+`,"images":[{"source":{"fileKey":"f"}}]}`))
	file, err := w.CreateFormFile("f", "f.png")
	require.NoError(t, err)
	_, err = file.Write(picture.Bytes())
	require.NoError(t, err)
	require.NoError(t, w.Close())

	at := "/products/" + url.PathEscape(id)
	res, text := do(http.MethodPost, "/products", w.FormDataContentType(), &form)
	if res.StatusCode >= 300 || res.StatusCode == http.StatusCreated && res.Header.Get("Location") != "/shop"+at {
		return wrong("POST " + res.Status + " " + res.Header.Get("Location"))
	}
	for _, step := range []struct {
		method, target string
		status         int
	}{{http.MethodGet, at, 200}, {http.MethodPost, at + "/use", 200}, {http.MethodGet, at + "/images/0", 200}, {http.MethodDelete, at, 204}, {http.MethodGet, at, 404}} {
		res, text = do(step.method, step.target, "application/json", nil)
		var p struct{ ExternalID, Code string }
		isImage := res.Header.Get("Content-Type") == "image/png"
		if len(text) > 0 && !isImage && json.Unmarshal(text, &p) != nil {
			return wrong("no JSON: " + string(text))
		}
		right := res.StatusCode == step.status
		switch {
		case step.status == 404:
			right = right && p.Code == "PRODUCT_NOT_FOUND"
		case strings.HasSuffix(step.target, "/images/0") && isImage:
			right = right && bytes.Equal(text, picture.Bytes())
		case step.status == 200:
			right = right && p.ExternalID == id
		}
		if !right {
			return wrong(step.method + " " + step.target + ": " + res.Status)
		}
	}
	return nil
}
