package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/prooftest/internal/picture"
)

const (
	accounts = 4
	products = 2000 // IDs of an account
)

// caller makes one call after the other.
type caller struct {
	c       *catalog.Catalog
	rng     *rand.Rand
	refused int // calls that met a disk without room

	mu    sync.Mutex // guards calls
	calls map[string]*latencies
}

func newCaller(c *catalog.Catalog, i int) *caller {
	return &caller{c: c, rng: rand.New(rand.NewPCG(*seed, uint64(i))), calls: map[string]*latencies{}}
}

func (w *caller) run(ctx context.Context) error {
	for ctx.Err() == nil {
		kind, call := w.draw()
		begin := time.Now()
		err := call(context.WithoutCancel(ctx))
		if *noRoom > 0 && passes(err) {
			w.refused++
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if err != nil && !errors.Is(err, catalog.ErrNotFound) && !errors.Is(err, catalog.ErrImageNotFound) && !errors.Is(err, catalog.ErrImageGone) {
			return fmt.Errorf("%s: %w", kind, err)
		}
		w.note(kind, time.Since(begin))
		time.Sleep(*pause)
	}
	return nil
}

func (w *caller) note(kind string, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls[kind] == nil {
		w.calls[kind] = new(latencies)
	}
	w.calls[kind].add(took)
}

func (w *caller) draw() (kind string, call func(context.Context) error) {
	rng := w.rng
	account, id := fmt.Sprint("account-", rng.IntN(accounts)), fmt.Sprint("p", rng.IntN(products))
	switch n := rng.IntN(1000); {
	case n < 400:
		return "get", func(ctx context.Context) error { _, err := w.c.Get(ctx, account, id); return err }
	case n < 600:
		return "use", func(ctx context.Context) error { _, err := w.c.Use(ctx, account, id); return err }
	case n < 800:
		p := w.patch()
		return "upsert", func(ctx context.Context) error { _, err := w.c.Upsert(ctx, account, id, p); return err }
	case n < 850:
		p := w.patch()
		return "one-shot", func(ctx context.Context) error { _, err := w.c.CreateOneShot(ctx, account, p); return err }
	case n < 900:
		return "list", func(ctx context.Context) error {
			_, err := w.c.List(ctx, account, catalog.ListOptions{Prefix: id[:2], Unlisted: rng.IntN(2) == 0})
			return err
		}
	case n < 950:
		return "image", func(ctx context.Context) error {
			r, err := w.c.OpenImage(ctx, account, id, 0)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, r)
			return errors.Join(err, r.Close())
		}
	case n < 999:
		return "delete", func(ctx context.Context) error { return w.c.Delete(ctx, account, id) }
	default:
		if rng.IntN(50) > 0 {
			return "stats", func(ctx context.Context) error { _, err := w.c.Stats(ctx, account); return err }
		}
		return "delete account", func(ctx context.Context) error { _, err := w.c.DeleteAccount(ctx, account); return err }
	}
}

// patch is one that creates too. What it makes expires within three days.
func (w *caller) patch() catalog.Patch {
	img := catalog.NewImage{URL: "https://cdn.example/front.jpg"}
	if w.rng.IntN(4) == 0 {
		img = catalog.NewImage{Upload: catalog.NewUpload(bytes.NewReader(picture.Noise(w.rng, 10+w.rng.IntN(140))))}
	}
	return catalog.Patch{
		Title:        catalog.Set(fmt.Sprint("title ", w.rng.Uint64())),
		Metadata:     catalog.Set(json.RawMessage(fmt.Sprintf(`{"n":%d,"text":"%x"}`, w.rng.Uint64(), make([]byte, w.rng.IntN(400))))),
		ValidForDays: catalog.Set(1 + w.rng.IntN(3)),
		Images:       catalog.Set([]catalog.NewImage{img}),
	}
}
