package catalog_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
)

// markedCall is the context key of the calls whose first step is watched.
type markedCall struct{}

// midway runs fn when a marked call is in the middle of its work: before an
// Update of it, or behind the first entry that it scans in a snapshot.
type midway struct {
	backend.Backend
	fn func()
}

func (b midway) reach(ctx context.Context) {
	if ctx.Value(markedCall{}) != nil {
		b.fn()
	}
}

func (b midway) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	b.reach(ctx)
	return b.Backend.Update(ctx, scopes, o, fn)
}

func (b midway) Snapshot(ctx context.Context) (backend.Snapshot, error) {
	s, err := b.Backend.Snapshot(ctx)
	return midwaySnapshot{s, b}, err
}

type midwaySnapshot struct {
	backend.Snapshot
	b midway
}

func (s midwaySnapshot) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		for e, err := range s.Snapshot.Scan(ctx, r, o) {
			if !yield(e, err) {
				return
			}
			s.b.reach(ctx)
		}
	}
}

// contract 7: Close does not wait until a long call that can be repeated has
// done all its work: it ends with ErrClosed.
func TestCloseEndsLongCalls(t *testing.T) {
	const products = 1000
	for name, call := range map[string]func(ctx context.Context, c *catalog.Catalog) error{
		"sweep":          func(ctx context.Context, c *catalog.Catalog) error { _, err := c.Sweep(ctx); return err },
		"check":          func(ctx context.Context, c *catalog.Catalog) error { _, err := c.Check(ctx); return err },
		"delete account": func(ctx context.Context, c *catalog.Catalog) error { _, err := c.DeleteAccount(ctx, acme); return err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := behindGlass(t, catalog.Options{})
				// The background removes one batch and rests.
				w.opts.Sweeper.Pause = time.Hour
				steps := 0
				closed := make(chan error, 1)
				w.decorate(func(b backend.Backend) backend.Backend {
					return midway{b, func() {
						if steps++; steps > 1 {
							return
						}
						c := w.catalogs[0]
						go func() { closed <- c.Close() }()
						synctest.Wait() // Close waits for this call
					}}
				})
				for i := range products {
					w.createFor(fmt.Sprint(i), 1)
				}
				w.clock.Advance(day)
				if name == "sweep" {
					w.clock.Advance(time.Minute)
					synctest.Wait()
				}
				err := call(context.WithValue(t.Context(), markedCall{}, true), w.c())
				require.ErrorIs(t, err, catalog.ErrClosed)
				require.NoError(t, <-closed)
				require.Less(t, steps, 3, "it went on with its work")
				require.Greater(t, w.stored(), products/2)
				w.catalogs = nil
				w.start()
			})
		})
	}
}
