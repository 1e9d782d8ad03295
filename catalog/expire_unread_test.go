package catalog_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// expiryEntry returns the expiry entry of a product, of which there must be one.
func (w *glassWorld) expiryEntry(id string) (e encoding.Expiry, v encoding.ExpiryValue) {
	w.t.Helper()
	n := 0
	start, end := encoding.SpaceRange(encoding.SpaceExpiry)
	for entry, err := range w.store.Handle().Scan(w.t.Context(), backend.Range{Start: start, End: end}, backend.ScanOptions{}) {
		require.NoError(w.t, err)
		of, err := encoding.DecodeExpiryKey(entry.Key)
		require.NoError(w.t, err)
		if of.Kind != encoding.ExpiryProduct || of.ID != id {
			continue
		}
		n++
		e = of
		v, err = encoding.DecodeExpiryValue(entry.Value)
		require.NoError(w.t, err)
	}
	require.Equal(w.t, 1, n)
	return e, v
}

// Whatever writes a product has its expiry entry say, in the same commit, what there
// is to remove with it, and whether the entry is early.
func TestExpiryFlags(t *testing.T) {
	const renewed, uploads, unlisted = encoding.ExpiryRenewed, encoding.ExpiryUploads, encoding.ExpiryUnlisted
	days := func(n int) catalog.Patch { return catalog.Patch{ValidForDays: catalog.Set(n)} }
	for name, test := range map[string]struct {
		do   func(w *glassWorld) // p has 9 days, of which an hour is over
		want encoding.ExpiryFlags
	}{
		"created": {func(*glassWorld) {}, 0},
		"created inline": {func(w *glassWorld) {
			require.NoError(w.t, w.c().Delete(w.t.Context(), acme, "p"))
			w.createInline("p")
		}, unlisted},
		"listed": {func(w *glassWorld) {
			require.NoError(w.t, w.c().Delete(w.t.Context(), acme, "p"))
			w.createInline("p")
			w.create("p")
		}, 0},
		"edited":        {func(w *glassWorld) { w.upsert("p", catalog.Patch{Title: catalog.Set("x")}) }, 0},
		"given uploads": {func(w *glassWorld) { w.upsert("p", catalog.Patch{Images: imagesOf(smallImage)}) }, uploads},
		"uploads and renewed": {func(w *glassWorld) {
			w.upsert("p", catalog.Patch{Images: imagesOf(smallImage), ValidForDays: catalog.Set(9)})
		}, uploads | renewed},
		"uploads taken": {func(w *glassWorld) {
			w.upsert("p", catalog.Patch{Images: imagesOf(smallImage)})
			w.create("p")
		}, 0},
		"used":    {func(w *glassWorld) { w.use("p"); w.folds() }, renewed},
		"touched": {func(w *glassWorld) { w.touch("p"); w.folds() }, renewed},
		"used near the deadline": {func(w *glassWorld) {
			w.clock.Advance(9*day - time.Hour - time.Second)
			w.use("p")
		}, renewed},
		"used by an edit": {func(w *glassWorld) {
			_, err := w.c().UpsertInline(w.t.Context(), acme, "p", catalog.Patch{Title: catalog.Set("x")})
			require.NoError(w.t, err)
		}, renewed},
		"renewed":        {func(w *glassWorld) { w.upsert("p", days(9)) }, renewed},
		"for longer":     {func(w *glassWorld) { w.upsert("p", days(30)) }, renewed},
		"for less":       {func(w *glassWorld) { w.upsert("p", days(1)) }, 0},
		"forth and back": {func(w *glassWorld) { w.upsert("p", days(1)); w.upsert("p", days(30)); w.upsert("p", days(1)) }, 0},
		"forever, and no": {func(w *glassWorld) {
			w.upsert("p", catalog.Patch{ValidForDays: catalog.Null[int]()})
			w.upsert("p", days(3))
		}, 0},
		"extended": {func(w *glassWorld) {
			_, err := w.c().ExtendLifetimes(w.t.Context(), time.Minute)
			require.NoError(w.t, err)
		}, renewed},
		"moved by the sweep": {func(w *glassWorld) {
			w.use("p")
			w.folds()
			w.clock.Advance(9*day - time.Hour + 2*time.Minute)
			w.sweep()
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := behindGlass(t, catalog.Options{Sweeper: ttl.SweeperOptions{Grace: time.Minute}})
			w.createFor("p", 9)
			w.clock.Advance(time.Hour)
			test.do(w)
			r := w.record("p")
			e, v := w.expiryEntry("p")
			require.Equal(t, r.IndexedAt, e.Deadline)
			require.Equal(t, test.want, v.Flags)
		})
	}
}

