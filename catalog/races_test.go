package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
)

// yieldingBackend lets others run around and within every Update, so that calls
// meet in different ways each time.
type yieldingBackend struct{ backend.Backend }

func yield() {
	for range rand.IntN(4) {
		runtime.Gosched()
	}
}

func (b yieldingBackend) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	yield()
	defer yield()
	return b.Backend.Get(ctx, key, fn)
}

func (b yieldingBackend) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	yield()
	defer yield()
	return b.Backend.Update(ctx, scopes, o, func(ctx context.Context, txn backend.Txn) error {
		yield()
		defer yield()
		return fn(ctx, txn)
	})
}

const raceRounds = 150

// onRaces runs a test for many rounds on each kind of store, whose sweeper
// does not wait after a deadline.
func onRaces(t *testing.T, test func(t *testing.T, w *world, id string)) {
	configure := func(o *catalog.Options) {
		o.Sweeper.Grace = time.Nanosecond
		o.ImageGrace = -1
	}
	onEveryStore(t, configure, func(t *testing.T, w *world) {
		w.decorate(func(b backend.Backend) backend.Backend { return yieldingBackend{b} })
		for round := range raceRounds {
			test(t, w, fmt.Sprint("p", round))
		}
	})
}

// together runs functions at the same time.
func together(t *testing.T, fns ...func() error) {
	t.Helper()
	errs := make([]error, len(fns))
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() {
			yield()
			errs[i] = fn()
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

func sweepOf(t *testing.T, c *catalog.Catalog) func() error {
	return func() error {
		_, err := c.Sweep(t.Context())
		return err
	}
}

// moment is when a call meets the sweep.
type moment int

const (
	before moment = iota // a millisecond before the deadline
	at
	after
	across // the deadline passes meanwhile
)

// aroundDeadline makes a product and puts the clock to a moment. pass lets the
// deadline pass where that is the moment.
func (w *world) aroundDeadline(id string) (p *catalog.Product, m moment, pass func() error) {
	p = w.upsert(id, withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
	m = moment(rand.IntN(4))
	distance := map[moment]time.Duration{before: -1, at: 0, after: 1, across: -1}[m] * time.Millisecond
	w.clock.Advance(p.ExpiresAt.Add(distance).Sub(w.now()))
	return p, m, func() error {
		if m == across {
			yield()
			w.clock.Advance(time.Millisecond)
		}
		return nil
	}
}

// TestUseBesideSweep: around the deadline a use and a sweep agree about who was
// first: what was used in time stays, what was not is gone.
func TestUseBesideSweep(t *testing.T) {
	onRaces(t, func(t *testing.T, w *world, id string) {
		p, m, pass := w.aroundDeadline(id)
		var used *catalog.Product
		one, two := w.c(), w.c()
		together(t, pass, sweepOf(t, two), func() (err error) {
			used, err = one.Use(t.Context(), acme, id)
			return ignore(err, catalog.ErrNotFound)
		})
		require.False(t, m == before && used == nil, "refused before the deadline")
		require.False(t, (m == at || m == after) && used != nil, "used after the deadline")
		if used == nil {
			w.requireGone(id)
			return
		}
		require.Equal(t, used, w.get(id))
		require.Equal(t, p.Version(), used.Version())
		w.clock.Advance(2 * time.Millisecond) // past the former deadline
		w.sweep()
		require.Equal(t, used, w.get(id))
	})
}

// TestUpsertBesideSweep: an upsert edits what has not expired and creates
// where something has, and the sweep takes only the old.
func TestUpsertBesideSweep(t *testing.T) {
	onRaces(t, func(t *testing.T, w *world, id string) {
		_, m, pass := w.aroundDeadline(id)
		var res catalog.Result
		one, two := w.c(), w.c()
		together(t, pass, sweepOf(t, two), func() (err error) {
			res, err = one.Upsert(t.Context(), acme, id, withImage(catalog.Patch{Title: catalog.Set("new"), ValidForDays: catalog.Set(2)}))
			return err
		})
		switch m {
		case before:
			require.Equal(t, catalog.Edited, res.Outcome)
		case at, after:
			require.Equal(t, catalog.Created, res.Outcome)
		}
		w.clock.Advance(2 * time.Millisecond)
		w.sweep()
		require.Equal(t, res.Product, w.get(id))
	})
}

// TestUploadBesideDelete: an upload to a product that is deleted is there with
// all its bytes or not at all, and leaves none behind.
func TestUploadBesideDelete(t *testing.T) {
	small, large := pngOf(1, 4, 4), append(pngOf(2, 4, 4), make([]byte, 600<<10)...)
	onRaces(t, func(t *testing.T, w *world, id string) {
		data := small
		if rand.IntN(8) == 0 {
			data = large
		}
		w.upsert(id, catalog.Patch{Images: imagesOf(small)})
		one, two, three := w.c(), w.c(), w.c()
		together(t, sweepOf(t, three),
			func() error {
				_, err := one.Upsert(t.Context(), acme, id, catalog.Patch{Images: imagesOf(data, small)})
				return err
			},
			func() error { return ignore(two.Delete(t.Context(), acme, id), catalog.ErrNotFound) },
		)
		if _, err := w.c().Get(t.Context(), acme, id); err == nil {
			require.True(t, bytes.Equal(data, w.bytesOf(id, 0)))
			require.True(t, bytes.Equal(small, w.bytesOf(id, 1)))
			require.NoError(t, w.c().Delete(t.Context(), acme, id))
		}
		if rand.IntN(20) == 0 {
			w.clock.Advance(time.Minute)
			w.sweepAll()
			require.Empty(t, w.rawKeys(), "left behind")
		}
	})
}
