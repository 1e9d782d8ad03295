package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// operations is every call of the library.
func operations(ctx context.Context, c *catalog.Catalog, id string) map[string]func() error {
	png := pngOf(1, 2, 2)
	patch := func() catalog.Patch { return catalog.Patch{Images: imagesOf(png), Title: catalog.Set(id)} }
	return map[string]func() error{
		"upsert":   func() error { _, err := c.Upsert(ctx, acme, id, patch()); return err },
		"inline":   func() error { _, err := c.UpsertInline(ctx, acme, id, patch()); return err },
		"one-shot": func() error { _, err := c.CreateOneShot(ctx, acme, patch()); return err },
		"many": func() error {
			return c.UpsertMany(ctx, acme, []catalog.UpsertItem{{ExternalID: id, Patch: patch()}})[0].Err
		},
		"stage":          func() error { _, err := c.StageImage(ctx, acme, bytes.NewReader(png)); return err },
		"use":            func() error { _, err := c.Use(ctx, acme, id); return err },
		"touch":          func() error { _, err := c.Touch(ctx, acme, id); return err },
		"get":            func() error { _, err := c.Get(ctx, acme, id); return err },
		"list":           func() error { _, err := c.List(ctx, acme, catalog.ListOptions{}); return err },
		"delete":         func() error { return c.Delete(ctx, acme, id) },
		"delete account": func() error { _, err := c.DeleteAccount(ctx, acme); return err },
		"stats":          func() error { _, err := c.Stats(ctx, acme); return err },
		"store stats":    func() error { _, err := c.StoreStats(ctx); return err },
		"check":          func() error { _, err := c.Check(ctx); return err },
		"sweep":          func() error { _, err := c.Sweep(ctx); return err },
		"ready":          c.Ready,
		"all": func() error {
			for _, err := range c.All(ctx, acme, catalog.AllOptions{}) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"image": func() error {
			r, err := c.OpenImage(ctx, acme, id, 0)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, r)
			return err
		},
	}
}

// contract 7: after Close every call fails with ErrClosed; a second Close gives
// the same result.
func TestClosed(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.upsert("p", catalog.Patch{Images: imagesOf(append(pngOf(1, 2, 2), make([]byte, 600<<10)...))})
		w.create("q")
		for _, c := range w.catalogs {
			r, err := c.OpenImage(ctx, acme, "p", 0)
			require.NoError(t, err)
			_, err = r.Read(make([]byte, 100))
			require.NoError(t, err)
			closed := make(chan error, 1)
			seen := 0
			for _, err := range c.All(ctx, acme, catalog.AllOptions{}) {
				if err != nil {
					require.ErrorIs(t, err, catalog.ErrClosed)
					continue
				}
				if seen++; seen == 1 {
					go func() { closed <- c.Close() }()
					for c.Ready() == nil {
						runtime.Gosched()
					}
				}
			}
			require.NoError(t, <-closed, "a loop that goes on does not hold it up")
			_, err = r.Read(make([]byte, 100))
			require.ErrorIs(t, err, catalog.ErrClosed, "of the chunk that is in memory")
			for name, do := range operations(ctx, c, "p") {
				require.ErrorIs(t, do(), catalog.ErrClosed, name)
			}
			require.NoError(t, c.Close())
		}
		w.reopen()
		w.get("p")
	})
}

// A call that Close waits for ends as it would have, also where it turns out to
// be another one: an inline upsert that changes nothing is a use.
func TestCloseWaitsForInlineUpserts(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.upsert("p", uploads(smallImage))
		for name, title := range map[string]catalog.Optional[string]{"edit": catalog.Set("new"), "use": {}} {
			c := w.c()
			reached, goOn := make(chan struct{}), make(chan struct{})
			slow := pausingUpload(smallImage, func() { close(reached); <-goOn })
			result := make(chan error, 1)
			go func() {
				_, err := c.UpsertInline(t.Context(), acme, "p", catalog.Patch{
					Title: title, Images: catalog.Set([]catalog.NewImage{{Upload: slow}}),
				})
				result <- err
			}()
			<-reached
			closed := make(chan error, 1)
			go func() { closed <- c.Close() }()
			for c.Ready() == nil {
				runtime.Gosched()
			}
			close(goOn)
			require.NoError(t, <-result, name)
			require.NoError(t, <-closed)
			w.reopen()
			require.False(t, w.get("p").LastUsedAt.IsZero())
		}
	})
}

