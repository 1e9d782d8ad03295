package catalog_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// TestReclaimErases: after Reclaim no file of an open store holds anything of a
// product that was deleted or has expired, also where its ID was used again; what
// lives is there.
func TestReclaimErases(t *testing.T) {
	mark := func(what string, i int) string {
		return fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, what, i)))[:24]
	}
	fields := []string{"title", "description", "metadata", "url", "image"}
	patch := func(i int) catalog.Patch {
		image := append(noise(i, 60_000), mark("image", i)...)
		return catalog.Patch{
			Title: catalog.Set(mark("title", i)), Description: catalog.Set(mark("description", i)),
			Metadata: catalog.Set(json.RawMessage(fmt.Sprintf("%q", mark("metadata", i)))),
			Images: catalog.Set([]catalog.NewImage{
				{URL: "https://cdn.example/" + mark("url", i)}, {Upload: catalog.NewUpload(bytes.NewReader(image))},
			}),
			ValidForDays: catalog.Set(30),
		}
	}
	const gone, all = 12, 40
	again := catalog.Patch{Title: catalog.Set("again"), Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/again"}})}
	for name, remove := range map[string]func(t *testing.T, c *catalog.Catalog, clock *ttl.ManualClock, id string){
		"deleted": func(t *testing.T, c *catalog.Catalog, _ *ttl.ManualClock, id string) {
			require.NoError(t, c.Delete(t.Context(), acme, id))
		},
		"deleted and created again": func(t *testing.T, c *catalog.Catalog, _ *ttl.ManualClock, id string) {
			require.NoError(t, c.Delete(t.Context(), acme, id))
			_, err := c.Upsert(t.Context(), acme, id, again)
			require.NoError(t, err)
		},
		"expired": func(t *testing.T, c *catalog.Catalog, _ *ttl.ManualClock, id string) {
			_, err := c.Upsert(t.Context(), acme, id, catalog.Patch{ValidForDays: catalog.Set(1)})
			require.NoError(t, err)
		},
		"expired and created again": func(t *testing.T, c *catalog.Catalog, clock *ttl.ManualClock, id string) {
			_, err := c.Upsert(t.Context(), acme, id, catalog.Patch{ValidForDays: catalog.Set(1)})
			require.NoError(t, err)
			clock.Advance(25 * time.Hour)
			res, err := c.Upsert(t.Context(), acme, id, again)
			require.NoError(t, err)
			require.Equal(t, catalog.Created, res.Outcome)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, clock := t.TempDir(), ttl.NewManualClock(epoch)
			open := func() *catalog.Catalog {
				b, err := pebble.Open(t.Context(), dir, &pebble.Options{MemTableSize: 1 << 20, DiskReserve: -1})
				require.NoError(t, err)
				c, err := catalog.Open(t.Context(), b, &catalog.Options{Clock: clock})
				require.NoError(t, err)
				return c
			}
			c := open()
			for i := range all {
				_, err := c.Upsert(t.Context(), acme, fmt.Sprint(i), patch(i))
				require.NoError(t, err)
			}
			require.NoError(t, c.Reclaim(t.Context()))
			require.NoError(t, c.Close()) // all of it is in tables
			found := func(from, to int) (n int) {
				entries, err := os.ReadDir(dir)
				require.NoError(t, err)
				for _, e := range entries {
					data, err := os.ReadFile(filepath.Join(dir, e.Name()))
					if !os.IsNotExist(err) {
						require.NoError(t, err)
					}
					for i := from; i < to; i++ {
						for _, f := range fields {
							n += bytes.Count(data, []byte(mark(f, i)))
						}
					}
				}
				return n
			}
			require.Greater(t, found(0, gone), gone*len(fields)*3/4, "few of them are compressed")

			c = open()
			for i := range gone {
				remove(t, c, clock, fmt.Sprint(i))
			}
			clock.Advance(25 * time.Hour)
			_, err := c.Sweep(t.Context())
			require.NoError(t, err)
			clock.Advance(time.Hour) // the images' grace
			require.NoError(t, c.Reclaim(t.Context()))
			require.Zero(t, found(0, gone))
			require.Greater(t, found(gone, all), (all-gone)*len(fields)*3/4)
			report, err := c.Check(t.Context())
			require.NoError(t, err)
			require.Empty(t, report.Problems)
			require.NoError(t, c.Close())
			require.Zero(t, found(0, gone))
		})
	}
}
