package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// engineFaults fails one call of the engine or of one of its transactions: the
// nth since it was armed.
type engineFaults struct {
	left atomic.Int64 // calls up to the one that fails; 0 or less: none will
	hit  atomic.Bool
}

var errEngine = errors.New("the engine failed")

func (f *engineFaults) arm(n int64) {
	f.hit.Store(false)
	f.left.Store(n)
}

func (f *engineFaults) fault() error {
	if f.left.Load() > 0 && f.left.Add(-1) == 0 {
		f.hit.Store(true)
		return errEngine
	}
	return nil
}

// faultyReader is what the engine, its snapshots and transactions have in
// common.
type faultyReader struct {
	r backend.Reader
	f *engineFaults
}

func (r faultyReader) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	if err := r.f.fault(); err != nil {
		return false, err
	}
	return r.r.Get(ctx, key, fn)
}

func (r faultyReader) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	if err := r.f.fault(); err != nil {
		return err
	}
	return r.r.GetMany(ctx, keys, fn)
}

func (r faultyReader) Scan(ctx context.Context, rng backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		for e, err := range r.r.Scan(ctx, rng, o) {
			if fault := r.f.fault(); fault != nil {
				e, err = backend.Entry{}, fault
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

type faultyEngine struct {
	backend.Backend
	faultyReader
}

func (b faultyEngine) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	return b.faultyReader.Get(ctx, key, fn)
}

func (b faultyEngine) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	return b.faultyReader.GetMany(ctx, keys, fn)
}

func (b faultyEngine) Scan(ctx context.Context, rng backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return b.faultyReader.Scan(ctx, rng, o)
}

func (b faultyEngine) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if err := b.f.fault(); err != nil {
		return err
	}
	return b.Backend.Update(ctx, scopes, o, func(ctx context.Context, txn backend.Txn) error {
		return fn(ctx, faultyTxn{txn, faultyReader{txn, b.f}})
	})
}

func (b faultyEngine) Durable(ctx context.Context, scopes []backend.Scope) error {
	if err := b.f.fault(); err != nil {
		return err
	}
	return b.Backend.Durable(ctx, scopes)
}

func (b faultyEngine) Snapshot(ctx context.Context) (backend.Snapshot, error) {
	if err := b.f.fault(); err != nil {
		return nil, err
	}
	s, err := b.Backend.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return faultySnapshot{s, faultyReader{s, b.f}}, nil
}

func (b faultyEngine) Size(ctx context.Context, r backend.Range) (int64, error) {
	if err := b.f.fault(); err != nil {
		return 0, err
	}
	return b.Backend.Size(ctx, r)
}

type faultySnapshot struct {
	closer interface{ Close() error }
	faultyReader
}

func (s faultySnapshot) Close() error { return s.closer.Close() }

type faultyTxn struct {
	txn backend.Txn
	faultyReader
}

func (t faultyTxn) Put(key, value []byte) error {
	if err := t.f.fault(); err != nil {
		return err
	}
	return t.txn.Put(key, value)
}

func (t faultyTxn) Delete(key []byte, size int) error {
	if err := t.f.fault(); err != nil {
		return err
	}
	return t.txn.Delete(key, size)
}

func (t faultyTxn) DeleteRange(r backend.Range) error {
	if err := t.f.fault(); err != nil {
		return err
	}
	return t.txn.DeleteRange(r)
}

func (t faultyTxn) OnVisible(fn func()) { t.txn.OnVisible(fn) }

