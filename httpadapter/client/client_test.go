package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/httpadapter/client"
)

const key = "key-of-a"

// newHandler returns the real handler, on a catalog in memory.
func newHandler(t testing.TB) http.Handler {
	c, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	keys, err := httpadapter.NewAPIKeys(map[string]string{key: "a"})
	require.NoError(t, err)
	h, err := httpadapter.New(c, &httpadapter.Options{Authenticate: keys.Authenticate, SpoolDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return h
}

// serve serves the handler, behind wrap if that is not nil, below a path, and returns
// a client of it.
func serve(t testing.TB, wrap func(http.Handler) http.Handler, o client.Options) *client.Client {
	h := newHandler(t)
	if wrap != nil {
		h = wrap(h)
	}
	server := httptest.NewServer(http.StripPrefix("/shop/v1", h))
	t.Cleanup(server.Close)
	if o.APIKey == "" {
		o.APIKey = key
	}
	c, err := client.New(server.URL+"/shop/v1/", &o)
	require.NoError(t, err)
	return c
}

// overBoth runs f with a client over HTTP/1 and one over HTTP/2.
func overBoth(t *testing.T, f func(t *testing.T, c *client.Client)) {
	t.Run("HTTP/1", func(t *testing.T) { f(t, serve(t, nil, client.Options{})) })
	t.Run("HTTP/2", func(t *testing.T) {
		server := httptest.NewUnstartedServer(newHandler(t))
		server.EnableHTTP2 = true
		server.StartTLS()
		t.Cleanup(server.Close)
		c, err := client.New(server.URL, &client.Options{APIKey: key, HTTPClient: server.Client()})
		require.NoError(t, err)
		f(t, c)
	})
}

var onePatch = client.Patch{Images: client.Set([]client.NewImage{{URL: "https://cdn.example/x.jpg"}})}

func picture(t testing.TB) []byte {
	var buf bytes.Buffer
	require.NoError(t, png.Encode(&buf, image.NewGray(image.Rect(0, 0, 8, 6))))
	return buf.Bytes()
}

func TestProducts(t *testing.T) {
	c := serve(t, nil, client.Options{})
	for _, id := range []string{"a", "a/b", "a//b", "%2F", "ü 👕?#&=+", "...", "images/0"} {
		p := onePatch
		p.Title, p.ValidForDays = client.Set("Red <tee> & \"more\""), client.Set(30)
		p.Metadata = client.Set(json.RawMessage(`{"b":1.0,"a":"<\u00e9>"}`))
		r, err := c.Upsert(t.Context(), id, p)
		require.NoError(t, err)
		require.True(t, r.Created)
		require.Equal(t, id, r.Product.ExternalID)
		require.Equal(t, `{"b":1.0,"a":"<\u00e9>"}`, string(r.Product.Metadata), "byte for byte")
		require.Equal(t, 30, r.Product.ValidForDays)
		require.Equal(t, 30*24*time.Hour, r.Product.ExpiresAt.Sub(r.Product.CreatedAt))
		require.True(t, r.Product.Listed)
		require.Zero(t, r.Product.LastUsedAt)

		// Absent keeps, null clears.
		r, err = c.Upsert(t.Context(), id, client.Patch{Description: client.Set("Soft"), ValidForDays: client.Null[int]()})
		require.NoError(t, err)
		require.False(t, r.Created)
		require.Equal(t, "Red <tee> & \"more\"", r.Product.Title)
		require.Zero(t, r.Product.ValidForDays)
		require.Zero(t, r.Product.ExpiresAt)
		require.NotNil(t, r.Product.Metadata)
		r, err = c.Upsert(t.Context(), id, client.Patch{Title: client.Set(""), Metadata: client.Null[json.RawMessage]()})
		require.NoError(t, err)
		require.Nil(t, r.Product.Metadata)
		require.Empty(t, r.Product.Title)

		used, err := c.Use(t.Context(), id)
		require.NoError(t, err)
		require.NotZero(t, used.LastUsedAt)
		got, err := c.Get(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, used, got)

		_, err = c.Upsert(t.Context(), id, client.Patch{Title: client.Set("x")}, client.IfVersion(got.Version))
		require.NoError(t, err)
		_, err = c.Upsert(t.Context(), id, client.Patch{Title: client.Set("y")}, client.IfVersion(got.Version))
		require.ErrorIs(t, err, client.ErrPreconditionFailed)
		_, err = c.Upsert(t.Context(), id, onePatch, client.CreateOnly())
		require.ErrorIs(t, err, client.ErrPreconditionFailed)
		require.ErrorIs(t, c.Delete(t.Context(), id, client.IfVersion(got.Version)), client.ErrPreconditionFailed)
		require.NoError(t, c.Delete(t.Context(), id, client.IfExists()))
		require.ErrorIs(t, c.Delete(t.Context(), id), client.ErrNotFound)
		_, err = c.Get(t.Context(), id)
		require.ErrorIs(t, err, client.ErrNotFound)
		_, err = c.Upsert(t.Context(), id, onePatch, client.IfExists())
		require.ErrorIs(t, err, client.ErrPreconditionFailed)
	}
	r, err := c.UpsertInline(t.Context(), "inline", onePatch)
	require.NoError(t, err)
	require.False(t, r.Product.Listed)
	require.Equal(t, 15, r.Product.ValidForDays)
}

func TestIDsThatNoPathHas(t *testing.T) {
	c := serve(t, nil, client.Options{})
	for _, id := range []string{"", ".", "..", "\xff"} {
		_, err := c.Get(t.Context(), id)
		require.Error(t, err)
		_, err = c.Upsert(t.Context(), id, onePatch)
		require.Error(t, err)
		_, err = c.UpsertInline(t.Context(), id, onePatch)
		require.Error(t, err, "it would be a one-shot")
		_, err = c.Use(t.Context(), id)
		require.Error(t, err)
		require.Error(t, c.Delete(t.Context(), id))
		_, err = c.OpenImage(t.Context(), id, 0)
		require.Error(t, err)
	}
}

func TestErrors(t *testing.T) {
	c := serve(t, nil, client.Options{})
	_, err := c.Upsert(t.Context(), "p/q", client.Patch{Title: client.Set(strings.Repeat("x", 2000)), Images: client.Set([]client.NewImage{{URL: "x"}})})
	require.ErrorIs(t, err, client.ErrInvalid)
	require.NotErrorIs(t, err, client.ErrNotFound)
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "VALIDATION_FAILED", e.Code)
	require.Equal(t, 400, e.Status)
	require.Equal(t, "POST", e.Method)
	require.Equal(t, "/products", e.Path)
	require.NotEmpty(t, e.RequestID)
	require.Len(t, e.Details, 2)
	require.ElementsMatch(t, []string{"images.0.source.url", "title"}, []string{e.Details[0].Path, e.Details[1].Path})
	require.Contains(t, e.Error(), "title: ")
	_, err = c.Upsert(t.Context(), "p", client.Patch{})
	require.ErrorIs(t, err, client.ErrInvalid, "a product needs an image")
	_, err = c.Upsert(t.Context(), "there", onePatch)
	require.NoError(t, err)
	_, err = c.Upsert(t.Context(), "there", client.Patch{Images: client.Set([]client.NewImage(nil))})
	require.ErrorAs(t, err, &e)
	require.Equal(t, "PRODUCT_IMAGES_REQUIRED", e.Code, "an empty list is not an absent one")
	_, err = c.Upsert(t.Context(), "p", client.Patch{Images: client.Set([]client.NewImage{{}})})
	require.ErrorContains(t, err, "a URL or an Upload")

	other := serve(t, nil, client.Options{APIKey: "wrong"})
	_, err = other.Get(t.Context(), "p")
	require.ErrorIs(t, err, client.ErrUnauthorized)
	for code, want := range map[string]error{
		"FORBIDDEN": client.ErrForbidden, "QUOTA_EXCEEDED": client.ErrQuotaExceeded, "IMAGE_NOT_FOUND": client.ErrImageNotFound,
		"PAYLOAD_TOO_LARGE": client.ErrTooLarge, "RATE_LIMITED": client.ErrRateLimited, "OVERLOADED": client.ErrUnavailable,
	} {
		require.ErrorIs(t, &client.Error{Code: code}, want)
	}
	require.ErrorIs(t, &client.Error{Code: "QUOTA_EXCEEDED"}, client.ErrForbidden)
}

func TestUploads(t *testing.T) {
	c := serve(t, nil, client.Options{})
	bits := append(picture(t), make([]byte, 400<<10)...)
	for name, reader := range map[string]io.Reader{"seeks": bytes.NewReader(bits), "streams": struct{ io.Reader }{bytes.NewReader(bits)}} {
		front := client.NewUpload(reader)
		r, err := c.Upsert(t.Context(), "p/"+name, client.Patch{Images: client.Set([]client.NewImage{
			{Upload: front, Classifications: json.RawMessage(`{"view":"front"}`)},
			{URL: "https://cdn.example/x.jpg"},
			{Upload: client.NewUpload(bytes.NewReader(picture(t)))},
			{Upload: front},
		})})
		require.NoError(t, err)
		require.Len(t, r.Product.Images, 4)
		require.True(t, r.Product.Images[0].Uploaded())
		require.False(t, r.Product.Images[1].Uploaded())
		require.JSONEq(t, `{"view":"front"}`, string(r.Product.Images[0].Classifications))
		require.Equal(t, int64(len(bits)), r.Product.Images[3].Size)
		image, err := c.OpenImage(t.Context(), "p/"+name, 3)
		require.NoError(t, err)
		got, err := io.ReadAll(image)
		require.NoError(t, err)
		require.NoError(t, image.Close())
		require.True(t, bytes.Equal(bits, got))
		require.Equal(t, "image/png", image.ContentType)
		require.Equal(t, int64(len(bits)), image.Size)

		rest, err := c.OpenImageAt(t.Context(), "p/"+name, 0, 1000, image.ETag)
		require.NoError(t, err)
		got, err = io.ReadAll(rest)
		require.NoError(t, err)
		require.NoError(t, rest.Close())
		require.True(t, bytes.Equal(bits[1000:], got))
		require.Equal(t, int64(len(bits)), rest.Size)
		_, err = c.OpenImageAt(t.Context(), "p/"+name, 2, 10, image.ETag)
		require.ErrorIs(t, err, client.ErrPreconditionFailed, "it is another image")
		_, err = c.OpenImage(t.Context(), "p/"+name, 1)
		require.ErrorIs(t, err, client.ErrImageNotFound)

		// What is there is kept by its URL.
		kept, err := c.Upsert(t.Context(), "p/"+name, client.Patch{Images: client.Set([]client.NewImage{{URL: r.Product.Images[2].SourceURL}})})
		require.NoError(t, err)
		require.Equal(t, r.Product.Images[2].SourceURL, kept.Product.Images[0].SourceURL)
	}
	_, err := c.Upsert(t.Context(), "q", client.Patch{Images: client.Set([]client.NewImage{{Upload: client.NewUpload(strings.NewReader("text"))}})})
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "INVALID_IMAGE", e.Code)
}