// The size in an entry follows that of the record, if not to the byte.
func TestExpirySizes(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	w.createFor("p", 9)
	for _, n := range []int{0, 5000, 5010, 100, 18_000, 0} {
		w.upsert("p", catalog.Patch{Description: catalog.Set(strings.Repeat("x", n))})
		_, v := w.expiryEntry("p")
		size := len(encoding.AppendRecord(nil, w.record("p")))
		require.Less(t, size/2, int(v.RecordSize))
		require.Less(t, int(v.RecordSize)/2, size)
	}
}

// keyLog notes which keys of accounts Updates read and delete.
type keyLog struct {
	mu            sync.Mutex
	read, deleted [][]byte
	// getMany, where set, is what the GetMany of an Update returns.
	getMany error
}

func (l *keyLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read, l.deleted = nil, nil
}

// inSpace returns the keys of a space, in order.
func inSpace(keys [][]byte, space byte) (in []string) {
	for _, k := range keys {
		if k[0] == space {
			in = append(in, string(k))
		}
	}
	slices.Sort(in)
	return in
}

type loggedKeys struct {
	backend.Backend
	log *keyLog
}

func (b loggedKeys) Unwrap() backend.Backend { return b.Backend }

func (b loggedKeys) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	return b.Backend.Update(ctx, scopes, o, func(ctx context.Context, txn backend.Txn) error {
		return fn(ctx, loggedTxn{txn, b.log})
	})
}

type loggedTxn struct {
	backend.Txn
	log *keyLog
}

func (t loggedTxn) note(list *[][]byte, keys ...[]byte) {
	t.log.mu.Lock()
	defer t.log.mu.Unlock()
	for _, k := range keys {
		*list = append(*list, bytes.Clone(k))
	}
}

func (t loggedTxn) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	t.note(&t.log.read, key)
	return t.Txn.Get(ctx, key, fn)
}

func (t loggedTxn) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	if t.log.getMany != nil {
		return t.log.getMany
	}
	t.note(&t.log.read, keys...)
	return t.Txn.GetMany(ctx, keys, fn)
}

func (t loggedTxn) Delete(key []byte, size int) error {
	t.note(&t.log.deleted, key)
	return t.Txn.Delete(key, size)
}

