package httpadapter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/ttl"
)

// tryOn is a host's own endpoint. It answers with what it got.
type tryOn struct {
	handler *httpadapter.Handler
	member  *string
}

func (h *tryOn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	read := func() (*httpadapter.ProductRequest, error) {
		if h.member == nil {
			return h.handler.ReadProduct(w, r)
		}
		return h.handler.ReadProductAt(w, r, *h.member)
	}
	req, err := read()
	if err != nil {
		h.handler.WriteError(w, r, err)
		return
	}
	result, err := req.Apply(r.Context())
	if err != nil {
		h.handler.WriteError(w, r, err)
		return
	}
	fmt.Fprintf(w, "%s %s %s %s", req.Account, result.Outcome, result.Product.ExternalID, req.JSON)
	for _, f := range req.Files {
		content := f.Open()
		n, err := io.Copy(io.Discard, content)
		if _, serr := content.Seek(0, io.SeekStart); serr != nil {
			err = serr
		}
		first := make([]byte, 4)
		_, _ = io.ReadFull(content, first)
		fmt.Fprintf(w, "\n%s %s %s %d %d %q %v %v", f.Name, f.Filename, f.ContentType, f.Size, n, first, err, content.Close())
	}
}

// withTryOn is the handler beside a host's endpoint that reads the given
// member.
func withTryOn(t *testing.T, member *string) *env {
	host := &tryOn{member: member}
	return newEnv(t, setup{mount: func(h *httpadapter.Handler) (http.Handler, string) {
		host.handler = h
		m := http.NewServeMux()
		m.Handle("POST /try-on", host)
		m.Handle("/", h)
		return m, ""
	}})
}

func TestReadProduct(t *testing.T) {
	// contract 6: a host's own endpoint reads a product spec from a member
	// (default product), resolves it in the three ways, and gets what happened,
	// the raw JSON and the other file parts.
	e := withTryOn(t, nil)
	e.create("a")
	text := `{"product":{"externalId":"a"}, "pose":[1.0]}`
	require.Equal(t, "a used a "+text, string(e.post("/try-on", text).ok(200).body))
	for _, tc := range []struct{ text, outcome string }{
		{`{"product":{"externalId":"a","title":"x"}}`, "edited"},
		{`{"product":{"externalId":"a","title":"x"}}`, "unchanged"},
		{`{"product":{"externalId":"b","images":[{"source":{"url":"https://a.example/x"}}]}}`, "created"},
	} {
		require.Contains(t, string(e.post("/try-on", tc.text).ok(200).body), "a "+tc.outcome+" ")
	}
	require.Equal(t, false, e.get("/products/b").product()["listed"])
	require.Equal(t, 15.0, e.get("/products/b").product()["validForDays"])
	require.Contains(t, string(e.post("/try-on", `{"product":{"images":[{"source":{"url":"https://a.example/x"}}]}}`).ok(200).body), "a created _anon_")

	// Small and large files, before and behind the JSON.
	data := `{"product":{"externalId":"c","images":[{"source":{"fileKey":"shirt"}}]},"pose":"x"}`
	body := newForm().file("me", append([]byte("me!!"), make([]byte, 1<<20)...)).data(data).file("shirt", picture(t, 400<<10)).part(`form-data; name="note"`, "", []byte("hi"))
	require.Equal(t, "a created c "+data+"\nme me.png image/png 1048580 1048580 \"me!!\" <nil> <nil>\nnote   2 2 \"hi\\x00\\x00\" <nil> <nil>", string(e.post("/try-on", body).ok(200).body))
	require.True(t, bytes.Equal(picture(t, 400<<10), e.get("/products/c/images/0").ok(200).body))
	requireEmpty(t, e)

	r := e.post("/try-on", `{"product":{"externalId":"a","imageUrls":["https://a.example/y"]}}`).ok(200)
	require.NotEmpty(t, r.header.Get("Deprecation"))
}

