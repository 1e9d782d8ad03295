package httppeer

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/catalog"
)

// Bare returns the floor: a handler that answers the bytes that Shelflife would
// answer from a map, and reads a body without doing anything with it.
func Bare() Peer {
	return Peer{
		Name: "bare-http", Module: "std", Floor: true,
		About: "net/http handler that returns the same bytes from memory",
		Open:  openBare,
	}
}

type bare struct {
	shelflife // the requests
	answers   map[string][]byte
}

var _ Server = (*bare)(nil)

func openBare(ctx context.Context, _ string, set *dataset.Set) (Server, error) {
	c, err := catalog.Open(ctx, memory.New(nil), &catalog.Options{CacheBytes: -1})
	if err != nil {
		return nil, err
	}
	s := &bare{shelflife{set: set, catalog: c}, make(map[string][]byte, set.Len())}
	for begin := 0; begin < set.Len(); begin += importBatch {
		products := set.Batch(begin, begin+importBatch)
		if err := fill(ctx, c, products); err != nil {
			return nil, err
		}
		for _, p := range products {
			got, err := c.Get(ctx, p.Account, p.ID)
			if err != nil {
				return nil, err
			}
			s.answers[p.ID] = got.AppendJSON(nil)
		}
	}
	return s, nil
}

func (s *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, _ := strings.CutPrefix(r.URL.Path, "/products/")
	if r.Method == http.MethodPost {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if id, _ = strings.CutSuffix(id, "/use"); id == "/products" {
			id = s.set.Key(0).ID
		}
	}
	body, ok := s.answers[id]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