// A sweep of what was not used since, and has no uploads, reads nothing but what is due,
// and deletes the same keys as one that reads the records.
func TestSweepWithoutReading(t *testing.T) {
	for name, onExpire := range map[string]func(context.Context, *catalog.Catalog, catalog.Expired){
		"unread": nil,
		"read":   func(context.Context, *catalog.Catalog, catalog.Expired) {},
	} {
		log := new(keyLog)
		o := catalog.Options{OnExpire: onExpire}
		o.Sweeper = ttl.SweeperOptions{BatchSize: 200, Grace: time.Hour}
		w := behindGlass(t, o)
		w.decorate(func(b backend.Backend) backend.Backend { return loggedKeys{b, log} })
		const products = 100
		for i := range products {
			w.createFor(fmt.Sprint("listed", i), 15)
			w.createInline(fmt.Sprint("inline", i))
		}
		keys := w.rawKeys()
		for i := range 2 * products { // into the cache, the second time
			w.get(fmt.Sprint("listed", i%products))
		}
		w.clock.Advance(15 * day)
		log.reset()
		w.clock.Advance(time.Hour)
		w.sweep()
		w.requireStored(0, 0)
		deleted := slices.Concat(inSpace(log.deleted, encoding.SpaceProduct), inSpace(log.deleted, encoding.SpaceListed), inSpace(log.deleted, encoding.SpaceExpiry))
		want := slices.Concat(inSpace(keys, encoding.SpaceProduct), inSpace(keys, encoding.SpaceListed), inSpace(keys, encoding.SpaceExpiry))
		require.Equal(t, want, deleted, name)
		read := inSpace(log.read, encoding.SpaceProduct)
		if onExpire == nil {
			require.Empty(t, read)
			require.Empty(t, inSpace(log.read, encoding.SpaceExpiry))
		} else {
			require.NotEmpty(t, read)
		}
		// What is created under the IDs finds nothing of what was there.
		for i := range products {
			res, err := w.c().Upsert(t.Context(), acme, fmt.Sprint("listed", i), withImage(catalog.Patch{}))
			require.NoError(t, err)
			require.Equal(t, catalog.Created, res.Outcome)
		}
		w.requireSound()
	}
}

// What has to be read is read: it was used since, has uploads, or its entry can't be
// understood; and what has gone meanwhile is gone.
func TestSweepThatMustRead(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.upsert("uploads", catalog.Patch{ValidForDays: catalog.Set(2), Images: imagesOf(smallImage)})
		w.createFor("used", 2)
		w.createFor("unused", 2)
		w.createFor("deleted", 2)
		w.createFor("shortened", 9)
		w.createFor("forever", 2)
		w.clock.Advance(day)
		used := w.use("used")
		w.reopen() // it is folded
		require.NoError(t, w.c().Delete(t.Context(), acme, "deleted"))
		w.upsert("shortened", catalog.Patch{ValidForDays: catalog.Set(1)})
		w.upsert("forever", catalog.Patch{ValidForDays: catalog.Null[int]()})
		w.clock.Advance(day - time.Minute)
		w.sweepAll() // which moves the clock by minutes
		require.Equal(t, used, w.get("used"))
		w.get("forever")
		report := w.soundReport()
		require.Equal(t, 2, report.Products)
		require.Equal(t, 1, report.Blobs, "for the grace of its readers")
		require.Equal(t, 2, report.Entries)
		w.clock.Advance(day)
		w.sweepAll()
		require.Equal(t, 1, w.soundReport().Products)
	})
}

// What is written when the sweeper has found an entry, and before it holds the
// product's scope, is not swept.
func TestSweepBehindAWrite(t *testing.T) {
	for name, write := range map[string]func(t *testing.T, c *catalog.Catalog){
		"created again": func(t *testing.T, c *catalog.Catalog) {
			res, err := c.Upsert(t.Context(), acme, "p", withImage(catalog.Patch{ValidForDays: catalog.Set(30)}))
			require.NoError(t, err)
			require.Equal(t, catalog.Created, res.Outcome)
		},
		"extended": func(t *testing.T, c *catalog.Catalog) {
			_, err := c.ExtendLifetimes(t.Context(), 3*day)
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := behindGlass(t, catalog.Options{Sweeper: ttl.SweeperOptions{Grace: 2 * time.Hour}})
			w.createFor("p", 2)
			w.clock.Advance(2*day + time.Hour)
			c := w.catalogs[0] // w.c is for one goroutine, and the sweeper's may come first
			var once sync.Once
			before := func(_ context.Context, scopes []backend.Scope, o backend.UpdateOptions) error {
				if isFold(o) && scopes[0].Group == encoding.AccountScope(acme) {
					once.Do(func() { write(t, c) })
				}
				return nil
			}
			w.probe.beforeUpdate.Store(&before)
			w.clock.Advance(time.Hour)
			w.sweep()
			w.probe.beforeUpdate.Store(nil)
			p := w.get("p")
			require.Equal(t, 1, w.soundReport().Products)
			w.clock.Advance(p.ExpiresAt.Sub(w.now()) + 2*time.Hour)
			w.requireStored(0, 0)
		})
	}
}

