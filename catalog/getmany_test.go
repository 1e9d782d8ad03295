package catalog_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// Many products are read as each alone, nil where none lives, in the order and as
// often as they are asked for.
func TestGetMany(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		var ids []string
		for i, p := range corpus()[:12] {
			ids = append(ids, fmt.Sprint(i))
			w.upsert(ids[i], p)
		}
		w.createFor("gone", 1)
		w.createFor("used", 1)
		w.clock.Advance(day - time.Hour)
		w.use("used")
		w.clock.Advance(time.Hour)
		ids = append(ids, "none", "gone", "used", ids[3], "used")
		for range 3 { // the third is of the cache, where there is one
			got, err := w.c().GetMany(ctx, acme, ids)
			require.NoError(t, err)
			require.Len(t, got, len(ids))
			for i, id := range ids {
				if id == "none" || id == "gone" {
					require.Nil(t, got[i], id)
					continue
				}
				require.Equal(t, w.get(id), got[i], id)
			}
			// Each is the caller's.
			last := len(ids) - 1
			require.NotSame(t, got[last], got[last-2])
			for _, p := range got {
				if p != nil {
					clear(p.Metadata)
					clear(p.Images)
				}
			}
		}
		got, err := w.c().GetMany(ctx, acme, nil)
		require.NoError(t, err)
		require.Empty(t, got)
		got, err = w.c().GetMany(ctx, "other", ids[:1])
		require.NoError(t, err)
		require.Equal(t, []*catalog.Product{nil}, got)
		_, err = w.c().GetMany(ctx, acme, []string{"0", "", "1", ".."})
		requireFaults(t, err, map[string]catalog.Code{
			"externalIds.1": catalog.CodeExternalIDRequired, "externalIds.3": catalog.CodeValidationFailed,
		})
		_, err = w.c().GetMany(ctx, acme, slices.Repeat([]string{"0"}, 201))
		requireFaults(t, err, map[string]catalog.Code{"externalIds": catalog.CodeValidationFailed})
		got, err = w.c().GetMany(ctx, acme, slices.Repeat([]string{"0"}, 200))
		require.NoError(t, err)
		require.Len(t, got, 200)
	})
}

// GetMany reads the store once.
func TestGetManyIsOneRead(t *testing.T) {
	w := memoryWorld(t)
	p := w.watch()
	for i := range 20 {
		w.create(fmt.Sprint(i))
	}
	p.reset()
	_, err := w.c().GetMany(t.Context(), acme, []string{"3", "4", "none", "5"})
	require.NoError(t, err)
	require.EqualValues(t, 1, p.getManys.Load())
	require.EqualValues(t, 4, p.gets.Load())
}
