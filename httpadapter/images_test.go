package httpadapter_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
)

func TestGetImage(t *testing.T) {
	// contract 6: 200/206/304, stored kind as Content-Type, ETag, ranges,
	// nosniff, sandboxing CSP.
	e := newEnv(t, setup{})
	content := picture(t, 300<<10)
	e.post("/products", newForm().file("f", content).
		data(`{"externalId":"a","images":[{"source":{"url":"https://a.example/x"}},{"source":{"fileKey":"f"}}]}`)).ok(201)
	const target = "/products/a/images/1"
	r := e.get(target).ok(200)
	require.True(t, bytes.Equal(content, r.body))
	sum := sha256.Sum256(content)
	etag := `"` + hex.EncodeToString(sum[:]) + `"`
	for name, want := range map[string]string{
		"Content-Type": "image/png", "ETag": etag, "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, no-cache",
	} {
		require.Equal(t, want, r.header.Get(name), name)
	}
	r = e.get(target, "Range", "bytes=100-199").ok(206)
	require.Equal(t, content[100:200], r.body)
	require.Regexp(t, `^bytes 100-199/\d+$`, r.header.Get("Content-Range"))
	require.Equal(t, content[len(content)-5:], e.get(target, "Range", "bytes=-5").ok(206).body)
	require.Equal(t, content, e.get(target, "Range", "bytes=0-1,5-6").ok(200).body, "several ranges are answered whole")
	for _, last := range []string{"bytes=-0", "bytes=-000", "bytes= -0 "} {
		require.Equal(t, content, e.get(target, "Range", last).ok(200).body, "the last 0 bytes are no range")
	}
	require.Len(t, e.get(target, "Range", "bytes=0-9", "If-Range", etag).ok(206).body, 10)
	require.Len(t, e.get(target, "Range", "bytes=0-9", "If-Range", `"x"`).ok(200).body, len(content))
	r = e.do(http.MethodHead, target, nil, "Range", "bytes=0-9").ok(200)
	require.Equal(t, fmt.Sprint(len(content)), r.header.Get("Content-Length"), "RFC 9110, 14.2: a range is for GET alone")
	for _, other := range []string{"items=0-5", "none", "bytes"} {
		require.Equal(t, content, e.get(target, "Range", other).ok(200).body, "RFC 9110, 14.2: a unit that is not known is ignored")
	}
	r = e.get(target, "Range", "bytes=99999999-").fails(416, "RANGE_NOT_SATISFIABLE")
	require.Regexp(t, `^bytes \*/\d+$`, r.header.Get("Content-Range"))
	require.Empty(t, e.get(target, "If-None-Match", etag).ok(304).body)
	e.get(target, "If-None-Match", `"x"`).ok(200)
	e.get(target, "If-Match", `"x"`).fails(412, "PRECONDITION_FAILED")
	e.get(target, "If-Match", etag).ok(200)
	e.get(target, "If-Match", "x").fails(400, "VALIDATION_FAILED", "If-Match")

	for _, c := range []struct {
		name   string
		lines  []string
		status int
	}{
		{"If-None-Match", []string{`"a"`, etag}, 304},
		{"If-None-Match", []string{``, etag}, 304},
		{"If-None-Match", []string{`"a"`, `"b"`}, 200},
		{"If-Match", []string{`"a"`, etag}, 200},
		{"If-Match", []string{`"a"`, `"b"`}, 412},
	} {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header = http.Header{"X-Api-Key": {"key-a"}, c.name: c.lines}
		w := httptest.NewRecorder()
		e.serve(w, r)
		require.Equal(t, c.status, w.Code, "RFC 9110, 5.3: several lines are one list: %+v", c)
	}

	for _, order := range []string{"0", "2", "01", "+1", "-1", "1.0", "x", "%31%20", "99999999999999999999"} {
		e.get("/products/a/images/"+order).fails(404, "IMAGE_NOT_FOUND")
	}
	e.get("/products/a/images/%31").ok(200)
	for _, order := range []string{"0", "00", "abc", "-1", "99999999999999999999"} {
		// contract 6: fields before existence, the product before its image.
		e.get("/products/%00/images/"+order).fails(400, "VALIDATION_FAILED", "externalId")
		e.get("/products/nobody/images/"+order).fails(404, "PRODUCT_NOT_FOUND")
	}
	e.get("/products/a/images").fails(404, "NOT_FOUND")
	e.get("/products/a/images/").fails(404, "NOT_FOUND")
	e.get(target, "X-API-Key", "key-b").fails(404, "PRODUCT_NOT_FOUND")
}

