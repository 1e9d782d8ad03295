package dashboard_test

import (
	"bytes"
	"image"
	"image/png"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
	"github.com/shelflife-db/shelflife/ttl"
)

const (
	acmeKey  = "key-of-acme-0123456789"
	otherKey = "key-of-other-0123456789"
)

// world is a dashboard at /x/ of a server, and what stands behind it.
type world struct {
	t       *testing.T
	catalog *catalog.Catalog
	clock   *ttl.ManualClock
	options dashboard.Options
	url     string
	pages   *dashboard.Handler // that was served last
	log     bytes.Buffer
	auth    func(*http.Request) (string, error) // asked instead of the keys, if it is not nil
	asked   []*http.Request
}

func newWorld(t *testing.T, o dashboard.Options) *world {
	w := &world{t: t, clock: ttl.NewManualClock(time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC))}
	var err error
	w.catalog, err = catalog.Open(t.Context(), memory.New(nil), &catalog.Options{Clock: w.clock})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.catalog.Close()) })
	keys, err := httpadapter.NewAPIKeys(map[string]string{acmeKey: "acme", otherKey: "other"})
	require.NoError(t, err)
	o.Clock = w.clock
	o.Logger = slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if o.Account == nil {
		o.Authenticate = func(r *http.Request) (string, error) {
			w.asked = append(w.asked, r)
			if w.auth != nil {
				return w.auth(r)
			}
			return keys.Authenticate(r)
		}
	}
	w.options = o
	w.url = w.serve(o)
	return w
}

// serve serves another dashboard of the same catalog, and returns its URL.
func (w *world) serve(o dashboard.Options) string {
	h, err := dashboard.New(w.catalog, &o)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, h.Close()) })
	w.pages = h
	mux := http.NewServeMux()
	mux.Handle("/x/", h)
	server := httptest.NewServer(mux)
	w.t.Cleanup(server.Close)
	return server.URL + "/x/"
}

// browser is a client that keeps cookies and follows nothing.
type browser struct {
	w      *world
	client *http.Client
	header http.Header
	url    string
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(w.t, err)
	return &browser{w: w, url: w.url, header: http.Header{}, client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// signedIn is a browser that has signed in.
func (w *world) signedIn(key string) *browser {
	b := w.browser()
	a := b.post("signin", url.Values{"key": {key}})
	require.Equal(w.t, http.StatusSeeOther, a.status, a.body)
	require.Equal(w.t, "./", a.header.Get("Location"))
	return b
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (b *browser) do(method, ref, kind, body string) answer {
	b.w.t.Helper()
	base, err := url.Parse(b.url)
	require.NoError(b.w.t, err)
	to, err := base.Parse(ref)
	require.NoError(b.w.t, err)
	r, err := http.NewRequestWithContext(b.w.t.Context(), method, to.String(), strings.NewReader(body))
	require.NoError(b.w.t, err)
	for name, values := range b.header {
		r.Header[name] = values
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	res, err := b.client.Do(r)
	require.NoError(b.w.t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	require.NoError(b.w.t, err)
	return answer{res.StatusCode, res.Header, string(data)}
}

func (b *browser) get(ref string) answer { b.w.t.Helper(); return b.do("GET", ref, "", "") }

func (b *browser) post(ref string, form url.Values) answer {
	b.w.t.Helper()
	return b.do("POST", ref, "application/x-www-form-urlencoded", form.Encode())
}

// field is a field of a form, or a file.
type field struct{ name, text, file string }

// noFile is the file of a field for files in which none was chosen.
const noFile = "\x00"

func (b *browser) postForm(ref string, fields ...field) answer {
	b.w.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for _, f := range fields {
		header := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="` + f.name + `"`}}
		if f.file != "" {
			header = textproto.MIMEHeader{"Content-Disposition": {`form-data; name="` + f.name + `"; filename="` + strings.TrimPrefix(f.file, noFile) + `"`}}
		}
		part, err := m.CreatePart(header)
		require.NoError(b.w.t, err)
		_, err = io.WriteString(part, f.text)
		require.NoError(b.w.t, err)
	}
	require.NoError(b.w.t, m.Close())
	return b.do("POST", ref, m.FormDataContentType(), body.String())
}

func picture(side int) string {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, side, side))); err != nil {
		panic(err) // to memory
	}
	return b.String()
}

// add adds a product with an uploaded image, if the patch has no other.
func (w *world) add(account, id string, p catalog.Patch) *catalog.Product {
	w.t.Helper()
	if p.Images.IsAbsent() {
		p.Images = catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(strings.NewReader(picture(8)))}})
	}
	res, err := w.catalog.Upsert(w.t.Context(), account, id, p)
	require.NoError(w.t, err)
	return res.Product
}

func (w *world) get(account, id string) *catalog.Product {
	w.t.Helper()
	p, err := w.catalog.Get(w.t.Context(), account, id)
	require.NoError(w.t, err)
	return p
}
