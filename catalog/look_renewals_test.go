package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
)

// updateSteps are called as the Updates of one call go, each once.
type updateSteps struct {
	begins  func() // before an Update
	commits func() // when its callback has succeeded
}

type updateStepsKey struct{}

// withUpdateSteps returns a context whose calls go by steps; the catalog must
// be on a steppedBackend.
func withUpdateSteps(ctx context.Context, s updateSteps) context.Context {
	return context.WithValue(ctx, updateStepsKey{}, updateSteps{sync.OnceFunc(s.begins), sync.OnceFunc(s.commits)})
}

type steppedBackend struct{ backend.Backend }

func (b steppedBackend) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	steps, ok := ctx.Value(updateStepsKey{}).(updateSteps)
	if !ok {
		return b.Backend.Update(ctx, scopes, o, fn)
	}
	steps.begins()
	return b.Backend.Update(ctx, scopes, o, func(ctx context.Context, txn backend.Txn) error {
		err := fn(ctx, txn)
		if err == nil {
			steps.commits()
		}
		return err
	})
}

// contract 4: an edit that began in time and commits after the deadline keeps
// the product: no caller is told meanwhile that it is gone, whichever catalog on
// the store the edit comes from.
func TestReadsWaitForAnEditThatBeganBeforeTheDeadline(t *testing.T) {
	reads := map[string]func(ctx context.Context, c *catalog.Catalog, id string) (bool, error){
		"get": func(ctx context.Context, c *catalog.Catalog, id string) (bool, error) {
			_, err := c.Get(ctx, acme, id)
			return err == nil, ignore(err, catalog.ErrNotFound)
		},
		"image": func(ctx context.Context, c *catalog.Catalog, id string) (bool, error) {
			image, err := c.OpenImage(ctx, acme, id, 0)
			if err != nil {
				return false, ignore(err, catalog.ErrNotFound)
			}
			return true, image.Close()
		},
		"list": func(ctx context.Context, c *catalog.Catalog, id string) (bool, error) {
			page, err := c.List(ctx, acme, catalog.ListOptions{Prefix: id})
			return err == nil && len(page.Products) == 1, err
		},
	}
	kinds := slices.Sorted(maps.Keys(reads))
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.decorate(func(b backend.Backend) backend.Backend { return steppedBackend{b} })
		nothing := func() {}
		proved := 0
		// Several of each: a shared store may run the edit again, which proves
		// nothing.
		for n := range 5 * len(kinds) {
			kind := kinds[n%len(kinds)]
			id := fmt.Sprint(kind, n)
			editor, reader := w.c(), w.c()
			p := uploads(pngOf(1, 4, 4))
			p.ValidForDays = catalog.Set(1)
			w.upsert(id, p)
			w.clock.Advance(day - tick)

			ready, commit := make(chan struct{}), make(chan struct{})
			edited := make(chan error, 1)
			go func() {
				ctx := withUpdateSteps(t.Context(), updateSteps{nothing, func() { close(ready); <-commit }})
				_, err := editor.Upsert(ctx, acme, id, catalog.Patch{ValidForDays: catalog.Set(30)})
				edited <- err
			}()
			<-ready
			w.clock.Advance(tick)

			// The edit commits when the read waits for it, or has answered.
			waits := make(chan struct{})
			answered := make(chan struct{})
			var found bool
			var err error
			go func() {
				defer close(answered)
				ctx := withUpdateSteps(t.Context(), updateSteps{func() { close(waits) }, nothing})
				found, err = reads[kind](ctx, reader, id)
			}()
			select {
			case <-waits:
			case <-answered:
			}
			close(commit)
			editErr := <-edited
			<-answered
			require.NoError(t, err, id)
			var bad *catalog.ValidationError
			if errors.As(editErr, &bad) {
				// The store ran it again, after the deadline: there is nothing to
				// edit, and a new product needs an image.
				require.False(t, found, id)
				continue
			}
			require.NoError(t, editErr)
			require.True(t, found, "%s was told that the product is gone", id)
			require.Equal(t, 30, w.get(id).ValidForDays)
			proved++
		}
		require.Positive(t, proved)
	})
}

// contract 5: nor do lists leave out a product because its renewal takes minutes
// to commit, by the clock: it leapt, or the engine stood still.
func TestListsHeedAnEditThatTakesMinutes(t *testing.T) {
	for name, count := range map[string]func(ctx context.Context, c *catalog.Catalog) (int, error){
		"list": func(ctx context.Context, c *catalog.Catalog) (int, error) {
			page, err := c.List(ctx, acme, catalog.ListOptions{})
			if err != nil {
				return 0, err
			}
			return len(page.Products), nil
		},
		"all": func(ctx context.Context, c *catalog.Catalog) (n int, err error) {
			for _, err := range c.All(ctx, acme, catalog.AllOptions{}) {
				if err != nil {
					return 0, err
				}
				n++
			}
			return n, nil
		},
		"stats": func(ctx context.Context, c *catalog.Catalog) (int, error) {
			s, err := c.Stats(ctx, acme)
			return s.Products, err
		},
	} {
		// The edit commits before the read looks again, or while it waits.
		for _, early := range []bool{false, true} {
			t.Run(fmt.Sprint(name, early), func(t *testing.T) {
				w := behindGlass(t, catalog.Options{})
				snapshots := make(chan func(), 1)
				w.decorate(func(b backend.Backend) backend.Backend { return snapshotBackend{steppedBackend{b}, snapshots} })
				w.createFor("p", 1)
				w.clock.Advance(day - tick)
				nothing := func() {}
				ready, commit, edited := make(chan struct{}), make(chan struct{}), make(chan error, 1)
				go func() {
					ctx := withUpdateSteps(t.Context(), updateSteps{nothing, func() { close(ready); <-commit }})
					_, err := w.c().Upsert(ctx, acme, "p", catalog.Patch{ValidForDays: catalog.Set(1)})
					edited <- err
				}()
				<-ready
				w.clock.Leap(10 * time.Minute)
				goOn := sync.OnceFunc(func() { close(commit) })
				ctx := t.Context()
				if early {
					snapshots <- func() { goOn(); require.NoError(t, <-edited); edited <- nil }
				} else {
					ctx = withUpdateSteps(ctx, updateSteps{goOn, nothing})
				}
				n, err := count(ctx, w.c())
				goOn()
				require.NoError(t, <-edited)
				require.NoError(t, err)
				require.Equal(t, 1, n)
			})
		}
	}
}

// snapshotBackend runs a function that waits behind the state that a Snapshot or
// a Scan has taken.
type snapshotBackend struct {
	backend.Backend
	behind chan func()
}

func (b snapshotBackend) Snapshot(ctx context.Context) (backend.Snapshot, error) {
	s, err := b.Backend.Snapshot(ctx)
	b.run()
	return s, err
}

func (b snapshotBackend) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		for e, err := range b.Backend.Scan(ctx, r, o) {
			b.run()
			if !yield(e, err) {
				return
			}
		}
	}
}

func (b snapshotBackend) run() {
	select {
	case fn := <-b.behind:
		fn()
	default:
	}
}
