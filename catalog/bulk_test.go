package catalog_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/dump"
	"github.com/shelflife-db/shelflife/ttl"
)

// bulkCounter counts the Updates in bulk that have committed.
type bulkCounter struct {
	backend.Backend
	bulk, all *atomic.Int64
}

func (b bulkCounter) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	err := b.Backend.Update(ctx, scopes, o, fn)
	if err == nil {
		b.all.Add(1)
		if o.Bulk {
			b.bulk.Add(1)
		}
	}
	return err
}

// countBulk returns a function that returns how many Updates in bulk have committed
// since it was called last.
func countBulk(w *world) func() int64 {
	var bulk, all atomic.Int64
	w.decorate(func(b backend.Backend) backend.Backend { return bulkCounter{b, &bulk, &all} })
	return func() int64 { return bulk.Swap(0) }
}

func bulkItems(prefix string, n int) []catalog.UpsertItem {
	items := make([]catalog.UpsertItem, n)
	for i := range items {
		items[i] = catalog.UpsertItem{
			ExternalID: fmt.Sprintf("%s%04d", prefix, i), Patch: withImage(catalog.Patch{ValidForDays: catalog.Set(1 + i%3)}),
		}
	}
	return items
}

// Many new products are written in bulk where no other process writes, whatever their
// order; all else goes the ordinary way, with the same results.
func TestUpsertManyInBulk(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		bulk := countBulk(w)
		upsert := func(items []catalog.UpsertItem, want catalog.Outcome) {
			t.Helper()
			for i, r := range w.catalogs[0].UpsertMany(t.Context(), acme, items) {
				require.NoError(t, r.Err)
				require.Equal(t, want, r.Outcome)
				require.Equal(t, items[i].ExternalID, r.Product.ExternalID)
				require.Equal(t, r.Product, w.get(r.Product.ExternalID))
			}
		}
		inBulk := func(want bool) {
			t.Helper()
			require.Equal(t, want && w.handles == 1, bulk() > 0)
		}
		items := bulkItems("a", 100)
		upsert(items, catalog.Created)
		inBulk(true)
		upsert(items, catalog.Unchanged)
		inBulk(false)
		descending := bulkItems("b", 30)
		slices.Reverse(descending)
		upsert(descending, catalog.Created)
		inBulk(true)
		// Something stands between them.
		w.create("c0005x")
		upsert(bulkItems("c", 10), catalog.Created)
		inBulk(false)
		// They are not in the way of an account whose name begins alike.
		for _, r := range w.catalogs[0].UpsertMany(t.Context(), acme+"2", bulkItems("c", 10)) {
			require.NoError(t, r.Err)
		}
		inBulk(true)
		// The same twice.
		twice := bulkItems("d", 3)
		twice[2].ExternalID = twice[0].ExternalID
		twice[2].Patch.Title = catalog.Set("again")
		results := w.catalogs[0].UpsertMany(t.Context(), acme, twice)
		require.Equal(t, catalog.Edited, results[2].Outcome)
		inBulk(false)
		// With bytes.
		uploaded := bulkItems("e", 3)
		uploaded[1].Patch = uploads(smallImage)
		upsert(uploaded, catalog.Created)
		inBulk(false)

		n := 0
		for _, err := range w.c().All(t.Context(), acme, catalog.AllOptions{}) {
			require.NoError(t, err)
			n++
		}
		require.Equal(t, 100+30+11+2+3, n)
		report, err := w.c().Check(t.Context())
		require.NoError(t, err)
		require.Empty(t, report.Problems)
		w.reopen()
		require.Equal(t, results[2].Product, w.get(twice[0].ExternalID))
	})
}

// A product that is made after the first look is found by the one under the scope.
func TestBulkLooksAgain(t *testing.T) {
	store := memory.New(nil)
	var c *catalog.Catalog
	between := &beforeBulk{Backend: store, fn: func() {
		_, err := c.Upsert(t.Context(), acme, "a0001", withImage(catalog.Patch{Title: catalog.Set("there")}))
		require.NoError(t, err)
	}}
	c, err := catalog.Open(t.Context(), between, &catalog.Options{Clock: ttl.NewManualClock(epoch)})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	catalog.EagerBulk(c)
	results := c.UpsertMany(t.Context(), acme, bulkItems("a", 3))
	require.Equal(t, catalog.Created, results[0].Outcome)
	require.Equal(t, catalog.Edited, results[1].Outcome)
	require.Equal(t, "there", results[1].Product.Title)
	require.Nil(t, between.fn)
}

// beforeBulk calls fn before the first Update in bulk.
type beforeBulk struct {
	backend.Backend
	fn func()
}

func (b *beforeBulk) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if first := b.fn; o.Bulk && first != nil {
		b.fn = nil
		first()
	}
	return b.Backend.Update(ctx, scopes, o, fn)
}

// Items that are refused leave the others of their chunk alone.
func TestRefusedInBulk(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		bulk := countBulk(w)
		items := bulkItems("a", 5)
		items[1].Conditions = []catalog.Condition{catalog.IfExists()}
		items[2].Patch.Images = catalog.Optional[[]catalog.NewImage]{}
		items[3].ExternalID = "_anon_x"
		items[4].Conditions = []catalog.Condition{catalog.CreateOnly()}
		results := w.catalogs[0].UpsertMany(t.Context(), acme, items)
		require.Equal(t, w.handles == 1, bulk() > 0)
		require.NoError(t, results[0].Err)
		require.ErrorIs(t, results[1].Err, catalog.ErrPreconditionFailed)
		requireFaults(t, results[2].Err, map[string]catalog.Code{"images": catalog.CodeImagesRequired})
		requireFaults(t, results[3].Err, map[string]catalog.Code{"externalId": catalog.CodeValidationFailed})
		require.NoError(t, results[4].Err)
		w.requireGone(items[1].ExternalID)
		w.requireGone(items[2].ExternalID)
		w.requireStored(2, 0)
	})
}

