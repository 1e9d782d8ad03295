package httppeer

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
)

// Bare returns the floor: a handler that answers from a map what Shelflife answers, header
// and body, and reads a body without doing anything with it.
func Bare() Peer {
	return Peer{
		Name: "bare-http", Module: "std", Floor: true,
		About: "net/http handler that returns the same header and body from memory",
		Open:  openBare,
	}
}

type bare struct {
	*shelflife                    // the requests
	products   map[string]content // by ID
	lists      map[string]content // by query
	images     map[string]content // by path
}

var (
	_ Server  = (*bare)(nil)
	_ Lister  = (*bare)(nil)
	_ Gallery = (*bare)(nil)
)

// content is an answer.
type content struct {
	header http.Header // read alone once it is made
	body   []byte
}

func openBare(ctx context.Context, _ string, d Data) (Server, error) {
	c, err := catalog.Open(ctx, memory.New(nil), &catalog.Options{CacheBytes: -1})
	if err != nil {
		return nil, err
	}
	real, err := serve(ctx, c, d)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	s := &bare{real, make(map[string]content, d.Set.Len()), map[string]content{}, map[string]content{}}
	for i := range d.Set.Len() {
		s.products[d.Set.Key(i).ID] = s.answer(ctx, d.Set.Key(i).Account, real.Get(i))
	}
	for _, p := range d.Pages {
		q := real.List(p)
		_, query, _ := strings.Cut(q.Path, "?")
		s.lists[p.Account+"?"+query] = s.answer(ctx, p.Account, q)
	}
	for i := range d.Photos.Len() {
		q := real.Image(i)
		s.images[q.Path] = s.answer(ctx, d.Photos.Key(i).Account, q)
	}
	return s, nil
}

// answer returns what Shelflife answers.
func (s *bare) answer(ctx context.Context, account string, q Request) content {
	r := httptest.NewRequestWithContext(ctx, q.Method, q.Path, nil)
	r.Header.Set(AccountHeader, account)
	w := httptest.NewRecorder()
	s.shelflife.ServeHTTP(w, r)
	h := w.Header()
	h.Set("Content-Length", strconv.Itoa(w.Body.Len()))
	return content{h, w.Body.Bytes()}
}

func (s *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, ok := s.find(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	maps.Copy(w.Header(), c.header)
	_, _ = w.Write(c.body)
}

func (s *bare) find(r *http.Request) (c content, ok bool) {
	id, _ := strings.CutPrefix(r.URL.Path, "/products/")
	switch {
	case r.Method == http.MethodPost:
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return c, false
		}
		if id, _ = strings.CutSuffix(id, "/use"); id == "/products" {
			id = s.data.Set.Key(0).ID
		}
	case r.URL.RawQuery != "":
		c, ok = s.lists[r.Header.Get(AccountHeader)+"?"+r.URL.RawQuery]
		return c, ok
	case strings.HasSuffix(id, imageSuffix):
		c, ok = s.images[r.URL.Path]
		return c, ok
	}
	c, ok = s.products[id]
	return c, ok
}
