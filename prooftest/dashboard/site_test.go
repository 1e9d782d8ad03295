package dashboard

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
	"github.com/shelflife-db/shelflife/ttl"
)

const (
	account = "acme"
	key     = "key-of-acme"
)

// heldStore is a backend whose reads of single keys can be held up.
type heldStore struct {
	backend.Backend
	held sync.RWMutex
}

// Get implements backend.Backend.
func (h *heldStore) Get(ctx context.Context, key []byte, fn func(value []byte) error) (bool, error) {
	h.held.RLock()
	defer h.held.RUnlock()
	return h.Backend.Get(ctx, key, fn)
}

// hold holds reads up until release is called, which may be called again.
func (h *heldStore) hold() (release func()) {
	h.held.Lock()
	return sync.OnceFunc(h.held.Unlock)
}

// site is a dashboard that a test serves.
type site struct {
	t       *testing.T
	catalog *catalog.Catalog
	store   *heldStore
	clock   *ttl.ManualClock
	pages   *dashboard.Handler
	url     string // with the slash
	revoked atomic.Bool
}

// newSite serves a dashboard, which mount puts where the test wants it.
func newSite(t *testing.T, o dashboard.Options, path string, mount func(http.Handler) http.Handler) *site {
	t.Helper()
	s := &site{t: t, clock: ttl.NewManualClock(time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC))}
	var err error
	s.store = &heldStore{Backend: memory.New(nil)}
	s.catalog, err = catalog.Open(t.Context(), s.store, &catalog.Options{Clock: s.clock})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.catalog.Close() })
	keys, err := httpadapter.NewAPIKeys(map[string]string{key: account})
	require.NoError(t, err)
	o.Clock = s.clock
	if o.Account == nil {
		o.Authenticate = func(r *http.Request) (string, error) {
			if s.revoked.Load() {
				return "", httpadapter.ErrInvalidKey
			}
			return keys.Authenticate(r)
		}
	}
	s.pages, err = dashboard.New(s.catalog, &o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.pages.Close() })
	server := httptest.NewServer(mount(s.pages))
	t.Cleanup(server.Close)
	s.url = server.URL + path
	return s
}

// atPath mounts a dashboard at a path, as a host does.
func atPath(path string) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle(path, h)
		return mux
	}
}

func plainSite(t *testing.T) *site { return newSite(t, dashboard.Options{}, "/d/", atPath("/d/")) }

// add adds a product.
func (s *site) add(id string, p catalog.Patch) {
	s.t.Helper()
	if p.Images.IsAbsent() {
		p.Images = catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(bytes.NewReader(drawing(len(id))))}})
	}
	_, err := s.catalog.Upsert(s.t.Context(), account, id, p)
	require.NoError(s.t, err)
}

// drawing is a small PNG.
func drawing(n int) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 60+n%7, 60))
	for y := range 60 {
		for x := range 60 + n%7 {
			img.Set(x, y, color.RGBA{uint8(40*n + 2*x), uint8(90 + 2*y), uint8(200 - 25*n), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err) // to memory
	}
	return b.Bytes()
}

// signIn signs in by the page for it.
func (s *site) signIn(b *tab) {
	b.t.Helper()
	b.goTo(s.url)
	b.fill("#key", key)
	b.click("main form button")
}
