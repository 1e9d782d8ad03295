package catalog_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// contract 4: expired products and their bytes leave nothing behind: only meta
// keys are left in the store, whatever the products went through.
func TestSweepsLeaveNothing(t *testing.T) {
	small, large := pngOf(1, 8, 8), pngOf(2, 700, 700) // inline, and staged in chunks
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		days := catalog.Set(1)
		for i := range 150 { // several batches
			w.createFor(fmt.Sprint("plain", i), 1)
		}
		w.upsert("bytes", catalog.Patch{ValidForDays: days, Images: imagesOf(small, large, small)})
		w.upsert("replaced", catalog.Patch{ValidForDays: days, Images: imagesOf(large)})
		w.upsert("replaced", catalog.Patch{Images: imagesOf(small)})
		w.upsert("deleted", catalog.Patch{Images: imagesOf(small, large)})
		require.NoError(t, w.c().Delete(ctx, acme, "deleted"))
		_, err := w.c().StageImage(ctx, acme, bytes.NewReader(large))
		require.NoError(t, err)
		_, err = w.c().CreateOneShot(ctx, acme, catalog.Patch{Images: imagesOf(large), ValidForDays: days})
		require.NoError(t, err)
		w.upsert("renewed", catalog.Patch{ValidForDays: days, Images: imagesOf(small)})
		w.createInline("inline")
		w.upsert("shortened", withImage(catalog.Patch{ValidForDays: catalog.Set(300)}))
		w.upsert("shortened", withImage(catalog.Patch{ValidForDays: days}))
		w.upsert("forever", withImage(catalog.Patch{ValidForDays: days}))
		w.upsert("forever", withImage(catalog.Patch{ValidForDays: catalog.Null[int]()}))
		w.upsert("forever", withImage(catalog.Patch{ValidForDays: days}))
		for range 3 {
			w.clock.Advance(20 * time.Hour)
			w.use("renewed")
			w.upsert("bytes", catalog.Patch{ValidForDays: days})
			w.sweepAll()
		}
		w.clock.Advance(day)
		w.upsert("bytes", catalog.Patch{ValidForDays: days, Images: imagesOf(small)}) // over an expired one
		for range 2 {                                                                 // the products, then their bytes
			w.clock.Advance(20 * day)
			w.sweepAll()
		}
		require.Empty(t, w.rawKeys())
		stats, err := w.c().Stats(ctx, acme)
		require.NoError(t, err)
		require.Zero(t, stats)
	})
}

// contract 4: the background does it without being asked.
func TestBackgroundSweeps(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	for i := range 100 {
		w.createFor(fmt.Sprint(i), 1)
	}
	w.upsert("p", catalog.Patch{ValidForDays: catalog.Set(1), Images: imagesOf(pngOf(1, 600, 600))})
	w.clock.Advance(day)
	count := func() (n int) {
		for e, err := range w.store.Scan(t.Context(), backend.Range{}, backend.ScanOptions{KeysOnly: true}) {
			require.NoError(t, err)
			if e.Key[0] != encoding.SpaceMeta {
				n++
			}
		}
		return n
	}
	for count() > 0 {
		nudge(w.clock, time.Second)
	}
}

// contract 4: image bytes stay for a grace for their readers, 15 minutes by
// default; contract 5: a reader reads to its end what it opened, and fails
// with a typed error once the bytes are gone, never with other bytes.
func TestImageGrace(t *testing.T) {
	was, other := pngOf(3, 600, 600), pngOf(9, 600, 600) // more chunks each than are read ahead
	ends := map[string]func(w *world){
		"replaced": func(w *world) { w.upsert("p", catalog.Patch{Images: imagesOf(other)}) },
		"by URL":   func(w *world) { w.create("p") },
		"deleted":  func(w *world) { require.NoError(w.t, w.c().Delete(w.t.Context(), acme, "p")) },
		"account": func(w *world) {
			_, err := w.c().DeleteAccount(w.t.Context(), acme)
			require.NoError(w.t, err)
		},
		"expired": func(w *world) {
			// The deadline passes within sweepAll, so that the background can't
			// be ahead of it by the minutes that it takes.
			w.clock.Advance(day - time.Minute)
			w.sweepAll()
		},
		"replaced after expiry": func(w *world) {
			w.clock.Advance(day)
			w.create("p")
		},
	}
	for _, test := range []struct {
		set, grace time.Duration
	}{{0, 15 * time.Minute}, {time.Hour, time.Hour}} {
		configure := func(o *catalog.Options) { o.ImageGrace = test.set }
		t.Run(fmt.Sprint(test.grace), func(t *testing.T) {
			onEveryStore(t, configure, func(t *testing.T, w *world) {
				for name, end := range ends {
					w.upsert("p", catalog.Patch{ValidForDays: catalog.Set(1), Images: imagesOf(was)})
					open := func() *catalog.ImageReader {
						r, err := w.c().OpenImage(t.Context(), acme, "p", 0)
						require.NoError(t, err)
						return r
					}
					fresh, begun := open(), open()
					_, err := io.ReadFull(begun, make([]byte, 100))
					require.NoError(t, err)

					end(w)
					// sweepAll takes two minutes itself.
					w.clock.Advance(test.grace - 2*time.Minute - tick)
					w.sweepAll()
					got, err := io.ReadAll(fresh)
					require.NoError(t, err, name)
					require.True(t, bytes.Equal(was, got), name)

					w.clock.Advance(time.Minute)
					w.sweepAll()
					got, err = io.ReadAll(begun)
					require.ErrorIs(t, err, catalog.ErrImageGone, name)
					require.True(t, bytes.HasPrefix(was[100:], got), "%s: other bytes", name)
					_, err = fresh.Seek(0, io.SeekStart)
					require.NoError(t, err)
					_, err = fresh.Read(make([]byte, 1))
					require.ErrorIs(t, err, catalog.ErrImageGone, name)
					require.NotErrorIs(t, err, catalog.ErrNotFound)
					_ = w.c().Delete(t.Context(), acme, "p")
				}
				w.clock.Advance(2 * day)
				w.sweepAll()
				require.Empty(t, w.rawKeys())
			})
		})
	}
}