// breaking is a backend whose reads fail from some point on.
type breaking struct {
	*memory.Store
	getsLeft int
}

func (b *breaking) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	if b.getsLeft--; b.getsLeft < 0 {
		return false, errors.New("the disk is gone")
	}
	return b.Store.Get(ctx, key, fn)
}

var _ backend.Backend = (*breaking)(nil)

// sweeping is a backend from which everything vanishes after some reads.
type sweeping struct {
	*memory.Store
	getsLeft int
}

func (s *sweeping) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	if s.getsLeft--; s.getsLeft < 0 {
		return false, nil
	}
	return s.Store.Get(ctx, key, fn)
}

func TestImageGone(t *testing.T) {
	// contract 6: IMAGE_NOT_FOUND: no stored bytes there. They may be swept
	// between the look at the product and the first of them.
	b := &sweeping{Store: memory.New(nil), getsLeft: 1 << 30}
	e := newEnv(t, setup{backend: b})
	content := picture(t, 300<<10)
	e.post("/products", newForm().file("f", content).data(fileBody("a", "f"))).ok(201)
	// Without a client, which might ask again when it is cut off.
	get := func(headers ...string) *reply {
		r := httptest.NewRequest(http.MethodGet, "/products/a/images/0", nil)
		r.Header.Set("X-API-Key", "key-a")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		e.serve(w, r)
		return &reply{t, w.Code, w.Header(), w.Body.Bytes()}
	}
	etag := get().ok(200).etag()
	before := b.getsLeft
	get().ok(200)
	const chunks = 2
	gets := before - b.getsLeft
	for left := gets - chunks - 1; left <= gets-chunks; left++ { // the header, the first chunk
		for _, headers := range [][]string{nil, {"Range", "bytes=0-9"}, {"If-None-Match", `"x"`}} {
			b.getsLeft = left
			r := get(headers...).fails(404, "IMAGE_NOT_FOUND")
			require.Equal(t, "no-store", r.header.Get("Cache-Control"))
			for _, name := range []string{"ETag", "Content-Security-Policy", "Content-Range", "Accept-Ranges"} {
				require.Empty(t, r.header.Get(name), name)
			}
		}
	}
	b.getsLeft = gets - chunks
	get("If-None-Match", etag).ok(304) // needs no bytes
	b.getsLeft = gets
	require.True(t, bytes.Equal(content, get().ok(200).body), "looking first costs no other read")
}

func TestImageCutOff(t *testing.T) {
	// contract 5: an open image fails with an error, never with other bytes,
	// so the answer must not look as if it were whole.
	b := &breaking{Store: memory.New(nil), getsLeft: 1 << 30}
	e := newEnv(t, setup{backend: b})
	content := picture(t, 5<<20)
	e.post("/products", newForm().file("f", content).data(fileBody("a", "f"))).ok(201)
	e.get("/products/a").ok(200)
	b.getsLeft = 3
	req, err := http.NewRequest(http.MethodGet, e.server.URL+"/products/a/images/0", nil)
	require.NoError(t, err)
	req.Header.Set("X-API-Key", "key-a")
	resp, err := e.server.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)
	got, err := io.ReadAll(resp.Body)
	require.Error(t, err)
	require.Less(t, len(got), len(content))
	require.Contains(t, e.log.String(), "the disk is gone")

	// The same where the length that gives it away is not sent.
	b.getsLeft = 3
	req.URL.Host, req.URL.Scheme = "", ""
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { e.serve(httptest.NewRecorder(), req) })
}