func TestLists(t *testing.T) {
	c := serve(t, nil, client.Options{})
	for i := range 25 {
		_, err := c.Upsert(t.Context(), fmt.Sprintf("p/%02d", i), onePatch)
		require.NoError(t, err)
	}
	_, err := c.UpsertInline(t.Context(), "unlisted", onePatch)
	require.NoError(t, err)
	ids := func(products iter.Seq2[*client.Product, error]) (ids []string) {
		for p, err := range products {
			require.NoError(t, err)
			ids = append(ids, p.ExternalID)
		}
		return ids
	}
	all := ids(c.All(t.Context(), client.ListOptions{Limit: 10}))
	require.Len(t, all, 25)
	require.Equal(t, all, ids(c.Export(t.Context(), client.ListOptions{})))
	require.Len(t, ids(c.All(t.Context(), client.ListOptions{Unlisted: true})), 26)
	require.Len(t, ids(c.Export(t.Context(), client.ListOptions{Unlisted: true})), 26)
	require.Equal(t, all[:10], ids(c.All(t.Context(), client.ListOptions{Prefix: "p/0"})))
	require.Equal(t, all[:10], ids(c.Export(t.Context(), client.ListOptions{Prefix: "p/0"})))
	require.Equal(t, all[20:], ids(c.All(t.Context(), client.ListOptions{From: "p/20", Limit: 2})))
	page, err := c.List(t.Context(), client.ListOptions{Limit: 3})
	require.NoError(t, err)
	require.True(t, page.HasMore)
	require.Len(t, page.Items, 3)
	page, err = c.List(t.Context(), client.ListOptions{Cursor: page.NextCursor, Limit: 200})
	require.NoError(t, err)
	require.False(t, page.HasMore)
	require.Empty(t, page.NextCursor)
	require.Len(t, page.Items, 22)
	for p, err := range c.All(t.Context(), client.ListOptions{Limit: 201}) {
		require.Nil(t, p)
		require.ErrorIs(t, err, client.ErrInvalid)
	}
	for p, err := range c.Export(t.Context(), client.ListOptions{Prefix: "\xff"}) {
		require.Nil(t, p)
		require.ErrorIs(t, err, client.ErrInvalid)
	}
	for range c.All(t.Context(), client.ListOptions{}) {
		break
	}
	for range c.Export(t.Context(), client.ListOptions{}) {
		break
	}
}