// contract 4: a product that is used lives on, and the sweeper moves its entry
// instead of removing it, also while the use is still pending.
func TestSweepMovesEntriesOfUsedProducts(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.upsert("p", catalog.Patch{ValidForDays: catalog.Set(1), Images: imagesOf(pngOf(1, 5, 5))})
		for range 10 {
			w.clock.Advance(23 * time.Hour)
			used := w.use("p")
			w.sweepAll()
			require.Equal(t, used, w.get("p"))
			report := w.soundReport()
			require.Equal(t, 1, report.Products)
			require.Equal(t, 1, report.Entries, "one entry, the current one")
			require.Zero(t, report.Stale)
		}
	})
}

func (w *world) soundReport() catalog.CheckReport {
	w.t.Helper()
	report, err := w.c().Check(w.t.Context())
	require.NoError(w.t, err)
	require.Empty(w.t, report.Problems)
	return report
}

// contract 4: a pending use keeps the sweeper from removing what it renewed,
// though the record alone has expired.
func TestSweepSeesPendingUses(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	w.createFor("p", 1)
	w.blockFolds()
	w.clock.Advance(day - 11*time.Second)
	used := w.use("p")
	require.Equal(t, 1, w.pending())
	w.clock.Advance(time.Hour)
	w.sweep()
	require.Equal(t, used, w.get("p"))
	require.Equal(t, used.LastUsedAt.UnixMilli(), w.record("p").LastUsedAt, "written when the entry moved")
}

// unkept is a flag of stores from before there was a version 1: that an entry with
// it says nothing.
const unkept encoding.ExpiryFlags = 1 << 2

// putExpiry writes an entry of the expiry space, which says nothing, into the shard
// that is its.
func (w *world) putExpiry(txn backend.Txn, e encoding.Expiry) error {
	e.Shard = encoding.Shard(e.Account, e.ID, max(1, w.shards))
	return txn.Put(encoding.AppendExpiryKey(nil, e), encoding.AppendExpiryValue(nil, encoding.ExpiryValue{Flags: unkept}))
}

// What lives forever is not removed, and neither are bytes that a product owns,
// even where a damaged record or header names the entry that comes due.
func TestSweepSparesWhatDoesNotExpire(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		kept := w.upsert("p", catalog.Patch{Images: imagesOf(smallImage)})
		deadline := w.now().Add(time.Hour).UnixMilli()
		w.write(func(txn backend.Txn) error {
			record := storedRecord(t, txn, "p")
			record.IndexedAt = deadline
			blob := record.Images[0].Blob
			header := new(encoding.BlobHeader)
			headerKey := encoding.AppendBlobKey(nil, acme, blob, 0)
			_, err := txn.Get(t.Context(), headerKey, func(v []byte) error { return encoding.DecodeBlobHeader(v, header) })
			require.NoError(t, err)
			require.Equal(t, encoding.BlobOwned, header.State)
			header.Deadline = deadline
			return errors.Join(
				txn.Put(encoding.AppendProductKey(nil, acme, "p"), encoding.AppendRecord(nil, record)),
				txn.Put(headerKey, encoding.AppendBlobHeader(nil, header)),
				w.putExpiry(txn, encoding.Expiry{Kind: encoding.ExpiryProduct, Account: acme, ID: "p", Deadline: deadline}),
				w.putExpiry(txn, encoding.Expiry{Kind: encoding.ExpiryBlob, Account: acme, ID: string(blob[:]), Deadline: deadline}),
			)
		})
		for range 3 {
			w.clock.Advance(day)
			w.sweepAll()
		}
		require.Equal(t, kept, w.get("p"))
		w.requireBytes(smallImage, "p", 0)
		// With it goes the damaged header, before the check that follows.
		require.NoError(t, w.c().Delete(t.Context(), acme, "p"))
	})
}

// An entry that stands for nothing any more is harmless and goes when it is due.
func TestSweepRemovesStaleEntries(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.createFor("p", 30)
		w.create("forever")
		w.write(func(txn backend.Txn) error {
			for _, e := range []encoding.Expiry{
				{Kind: encoding.ExpiryProduct, Account: acme, ID: "p"},
				{Kind: encoding.ExpiryProduct, Account: acme, ID: "forever"},
				{Kind: encoding.ExpiryProduct, Account: acme, ID: "nobody"},
				{Kind: encoding.ExpiryBlob, Account: acme, ID: "0123456789abcdef"},
			} {
				e.Deadline = w.now().Add(time.Hour).UnixMilli()
				if err := w.putExpiry(txn, e); err != nil {
					return err
				}
			}
			return nil
		})
		require.Equal(t, 4, w.soundReport().Stale)
		w.clock.Advance(time.Hour)
		w.sweepAll()
		report := w.soundReport()
		require.Zero(t, report.Stale)
		require.Equal(t, 1, report.Entries)
		w.get("p")
		w.get("forever")
	})
}