// contract 7: whichever call of the engine fails, the operation on top of it
// fails with that error and has changed nothing, in the store or in what the
// catalog remembers; done again it works.
func TestEngineFaults(t *testing.T) {
	small, large := smallImage, chunkImage // inline, and staged in chunks
	days := catalog.Set(9)
	type step struct {
		name string
		do   func(ctx context.Context, c *catalog.Catalog) error
		// steps is set if the operation takes several steps: those before the
		// failing one stay.
		steps bool
	}
	upsert := func(id string, patch func() catalog.Patch) func(context.Context, *catalog.Catalog) error {
		return func(ctx context.Context, c *catalog.Catalog) error {
			_, err := c.Upsert(ctx, acme, id, patch())
			return err
		}
	}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		if w.handles > 1 {
			t.Skip("such a store runs callbacks again, also those that failed")
		}
		var f engineFaults
		var engine backend.Backend
		w.decorate(func(b backend.Backend) backend.Backend {
			engine = b
			return faultyEngine{b, faultyReader{b, &f}}
		})
		var staged catalog.StagedImage
		for _, s := range []step{
			{name: "create", do: upsert("p", func() catalog.Patch {
				return catalog.Patch{ValidForDays: days, Images: imagesOf(small, large)}
			})},
			{name: "edit", do: upsert("p", func() catalog.Patch { return catalog.Patch{Title: catalog.Set("t")} })},
			{name: "replace the images", do: upsert("p", func() catalog.Patch { return catalog.Patch{Images: imagesOf(large, small)} })},
			{name: "stage", do: func(ctx context.Context, c *catalog.Catalog) (err error) {
				staged, err = c.StageImage(ctx, acme, bytes.NewReader(large))
				return err
			}},
			{name: "claim", do: func(ctx context.Context, c *catalog.Catalog) error {
				_, err := c.Upsert(ctx, acme, "claimed", catalog.Patch{ValidForDays: days,
					Images: catalog.Set([]catalog.NewImage{{Staged: staged.Ref}, {URL: "https://a.example"}})})
				return err
			}},
			{name: "inline", do: func(ctx context.Context, c *catalog.Catalog) error {
				_, err := c.UpsertInline(ctx, acme, "inline", withImage(catalog.Patch{}))
				return err
			}},
			{name: "one-shot", do: func(ctx context.Context, c *catalog.Catalog) error {
				_, err := c.CreateOneShot(ctx, acme, withImage(catalog.Patch{}))
				return err
			}},
			{name: "many", do: func(ctx context.Context, c *catalog.Catalog) error {
				var items []catalog.UpsertItem
				for i := range 20 {
					items = append(items, catalog.UpsertItem{ExternalID: fmt.Sprint("many", i), Patch: withImage(catalog.Patch{ValidForDays: days})})
				}
				for _, r := range c.UpsertMany(ctx, acme, items) {
					if r.Err != nil {
						return r.Err
					}
				}
				return nil
			}},
			{name: "use", do: func(ctx context.Context, c *catalog.Catalog) error {
				_, err := c.Use(ctx, acme, "claimed")
				return err
			}},
			{name: "touch", do: func(ctx context.Context, c *catalog.Catalog) error {
				_, err := c.Touch(ctx, acme, "claimed")
				return err
			}},
			{name: "get", do: func(ctx context.Context, c *catalog.Catalog) error {
				_, err := c.Get(ctx, acme, "p")
				return err
			}},
			{name: "list", do: func(ctx context.Context, c *catalog.Catalog) error {
				_, err := c.List(ctx, acme, catalog.ListOptions{Unlisted: true})
				return err
			}},
			{name: "all", do: func(ctx context.Context, c *catalog.Catalog) error {
				for _, err := range c.All(ctx, acme, catalog.AllOptions{}) {
					if err != nil {
						return err
					}
				}
				return nil
			}},
			{name: "read an image", do: func(ctx context.Context, c *catalog.Catalog) error {
				r, err := c.OpenImage(ctx, acme, "p", 0)
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, r)
				return err
			}},
			{name: "stats", do: func(ctx context.Context, c *catalog.Catalog) error {
				_, err := c.Stats(ctx, acme)
				return err
			}},
			{name: "store stats", do: func(ctx context.Context, c *catalog.Catalog) error {
				_, err := c.StoreStats(ctx)
				return err
			}},
			{name: "check", do: func(ctx context.Context, c *catalog.Catalog) error {
				_, err := c.Check(ctx)
				return err
			}},
			{name: "delete", do: func(ctx context.Context, c *catalog.Catalog) error { return c.Delete(ctx, acme, "p") }},
			{name: "sweep", steps: true, do: func(ctx context.Context, c *catalog.Catalog) error {
				_, err := c.Sweep(ctx)
				return err
			}},
			{name: "delete the account", steps: true, do: func(ctx context.Context, c *catalog.Catalog) error {
				_, err := c.DeleteAccount(ctx, acme)
				return err
			}},
		} {
			switch s.name {
			case "sweep":
				w.clock.Advance(8 * day) // the one-shots, and what Delete has released
			case "delete the account":
				w.upsert("damaged", catalog.Patch{ValidForDays: days, Images: imagesOf(small)})
				w.write(func(txn backend.Txn) error {
					return txn.Put(encoding.AppendProductKey(nil, acme, "damaged"), []byte("no record"))
				})
			}
			c, failed := w.c(), 0
			for n := int64(1); ; n += faultRaceFactor {
				before := stateOf(t, engine, c)
				f.arm(n)
				err := s.do(t.Context(), c)
				f.left.Store(0)
				if !f.hit.Load() {
					require.NoError(t, err, s.name)
					t.Logf("%s: failed %d times", s.name, failed)
					break
				}
				failed++
				if err == nil && s.steps {
					continue // it was the background's
				}
				require.ErrorIs(t, err, errEngine, "%s, call %d", s.name, n)
				if !s.steps && !errors.Is(err, catalog.ErrUnknownOutcome) {
					require.Equal(t, before, stateOf(t, engine, c), "%s, call %d", s.name, n)
				}
			}
		}
		for range 2 {
			w.clock.Advance(20 * day)
			w.sweepAll()
		}
		require.Empty(t, w.rawKeys())
	})
}

// stateOf returns all that is stored, the meta space left out, and the products
// as the catalog shows them.
func stateOf(t *testing.T, engine backend.Backend, c *catalog.Catalog) (all []string) {
	t.Helper()
	for e, err := range engine.Scan(t.Context(), backend.Range{}, backend.ScanOptions{}) {
		require.NoError(t, err)
		if e.Key[0] != encoding.SpaceMeta {
			all = append(all, string(e.Key)+string(e.Value))
		}
	}
	for p, err := range c.All(t.Context(), acme, catalog.AllOptions{Unlisted: true}) {
		if !errors.Is(err, encoding.ErrCorrupt) {
			require.NoError(t, err)
			all = append(all, string(p.AppendJSON(nil)))
		}
	}
	return all
}