// Where the entries can't be read the records say what there is.
func TestSweepOverDamagedEntries(t *testing.T) {
	log := new(keyLog)
	w := behindGlass(t, catalog.Options{Sweeper: ttl.SweeperOptions{Grace: time.Hour}})
	w.decorate(func(b backend.Backend) backend.Backend { return loggedKeys{b, log} })
	w.createFor("p", 1)
	w.createFor("used", 1)
	w.clock.Advance(5 * time.Hour)
	w.use("used")
	w.folds()
	log.getMany = &backend.DamageError{}
	c := w.catalogs[0]
	var once sync.Once
	before := func(_ context.Context, scopes []backend.Scope, o backend.UpdateOptions) error {
		if isFold(o) && scopes[0].Group == encoding.AccountScope(acme) {
			// It changes nothing, of which the sweeper can't know: it reads the entries.
			once.Do(func() {
				for _, id := range []string{"p", "used"} {
					require.ErrorIs(t, c.Delete(t.Context(), acme, id, catalog.IfVersion(catalog.Version{})), catalog.ErrPreconditionFailed)
				}
			})
		}
		return nil
	}
	w.clock.Advance(21*time.Hour - 2*time.Minute)
	w.probe.beforeUpdate.Store(&before)
	w.clock.Advance(2 * time.Minute)
	w.sweep()
	w.probe.beforeUpdate.Store(nil)
	log.getMany = nil
	require.Equal(t, 1, w.soundReport().Products)
	w.get("used")

	// One that can't be understood says nothing.
	w.clock.Advance(day)
	w.sweep()
	w.createFor("used", 1)
	w.clock.Advance(5 * time.Hour)
	w.use("used")
	w.folds()
	e, _ := w.expiryEntry("used")
	w.write(func(txn backend.Txn) error { return txn.Put(encoding.AppendExpiryKey(nil, e), []byte{1}) })
	w.clock.Advance(21 * time.Hour)
	w.sweep()
	w.get("used")
	require.Equal(t, 1, w.soundReport().Entries)
}

// A product whose record is damaged goes with its account, and its expiry entry with
// it: what is created under its ID lives as long as it should.
func TestCreatedAfterDamage(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		const products = 70 // more than an Update removes
		for i := range products {
			w.createFor(fmt.Sprint("p", i), 1)
		}
		w.createFor("sound", 1)
		other, err := w.c().Upsert(t.Context(), "other", "p1", withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
		require.NoError(t, err)
		w.write(func(txn backend.Txn) error {
			for i := range products {
				if err := txn.Put(encoding.AppendProductKey(nil, acme, fmt.Sprint("p", i)), []byte("x")); err != nil {
					return err
				}
			}
			return nil
		})
		removed, err := w.c().DeleteAccount(t.Context(), acme)
		require.NoError(t, err)
		require.Equal(t, 1, removed)
		got, err := w.c().Get(t.Context(), "other", "p1")
		require.NoError(t, err)
		require.Equal(t, other.Product, got)
		require.Equal(t, 1, w.soundReport().Entries)

		made := map[string]*catalog.Product{}
		for i := range products {
			id := fmt.Sprint("p", i)
			made[id] = w.createFor(id, 30)
		}
		w.clock.Advance(2 * day)
		w.sweepAll()
		for id, p := range made {
			require.Equal(t, p, w.get(id))
		}
		require.Equal(t, products, w.soundReport().Entries)
	})
}
