package catalog_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// TestSalvage flips bits in every table and file of images of a store. What is
// copied is right, what is not is listed, and the new store is sound.
func TestSalvage(t *testing.T) {
	const seed = 3
	times := 8
	if testing.Short() {
		times = 3
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	d := makeDamaged(t)
	truth := d.states[len(d.states)-1]
	some := 0
	for _, name := range d.files(t) {
		if !strings.HasSuffix(name, ".sst") && !strings.HasSuffix(name, ".blob") {
			continue
		}
		data := contentOf(t, d.disk, d.disk.PathJoin("db", name))
		for range times {
			at := rng.IntN(len(data))
			changed := bytes.Clone(data)
			changed[at] ^= 1 << rng.IntN(8)
			what := fmt.Sprintf("seed %d: %s, byte %d of %d", seed, name, at, len(data))
			from, err := pebble.Open(t.Context(), "db", &pebble.Options{FS: d.with(t, name, changed)})
			if err != nil {
				continue // refused as a whole
			}
			to := memory.New(nil)
			report, err := catalog.Salvage(t.Context(), from, to, catalog.SalvageOptions{})
			require.NoError(t, err, what)
			require.NoError(t, from.Close())
			c, err := catalog.Open(t.Context(), to, &catalog.Options{Clock: ttl.NewManualClock(epoch)})
			require.NoError(t, err, what)
			found, failed := readContent(t, c, d.ids)
			require.Empty(t, failed, what)
			checked, err := c.Check(t.Context())
			require.NoError(t, err, what)
			require.True(t, checked.Sound(), "%s: %v", what, checked.Problems)
			require.Equal(t, report.Products, checked.Products, what)
			copied := 0
			for _, id := range d.ids {
				listed := slices.ContainsFunc(report.Lost, func(p catalog.Problem) bool { return p.ExternalID == id || p.ExternalID == "" })
				switch text, ok := found[id]; {
				case ok && text == truth[id]:
					copied++
				case truth[id] == "":
					require.False(t, ok, "%s: %s was deleted", what, id)
				default: // lost, or copied without an image
					require.True(t, listed, "%s: %s is not listed: %v", what, id, report.Lost)
				}
			}
			if 0 < copied && len(report.Lost) > 0 {
				some++
			}
			if len(report.Lost) == 0 {
				require.Equal(t, truth, found, what)
			}
			require.NoError(t, c.Close())
		}
	}
	require.Positive(t, some, "nothing was lost and something kept")
}

// Salvage copies into an empty store alone.
func TestSalvageIntoAStore(t *testing.T) {
	disk := vfs.NewMem()
	c, err := openOn(disk, ttl.NewManualClock(epoch), catalog.Options{})
	require.NoError(t, err)
	require.NoError(t, c.Close())
	to, err := pebble.Open(t.Context(), "db", &pebble.Options{FS: disk})
	require.NoError(t, err)
	_, err = catalog.Salvage(t.Context(), memory.New(nil), to, catalog.SalvageOptions{})
	require.ErrorContains(t, err, "not empty")
	require.NoError(t, to.Close())
}