// TestManyWithUploads: items are checked several at once, but what reads their uploads is
// called by the caller's goroutine alone, in the order of the items, and each result is
// that of its item.
func TestManyWithUploads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	const n, early = 1500, 300 // so many at most are in chunks that are not committed
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		var read, uploads []int // not guarded: the race detector sees who else is at it
		items := bulkItems("a", n)
		for i := range items {
			switch i % 100 {
			case 7:
				items[i].Patch.ValidForDays = catalog.Set(-i)
			case 13, 14, 77:
				uploads = append(uploads, i)
				r := bytes.NewReader(pngOf(uint64(i), 1, 1))
				up := catalog.NewUpload(readerFunc(func(p []byte) (int, error) {
					if r.Len() == int(r.Size()) {
						read = append(read, i)
						// What came long before it is not held in memory till then.
						if w.handles == 1 && i >= early {
							_, err := w.catalogs[0].Get(t.Context(), acme, items[i-early].ExternalID)
							require.NoError(t, err)
						}
					}
					return r.Read(p)
				}))
				items[i].Patch.Images = catalog.Set([]catalog.NewImage{{Upload: up}})
			}
		}
		for i, r := range w.catalogs[0].UpsertMany(t.Context(), acme, items) {
			if i%100 == 7 {
				requireFaults(t, r.Err, map[string]catalog.Code{"validForDays": catalog.CodeValidationFailed})
				continue
			}
			require.NoError(t, r.Err)
			require.Equal(t, items[i].ExternalID, r.Product.ExternalID)
		}
		require.Equal(t, uploads, read)
		w.requireStored(n-n/100, len(uploads))
	})
}

// What has expired and was not removed stands in the way as what lives does, and what
// was written in bulk expires as all else does.
func TestBulkExpires(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		bulk := countBulk(w)
		items := bulkItems("a", 9)
		for _, r := range w.catalogs[0].UpsertMany(t.Context(), acme, items) {
			require.NoError(t, r.Err)
		}
		require.Equal(t, w.handles == 1, bulk() > 0)
		w.clock.Advance(day + time.Second)
		for _, r := range w.catalogs[0].UpsertMany(t.Context(), acme, items[:1:1]) {
			require.Equal(t, catalog.Created, r.Outcome)
		}
		again := slices.Clone(items[3:5]) // the first of them has expired
		results := w.catalogs[0].UpsertMany(t.Context(), acme, again)
		require.Equal(t, catalog.Created, results[0].Outcome)
		require.NotEqual(t, catalog.Created, results[1].Outcome)
		require.Zero(t, bulk())
	})
}

// An account's bound holds within a chunk.
func TestQuotaInBulk(t *testing.T) {
	configure := func(o *catalog.Options) {
		o.Quota = func(string) catalog.Quota { return catalog.Quota{Products: 5} }
	}
	onEveryStore(t, configure, func(t *testing.T, w *world) {
		bulk := countBulk(w)
		c := w.catalogs[0]
		for i := range 5 {
			_, err := c.Upsert(t.Context(), acme, fmt.Sprint(i), withImage(catalog.Patch{}))
			require.NoError(t, err)
		}
		w.requireFull("new", withImage(catalog.Patch{})) // what it has is known from here on
		for i := range 3 {
			require.NoError(t, c.Delete(t.Context(), acme, fmt.Sprint(i)))
		}
		for i, r := range c.UpsertMany(t.Context(), acme, bulkItems("a", 9)) {
			if i < 3 {
				require.NoError(t, r.Err)
			} else {
				require.ErrorIs(t, r.Err, catalog.ErrQuotaExceeded)
			}
		}
		require.Equal(t, w.handles == 1, bulk() > 0)
	})
}

// A dump is loaded in bulk where its products are new, over several accounts at once,
// and is the same afterwards.
func TestLoadInBulk(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		bulk := countBulk(w)
		for _, account := range []string{acme, "b", "c"} {
			for _, r := range w.catalogs[0].UpsertMany(t.Context(), account, bulkItems("p", 20)) {
				require.NoError(t, r.Err)
			}
		}
		var first, second bytes.Buffer
		_, err := dump.Write(t.Context(), &first, w.c(), nil)
		require.NoError(t, err)
		for _, account := range []string{acme, "b", "c"} {
			_, err := w.c().DeleteAccount(t.Context(), account)
			require.NoError(t, err)
		}
		bulk()
		info, err := dump.Load(t.Context(), w.catalogs[0], bytes.NewReader(first.Bytes()), nil)
		require.NoError(t, err)
		require.EqualValues(t, 60, info.Created)
		require.Equal(t, w.handles == 1, bulk() > 0)
		info, err = dump.Load(t.Context(), w.catalogs[0], bytes.NewReader(first.Bytes()), nil)
		require.NoError(t, err)
		require.EqualValues(t, 60, info.Unchanged)
		require.Zero(t, bulk())
		written, err := dump.Write(t.Context(), &second, w.c(), nil)
		require.NoError(t, err)
		require.EqualValues(t, 60, written.Products)
		report, err := w.c().Check(t.Context())
		require.NoError(t, err)
		require.Empty(t, report.Problems)
	})
}