// asks counts requests, and answers some of them itself.
type asks struct {
	mu     sync.Mutex // guards n and bodies
	n      int
	bodies []string
	// before and after answer instead of the handler, and behind its back; nil and
	// false let it be.
	before, after func(n int, w http.ResponseWriter) bool
}

func (a *asks) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		a.mu.Lock()
		a.n++
		n := a.n
		a.bodies = append(a.bodies, string(body))
		a.mu.Unlock()
		if a.before != nil && a.before(n, w) {
			return
		}
		if a.after == nil {
			next.ServeHTTP(w, r)
			return
		}
		hidden := httptest.NewRecorder()
		next.ServeHTTP(hidden, r)
		if a.after(n, w) {
			return
		}
		for name, values := range hidden.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(hidden.Code)
		_, _ = w.Write(hidden.Body.Bytes())
	})
}

func refuse(w http.ResponseWriter, status int, code, retryAfter string) {
	if retryAfter != "" {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
	if code != "" {
		fmt.Fprintf(w, `{"code":%q,"message":"m","status":%d}`, code, status)
	}
}

// handlerTransport has a handler answer without a network, so that time can stand
// still.
type handlerTransport struct{ http.Handler }

func (h handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// TestRetries: what is sent again, and what is not.
func TestRetries(t *testing.T) {
	first := func(f func(w http.ResponseWriter)) func(int, http.ResponseWriter) bool {
		return func(n int, w http.ResponseWriter) bool {
			if n == 1 {
				f(w)
			}
			return n == 1
		}
	}
	limited := first(func(w http.ResponseWriter) { refuse(w, 429, "RATE_LIMITED", "7") })
	down := first(func(w http.ResponseWriter) { refuse(w, 503, "UNAVAILABLE", "1") })
	unknown := first(func(w http.ResponseWriter) { refuse(w, 503, "UNKNOWN_OUTCOME", "") })
	gateway := first(func(w http.ResponseWriter) { refuse(w, 502, "", "") })
	type state = func(int, http.ResponseWriter) bool
	ctx := context.Background()
	version := client.IfExists()
	for name, tc := range map[string]struct {
		before, after state
		call          func(c *client.Client) error
		asked         int
		fails         error
		waits         time.Duration // at least
	}{
		"a get that is limited": {limited, nil, func(c *client.Client) error { _, err := c.Get(ctx, "p"); return err }, 2, nil, 7 * time.Second},
		"an edit that is limited": {limited, nil, func(c *client.Client) error {
			_, err := c.Upsert(ctx, "p", client.Patch{Title: client.Set("x")}, version)
			return err
		}, 2, nil, 7 * time.Second},
		"an edit while it is down":                 {down, nil, func(c *client.Client) error { _, err := c.Upsert(ctx, "p", onePatch, version); return err }, 2, nil, time.Second},
		"an edit of unknown outcome":               {nil, unknown, func(c *client.Client) error { _, err := c.Upsert(ctx, "p", onePatch); return err }, 2, nil, 50 * time.Millisecond},
		"a conditional edit of unknown outcome":    {nil, unknown, func(c *client.Client) error { _, err := c.Upsert(ctx, "p", onePatch, version); return err }, 1, client.ErrUnknownOutcome, 0},
		"a use that a gateway lost":                {nil, gateway, func(c *client.Client) error { _, err := c.Use(ctx, "p"); return err }, 2, nil, 0},
		"a delete that a gateway lost":             {nil, gateway, func(c *client.Client) error { return c.Delete(ctx, "p") }, 2, nil, 0},
		"a conditional delete that a gateway lost": {nil, gateway, func(c *client.Client) error { return c.Delete(ctx, "p", version) }, 1, &client.Error{}, 0},
		"what is not there":                        {nil, nil, func(c *client.Client) error { return c.Delete(ctx, "q") }, 1, client.ErrNotFound, 0},
		"a fault of the server's":                  {first(func(w http.ResponseWriter) { refuse(w, 500, "INTERNAL", "") }), nil, func(c *client.Client) error { _, err := c.Get(ctx, "p"); return err }, 1, &client.Error{}, 0},
		"what never gets better": {func(_ int, w http.ResponseWriter) bool { refuse(w, 503, "UNAVAILABLE", ""); return true }, nil,
			func(c *client.Client) error { _, err := c.Get(ctx, "p"); return err }, 5, client.ErrUnavailable, 750 * time.Millisecond},
		"a wait that is too long": {first(func(w http.ResponseWriter) { refuse(w, 429, "RATE_LIMITED", "11") }), nil,
			func(c *client.Client) error { _, err := c.Get(ctx, "p"); return err }, 1, client.ErrRateLimited, 0},
		"an upload that seeks": {down, nil, func(c *client.Client) error {
			_, err := c.Upsert(ctx, "u", client.Patch{Images: client.Set([]client.NewImage{{Upload: client.NewUpload(bytes.NewReader(picture(t)))}})})
			return err
		}, 2, nil, 0},
		"an upload that can't": {down, nil, func(c *client.Client) error {
			_, err := c.Upsert(ctx, "u", client.Patch{Images: client.Set([]client.NewImage{{Upload: client.NewUpload(struct{ io.Reader }{bytes.NewReader(picture(t))})}})})
			return err
		}, 1, client.ErrUnavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &asks{}
				c, err := client.New("http://server", &client.Options{APIKey: key, HTTPClient: &http.Client{Transport: handlerTransport{a.wrap(newHandler(t))}}})
				require.NoError(t, err)
				_, err = c.Upsert(ctx, "p", onePatch)
				require.NoError(t, err)
				a.n, a.bodies, a.before, a.after = 0, nil, tc.before, tc.after
				begun := time.Now() // in a bubble
				err = tc.call(c)
				var refused *client.Error
				switch {
				case tc.fails == nil:
					require.NoError(t, err)
				case errors.As(tc.fails, &refused):
					require.ErrorAs(t, err, &refused)
				default:
					require.ErrorIs(t, err, tc.fails)
				}
				require.Equal(t, tc.asked, a.n)
				require.GreaterOrEqual(t, time.Since(begun), tc.waits)
				for _, body := range a.bodies[1:] {
					require.Equal(t, a.bodies[0], body, "the whole body, each time")
				}
			})
		})
	}
}

