package catalog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// contract 3: concurrent upserts of one product never lose an update: fields
// that each writer alone sets all arrive.
func TestConcurrentUpsertsOfDifferentFields(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		const rounds = 30
		w.create("a")
		writers := []func(i int) catalog.Patch{
			func(i int) catalog.Patch { return catalog.Patch{Title: catalog.Set(fmt.Sprint(i))} },
			func(i int) catalog.Patch { return catalog.Patch{Description: catalog.Set(fmt.Sprint(i))} },
			func(i int) catalog.Patch { return catalog.Patch{Metadata: catalog.Set(json.RawMessage(fmt.Sprint(i)))} },
			func(i int) catalog.Patch { return catalog.Patch{ValidForDays: catalog.Set(i)} },
			func(i int) catalog.Patch {
				return catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: fmt.Sprintf("https://a.example/%d", i)}})}
			},
		}
		var running sync.WaitGroup
		for _, patch := range writers {
			c := w.c()
			running.Go(func() {
				for i := 1; i <= rounds; i++ {
					if _, err := c.Upsert(t.Context(), acme, "a", patch(i)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 2 { // uses must not take anything along either
			c := w.c()
			running.Go(func() {
				for range rounds {
					if _, err := c.Use(t.Context(), acme, "a"); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		running.Wait()
		for range w.handles {
			p := w.get("a")
			last := fmt.Sprint(rounds)
			require.Equal(t, last, p.Title)
			require.Equal(t, last, p.Description)
			require.Equal(t, last, string(p.Metadata))
			require.Equal(t, rounds, p.ValidForDays)
			require.Equal(t, "https://a.example/"+last, p.Images[0].SourceURL)
		}
	})
}

// contract 3: read, change, write back under IfVersion loses nothing either.
func TestConcurrentUpsertsUnderConditions(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		const writers, rounds = 6, 8
		w.upsert("a", withImage(catalog.Patch{Metadata: catalog.Set(json.RawMessage(`[]`))}))
		versions := make(chan catalog.Version, writers*rounds)
		increment := func(c *catalog.Catalog, name string) error {
			for {
				p, err := c.Get(t.Context(), acme, "a")
				if err != nil {
					return err
				}
				var list []string
				if err := json.Unmarshal(p.Metadata, &list); err != nil {
					return err
				}
				raw, err := json.Marshal(append(list, name))
				if err != nil {
					return err
				}
				res, err := c.Upsert(t.Context(), acme, "a", catalog.Patch{Metadata: catalog.Set[json.RawMessage](raw)}, catalog.IfVersion(p.Version()))
				if err == nil {
					versions <- res.Product.Version()
				}
				if !errors.Is(err, catalog.ErrPreconditionFailed) {
					return err
				}
			}
		}
		var running sync.WaitGroup
		want := []string{}
		for i := range writers {
			c := w.c()
			for j := range rounds {
				want = append(want, fmt.Sprintf("%d.%d", i, j))
			}
			running.Go(func() {
				for j := range rounds {
					if err := increment(c, fmt.Sprintf("%d.%d", i, j)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		running.Wait()
		var got []string
		require.NoError(t, json.Unmarshal(w.get("a").Metadata, &got))
		require.ElementsMatch(t, want, got)
		seen := map[catalog.Version]bool{}
		for range writers * rounds {
			v := <-versions
			require.False(t, seen[v], "a version names two edits")
			seen[v] = true
		}
	})
}

// contract 7: of many that create only, one creates.
func TestConcurrentCreation(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		const creators, rounds = 6, 5
		for round := range rounds {
			id := fmt.Sprint(round)
			outcomes := make(chan catalog.Outcome, 2*creators)
			failures := make(chan error, 2*creators)
			for i := range 2 * creators {
				c := w.c()
				conds := []catalog.Condition{catalog.CreateOnly()}
				if round%2 == 1 {
					conds = nil // the others edit
				}
				go func() {
					res, err := c.Upsert(t.Context(), acme, id, withImage(catalog.Patch{Title: catalog.Set(fmt.Sprint(i))}), conds...)
					outcomes <- res.Outcome
					failures <- err
				}()
			}
			created := 0
			for range 2 * creators {
				if err := <-failures; err != nil {
					require.ErrorIs(t, err, catalog.ErrPreconditionFailed)
				}
				if <-outcomes == catalog.Created {
					created++
				}
			}
			require.Equal(t, 1, created)
		}
	})
}

// Creating, deleting and editing at once leaves either a whole product or
// none.
func TestConcurrentCreationAndDeletion(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		const rounds = 15
		var running sync.WaitGroup
		for i := range 3 {
			c := w.c()
			running.Go(func() {
				for j := range rounds {
					p := uploads(pngOf(uint64(i*rounds+j), 3, 3))
					p.Title = catalog.Set("whole")
					if _, err := c.Upsert(t.Context(), acme, "a", p); err != nil {
						t.Error(err)
					}
				}
			})
			running.Go(func() {
				for range rounds {
					if err := c.Delete(t.Context(), acme, "a"); err != nil && !errors.Is(err, catalog.ErrNotFound) {
						t.Error(err)
					}
				}
			})
		}
		running.Wait()
		w.check()
		p, err := w.c().Get(t.Context(), acme, "a")
		if err != nil {
			require.ErrorIs(t, err, catalog.ErrNotFound)
			w.requireStored(0, 0)
			return
		}
		require.Equal(t, "whole", p.Title)
		w.requireStored(1, 1)
	})
}