// contract 7: the result of Close is that of the backend, each time.
func TestCloseReturnsTheSameResult(t *testing.T) {
	broken := errors.New("broken")
	c, err := catalog.Open(t.Context(), brokenClose{memory.New(nil), broken}, &catalog.Options{Clock: ttl.NewManualClock(epoch)})
	require.NoError(t, err)
	for range 2 {
		require.ErrorIs(t, c.Close(), broken)
	}
}

type brokenClose struct {
	backend.Backend
	err error
}

func (b brokenClose) Close() error { return errors.Join(b.Backend.Close(), b.err) }

// contract 7: Close against everything at once: each call succeeds whole or
// fails with ErrClosed, and what was acknowledged is there afterwards.
func TestCloseBesideEverything(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for round := range 3 {
			for i := range 4 {
				w.create(fmt.Sprint("r", i))
			}
			var wg sync.WaitGroup
			started := make(chan struct{}, 100)
			var mu sync.Mutex
			acked := map[string]time.Time{}
			for _, c := range w.catalogs {
				for name, do := range operations(t.Context(), c, fmt.Sprint("r", round)) {
					if name == "delete account" {
						continue
					}
					wg.Go(func() {
						var err error
						for n := 0; !errors.Is(err, catalog.ErrClosed); n++ {
							if err = do(); err != nil && !errors.Is(err, catalog.ErrClosed) && !errors.Is(err, catalog.ErrNotFound) && !errors.Is(err, catalog.ErrImageNotFound) {
								t.Errorf("%s: %v", name, err)
								return
							}
							if n == 2 {
								started <- struct{}{}
							}
						}
					})
				}
				wg.Go(func() {
					for n := 0; ; n++ {
						id := fmt.Sprint("acked", round, n%7)
						_, err := c.Upsert(t.Context(), acme, id, withImage(catalog.Patch{}))
						var p *catalog.Product
						if err == nil {
							p, err = c.Use(t.Context(), acme, id)
						}
						if err != nil {
							if !errors.Is(err, catalog.ErrClosed) {
								t.Errorf("use: %v", err)
							}
							return
						}
						mu.Lock()
						acked[id] = p.LastUsedAt
						mu.Unlock()
					}
				})
			}
			<-started
			w.clock.Advance(time.Second)
			for _, c := range w.catalogs {
				for range 2 {
					wg.Go(func() {
						if err := c.Close(); err != nil {
							t.Errorf("close: %v", err)
						}
					})
				}
			}
			wg.Wait()
			w.reopen()
			w.soundReport()
			for id, at := range acked {
				require.False(t, w.get(id).LastUsedAt.Before(at))
			}
		}
	})
}

// contract 7: no goroutine outlives Close: within the bubble a leftover one
// would end the test with a deadlock.
func TestNoGoroutineOutlivesClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		c, err := catalog.Open(t.Context(), memory.New(nil), &catalog.Options{OnExpire: func(context.Context, *catalog.Catalog, catalog.Expired) { calls.Add(1) }})
		require.NoError(t, err)
		ctx := t.Context()
		for i := range 100 {
			_, err := c.Upsert(ctx, acme, fmt.Sprint(i), withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
			require.NoError(t, err)
			_, err = c.Use(ctx, acme, fmt.Sprint(i))
			require.NoError(t, err)
		}
		_, err = c.StageImage(ctx, acme, bytes.NewReader(pngOf(1, 2, 2)))
		require.NoError(t, err)
		// The real clock of the bubble: folds, sweeps and hooks run.
		<-time.After(3 * day)
		synctest.Wait()
		require.Equal(t, int64(100), calls.Load())
		_, err = c.Upsert(ctx, acme, "p", withImage(catalog.Patch{}))
		require.NoError(t, err)
		_, err = c.Use(ctx, acme, "p")
		require.NoError(t, err)
		require.NoError(t, c.Close())
	})
}

// Close makes every acknowledged use durable.
func TestCloseFolds(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	for i := range 200 {
		w.createFor(fmt.Sprint(i), 30)
	}
	w.clock.Advance(time.Hour)
	for i := range 200 {
		w.use(fmt.Sprint(i))
	}
	w.close()
	for i := range 200 {
		require.Equal(t, w.now().UnixMilli(), w.record(fmt.Sprint(i)).LastUsedAt)
	}
	w.start()
}