// TestOneShotsAreMadeOnce: though the answer was lost and the request sent again.
func TestOneShotsAreMadeOnce(t *testing.T) {
	a := &asks{after: func(n int, w http.ResponseWriter) bool {
		if n == 1 {
			refuse(w, 502, "", "")
		}
		return n == 1
	}}
	c := serve(t, a.wrap, client.Options{Backoff: time.Millisecond})
	r, err := c.CreateOneShot(t.Context(), onePatch)
	require.NoError(t, err)
	require.Equal(t, 2, a.n)
	require.False(t, r.Created, "the first attempt did")
	count := 0
	for _, err := range c.All(t.Context(), client.ListOptions{Unlisted: true}) {
		require.NoError(t, err)
		count++
	}
	require.Equal(t, 1, count)
	again, err := c.CreateOneShot(t.Context(), onePatch)
	require.NoError(t, err)
	require.NotEqual(t, r.Product.ExternalID, again.Product.ExternalID)
	first, err := c.CreateOneShotOnce(t.Context(), "order-1", onePatch)
	require.NoError(t, err)
	second, err := c.CreateOneShotOnce(t.Context(), "order-1", onePatch)
	require.NoError(t, err)
	require.True(t, first.Created)
	require.False(t, second.Created)
	require.Equal(t, first.Product.ExternalID, second.Product.ExternalID)
}

