package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

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
// the product: nobody is told meanwhile that it is gone, whichever catalog on
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