func TestReadProductFaults(t *testing.T) {
	// contract 6: error paths carry the member's name.
	e := withTryOn(t, nil)
	e.create("a")
	for _, tc := range []struct {
		body    any
		status  int
		code    string
		paths   []string
		headers []string
	}{
		{`{}`, 400, "VALIDATION_FAILED", []string{"product"}, nil},
		{`{"product":null}`, 400, "VALIDATION_FAILED", []string{"product"}, nil},
		{`{"Product":{"externalId":"a"}}`, 400, "VALIDATION_FAILED", []string{"product"}, nil},
		{`[]`, 400, "VALIDATION_FAILED", []string{""}, nil},
		{`{"product":{}}`, 400, "PRODUCT_IMAGES_REQUIRED", []string{"product.images"}, nil},
		{`{"product":{"externalId":""}}`, 400, "VALIDATION_FAILED", []string{"product.externalId"}, nil},
		{`{"product":{"externalId":".."}}`, 400, "VALIDATION_FAILED", []string{"product.externalId"}, nil},
		{`{"product":{"externalId":"nobody"}}`, 404, "PRODUCT_NOT_FOUND", nil, nil},
		{`{"product":{"images":[{"source":{"url":"x"}},{"fileKey":"f"}],"title":5}}`, 400, "VALIDATION_FAILED",
			[]string{"product.images.0.source.url", "product.images.1.fileKey", "product.title"}, nil},
		{newForm().data(`{"product":{"images":[{"source":{"fileKey":"f"}}]}}`).file("f", make([]byte, 300<<10)), 400, "INVALID_IMAGE", []string{"product.images.0.source.fileKey"}, nil},
		{newForm().file("f", nil), 400, "VALIDATION_FAILED", []string{"data"}, nil},
		{`{"product":{"externalId":"a"}}`, 400, "VALIDATION_FAILED", []string{"If-Match"}, []string{"If-Match", "*"}},
		{`{"product":{"externalId":"a","title":"x"}}`, 412, "PRECONDITION_FAILED", nil, []string{"If-None-Match", "*"}},
		{`{"product":{"externalId":"a"}}`, 401, "MISSING_API_KEY", nil, []string{"X-API-Key", ""}},
		{`{"product":{"externalId":"a"}}`, 415, "UNSUPPORTED_MEDIA_TYPE", nil, []string{"Content-Type", "text/plain"}},
	} {
		e.post("/try-on", tc.body, tc.headers...).fails(tc.status, tc.code, tc.paths...)
		requireClosed(t, e)
	}
	r := e.post("/try-on", `{"product":{"imageUrls":["x"]}}`).fails(400, "VALIDATION_FAILED", "product.imageUrls.0")
	require.NotEmpty(t, r.header.Get("Deprecation"))
}

func TestReadProductAt(t *testing.T) {
	// contract 6: the member's name is settable; empty means the whole object.
	garment := "garment"
	e := withTryOn(t, &garment)
	e.create("a")
	require.Contains(t, string(e.post("/try-on", `{"garment":{"externalId":"a"},"product":5}`).ok(200).body), "a used a")
	e.post("/try-on", `{"product":{"externalId":"a"}}`).fails(400, "VALIDATION_FAILED", "garment")

	whole := ""
	e = withTryOn(t, &whole)
	e.create("a")
	text := `{"externalId":"a","pose":"x","product":{}}`
	require.Equal(t, "a used a "+text, string(e.post("/try-on", text).ok(200).body))
	e.post("/try-on", `{"title":5}`).fails(400, "VALIDATION_FAILED", "title")
}

func TestFilesEndWithTheRequest(t *testing.T) {
	// contract 6: readable until the request ends.
	synctest.Test(t, func(t *testing.T) {
		cat, err := catalog.Open(t.Context(), memory.New(nil), &catalog.Options{Clock: ttl.NewManualClock(start)})
		require.NoError(t, err)
		defer cat.Close()
		h, err := httpadapter.New(cat, &httpadapter.Options{Authenticate: func(*http.Request) (string, error) { return "a", nil }, SpoolDir: t.TempDir()})
		require.NoError(t, err)
		f := newForm().data(`{"product":{"images":[{"source":{"url":"https://a.example/x"}}]}}`).file("me", make([]byte, 1<<20))
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/try-on", bytes.NewReader(f.end()))
		r.Header.Set("Content-Type", f.w.FormDataContentType())
		req, err := h.ReadProduct(httptest.NewRecorder(), r)
		require.NoError(t, err)
		require.Len(t, req.Files, 1)
		synctest.Wait()
		_, err = req.Files[0].Open().Read(make([]byte, 1))
		require.NoError(t, err)
		cancel()
		synctest.Wait()
		_, err = req.Files[0].Open().Read(make([]byte, 1))
		require.ErrorIs(t, err, context.Canceled, "the disk space is given back")
	})
}

func TestWriteErrorOfTheHost(t *testing.T) {
	// contract 6: INTERNAL for whatever else goes wrong.
	e := newEnv(t, setup{mount: func(h *httpadapter.Handler) (http.Handler, string) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.WriteError(w, r, fmt.Errorf("secret: %w", io.ErrClosedPipe))
		}), ""
	}})
	r := e.get("/").fails(500, "INTERNAL")
	require.NotContains(t, string(r.body), "secret")
	require.True(t, json.Valid(r.body))
	require.Contains(t, e.log.String(), "secret")

	w := httptest.NewRecorder()
	e.handler.WriteError(w, httptest.NewRequest(http.MethodPost, "/", nil), fmt.Errorf("upsert: %w",
		&catalog.ValidationError{Fields: []catalog.FieldError{{Path: "images.0.source.fileKey", Code: catalog.CodePayloadTooLarge, Message: "too large"}}}))
	require.Equal(t, 413, w.Code)
	require.JSONEq(t, `{"code":"PAYLOAD_TOO_LARGE","message":"too large","status":413}`, w.Body.String())
}