// TestPausesEndWithTheContext: and the error says why it paused, too.
func TestPausesEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asks{before: func(_ int, w http.ResponseWriter) bool { refuse(w, 429, "RATE_LIMITED", "9"); return true }}
		c, err := client.New("http://server", &client.Options{HTTPClient: &http.Client{Transport: handlerTransport{a.wrap(nil)}}})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = c.Get(ctx, "p")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, client.ErrRateLimited)
		require.Equal(t, 1, a.n)
	})
}

// TestRedirectsAreNotFollowed: another server would get the key.
func TestRedirectsAreNotFollowed(t *testing.T) {
	asked := false
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer thief.Close()
	c := serve(t, func(http.Handler) http.Handler { return http.RedirectHandler(thief.URL, http.StatusFound) }, client.Options{})
	_, err := c.Get(t.Context(), "p")
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, 302, e.Status)
	require.False(t, asked)
}

func TestHeaders(t *testing.T) {
	var got http.Header
	c := serve(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r.Header.Clone()
			h.ServeHTTP(w, r)
		})
	}, client.Options{Header: http.Header{"Authorization": {"Bearer x"}}})
	_, err := c.Upsert(t.Context(), "p", onePatch)
	require.NoError(t, err)
	require.Equal(t, "Bearer x", got.Get("Authorization"))
	require.Equal(t, key, got.Get("X-API-Key"))
	require.Equal(t, "application/json", got.Get("Content-Type"))
}

func TestOptions(t *testing.T) {
	for _, base := range []string{"", "shop.example", "ftp://shop.example", "http://", "http://user:secret@shop.example", "http://x?y", "http://x#y", "http://%zz"} {
		_, err := client.New(base, nil)
		require.Error(t, err, base)
		require.NotContains(t, err.Error(), "secret")
	}
	for name, o := range map[string]client.Options{"Attempts": {Attempts: -1}, "Backoff": {Backoff: -1}, "MaxBackoff": {MaxBackoff: -1}} {
		_, err := client.New("http://x", &o)
		require.ErrorContains(t, err, name)
	}
}
