package catalog_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// A record of which a bit has changed is damaged for every reader, whichever bit it
// is: also where it would only have been another text, or would have had a list
// pass over the product or the sweeper remove it.
func TestChangedRecord(t *testing.T) {
	const fields = 16 // places that are tried, spread over the record
	for i := range fields {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			rng := seededRand(t)
			var log bytes.Buffer
			w := behindGlass(t, catalog.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			w.upsert("p", withImage(catalog.Patch{
				Title: catalog.Set("Red tee"), Description: catalog.Set("Soft cotton"), ValidForDays: catalog.Set(9),
			}))
			w.create("q")
			used := i%2 == 0
			if used {
				w.clock.Advance(time.Minute)
				w.use("p")
				w.folds()
			}
			key := encoding.AppendProductKey(nil, acme, "p")
			var sound, changed []byte
			w.write(func(txn backend.Txn) error {
				_, err := txn.Get(t.Context(), key, func(v []byte) error {
					sound = bytes.Clone(v)
					return nil
				})
				require.NoError(t, err)
				changed = bytes.Clone(sound)
				// Behind the schema: what is newer is not damaged.
				at := 4 + (len(sound)-4)*i/fields + rng.IntN((len(sound)-4)/fields)
				changed[at] ^= 1 << rng.IntN(8)
				return txn.Put(key, changed)
			})
			refused := func(what string, err error) {
				t.Helper()
				require.ErrorIs(t, err, catalog.ErrDamaged, what)
			}
			ctx := t.Context()
			for range 2 { // nor was it kept in the cache
				_, err := w.c().Get(ctx, acme, "p")
				refused("get", err)
			}
			require.ErrorIs(t, w.c().Damage(), catalog.ErrDamaged)
			_, err := w.c().Use(ctx, acme, "p")
			refused("use", err)
			_, err = w.c().Touch(ctx, acme, "p")
			refused("touch", err)
			_, err = w.c().Upsert(ctx, acme, "p", catalog.Patch{Title: catalog.Set("x")})
			refused("upsert", err)
			_, err = w.c().List(ctx, acme, catalog.ListOptions{})
			refused("list", err)
			var named *catalog.DamageError
			require.ErrorAs(t, err, &named)
			require.Equal(t, "p", named.ExternalID)
			page, err := w.c().List(ctx, acme, catalog.ListOptions{PastDamage: true})
			require.NoError(t, err)
			require.Len(t, page.Products, 1)
			require.Len(t, page.Damaged, 1)
			results := w.c().UpsertMany(ctx, acme, []catalog.UpsertItem{
				{ExternalID: "p", Patch: catalog.Patch{Title: catalog.Set("x")}}, {ExternalID: "q", Patch: catalog.Patch{Title: catalog.Set("x")}},
			})
			refused("one of many", results[0].Err)
			require.NoError(t, results[1].Err)

			report, err := w.c().Check(ctx)
			require.NoError(t, err)
			require.NotEmpty(t, report.Problems)
			for _, p := range report.Problems {
				require.Equal(t, "p", p.ExternalID)
			}
			to := memory.New(nil)
			salvaged, err := catalog.Salvage(ctx, w.store.Handle(), to, catalog.SalvageOptions{})
			require.NoError(t, err)
			require.Equal(t, 1, salvaged.Products)
			require.Len(t, salvaged.Lost, 1)
			require.Equal(t, "p", salvaged.Lost[0].ExternalID)

			// Its entry says what there is to remove, unless it was used since.
			w.clock.Advance(10 * day)
			if used {
				w.sweep()
				require.Contains(t, log.String(), "could not read what has expired")
				_, err = w.c().Get(ctx, acme, "p")
				refused("get when the entry was due", err)
				w.write(func(txn backend.Txn) error { return txn.Put(key, sound) })
				w.clock.Advance(time.Hour)
			}
			w.sweep()
			w.requireStored(1, 0)
			w.requireGone("p")
		})
	}
}
