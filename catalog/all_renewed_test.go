package catalog_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// contract 6: All yields the products as they were when it began, whose uses
// are those of now: an edit of a product that was renewed behind the loop,
// beyond the deadline that the loop's state shows, is not to be seen.
func TestAllYieldsItsStateOfARenewedProduct(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.create("a")
		before := w.upsert("b", withImage(catalog.Patch{Title: catalog.Set("old"), ValidForDays: catalog.Set(1)}))
		w.clock.Advance(day - time.Second)
		var used, last *catalog.Product
		for p, err := range w.c().All(t.Context(), acme, catalog.AllOptions{}) {
			require.NoError(t, err)
			if last = p; p.ExternalID != "a" {
				continue
			}
			w.upsert("b", catalog.Patch{Title: catalog.Set("new"), Images: imagesOf(smallImage)})
			used = w.use("b") // near the deadline: written at once
			require.Equal(t, "new", used.Title)
			w.clock.Advance(time.Hour)
		}
		want := *before
		want.LastUsedAt, want.ExpiresAt = used.LastUsedAt, used.ExpiresAt
		require.Equal(t, &want, last)
		require.Equal(t, used, w.get("b"))
	})
}

// What an edit behind the loop keeps from expiring is as the edit left it, and
// no mixture of two states.
func TestAllYieldsWhatAnEditProlonged(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for name, patch := range map[string]catalog.Patch{
			"longer":  {Title: catalog.Set("new"), ValidForDays: catalog.Set(30)},
			"forever": {Title: catalog.Set("new"), ValidForDays: catalog.Null[int]()},
			"again":   {Title: catalog.Set("new"), ValidForDays: catalog.Set(1)},
			"renewed": {ValidForDays: catalog.Set(1)},
		} {
			w.create("a")
			w.upsert("b", withImage(catalog.Patch{Title: catalog.Set("old"), ValidForDays: catalog.Set(1)}))
			w.clock.Advance(day - time.Second)
			var edited, last *catalog.Product
			for p, err := range w.c().All(t.Context(), acme, catalog.AllOptions{}) {
				require.NoError(t, err)
				if last = p; p.ExternalID == "a" {
					edited = w.upsert("b", patch)
					w.clock.Advance(2 * time.Second)
				}
			}
			require.Equal(t, edited, last, name)
		}
	})
}

// tickingClock moves by a millisecond at each reading while it ticks.
type tickingClock struct {
	*ttl.ManualClock
	ticks atomic.Bool
}

func (c *tickingClock) Now() time.Time {
	if c.ticks.Load() {
		c.ManualClock.Advance(time.Millisecond)
	}
	return c.ManualClock.Now()
}

// contract 7: Stats is exact: what expires together counts together.
func TestStatsOfOneInstant(t *testing.T) {
	ctx := t.Context()
	for ahead := range 20 * time.Millisecond / time.Millisecond {
		clock := &tickingClock{ManualClock: ttl.NewManualClock(epoch)}
		c, err := catalog.Open(ctx, memory.New(nil), &catalog.Options{Clock: clock})
		require.NoError(t, err)
		items := make([]catalog.UpsertItem, 10)
		for i := range items {
			items[i] = catalog.UpsertItem{ExternalID: fmt.Sprint(i), Patch: withImage(catalog.Patch{ValidForDays: catalog.Set(1)})}
		}
		for _, r := range c.UpsertMany(ctx, acme, items) {
			require.NoError(t, r.Err)
		}
		clock.Advance(day - ahead*time.Millisecond)
		clock.ticks.Store(true)
		stats, err := c.Stats(ctx, acme)
		clock.ticks.Store(false)
		require.NoError(t, err)
		require.Contains(t, []int{0, len(items)}, stats.Products)
		require.NoError(t, c.Close())
	}
}
