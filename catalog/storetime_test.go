package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// contract 8: time is the store's: processes whose clocks are hours apart give the
// same times and see a product expire at the same instant.
func TestTimeIsTheStores(t *testing.T) {
	dsn := postgrestest.Database(t)
	set := postgrestest.SetClock(t, dsn)
	start := time.Now()
	set(start)
	open := func(skew time.Duration) *catalog.Catalog {
		b, err := postgres.Open(t.Context(), postgrestest.WithClock(dsn), &postgres.Options{Partition: encoding.AccountPartition{}, Parts: 4})
		require.NoError(t, err)
		// Nothing sweeps: what is gone is so by the clock.
		c, err := catalog.Open(t.Context(), b, &catalog.Options{
			Clock: skewedClock{ttl.SystemClock(), skew}, Sweeper: ttl.SweeperOptions{Grace: 1000 * day},
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		return c
	}
	all := []*catalog.Catalog{open(6 * time.Hour), open(-6 * time.Hour), open(0)}
	const products = 30
	p := withImage(catalog.Patch{ValidForDays: catalog.Set(1)})
	var last time.Time
	for i := range products {
		res, err := all[i%len(all)].Upsert(t.Context(), acme, fmt.Sprint(i), p)
		require.NoError(t, err)
		require.WithinDuration(t, start, res.Product.CreatedAt, time.Minute)
		last = res.Product.ExpiresAt
		require.Equal(t, res.Product.CreatedAt.Add(day), last)
	}
	requireListed := func(n int) {
		t.Helper()
		for i, c := range all {
			page, err := c.List(t.Context(), acme, catalog.ListOptions{})
			require.NoError(t, err)
			require.Len(t, page.Products, n, i)
			for i := range products {
				_, err := c.Get(t.Context(), acme, fmt.Sprint(i))
				require.Equal(t, i >= n, errors.Is(err, catalog.ErrNotFound), "%d: %v", i, err)
			}
		}
	}
	requireListed(products)
	set(start.Add(23 * time.Hour))
	requireListed(products)
	used, err := all[0].Use(t.Context(), acme, "0")
	require.NoError(t, err)
	require.WithinDuration(t, start.Add(23*time.Hour), used.LastUsedAt, time.Minute)

	// Behind the last of them, where "0" lives on.
	set(last.Add(time.Second))
	requireListed(1)

	// Another server, whose clock is behind: what was seen to expire stays so.
	set(last.Add(-10 * time.Minute))
	all = append(all, open(-time.Hour))
	requireListed(1)
}

// contract 4: what one process has seen to expire stays expired, though another
// has read it before the deadline and commits its renewal afterwards, on an engine
// that holds up no other call.
func TestExpirySeenIsDecided(t *testing.T) {
	w := &world{t: t, clock: ttl.NewManualClock(epoch), handles: 2, open: onPostgresAlways(t)}
	w.start()
	t.Cleanup(w.close)
	w.decorate(func(b backend.Backend) backend.Backend { return steppedBackend{b} })
	renewer, reader := w.catalogs[0], w.catalogs[1]
	w.createFor("p", 1)
	w.clock.Advance(day - tick)
	ready, commit, used := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ctx := withUpdateSteps(t.Context(), updateSteps{func() {}, func() { close(ready); <-commit }})
		_, err := renewer.Use(ctx, acme, "p")
		used <- err
	}()
	<-ready
	w.clock.Advance(tick)
	_, err := reader.Get(t.Context(), acme, "p")
	require.ErrorIs(t, err, catalog.ErrNotFound)
	close(commit)
	require.ErrorIs(t, <-used, catalog.ErrNotFound, "a caller was told that it is gone")
	for _, c := range w.catalogs {
		_, err := c.Get(t.Context(), acme, "p")
		require.ErrorIs(t, err, catalog.ErrNotFound)
	}
}

// contract 4: no process shows what expired while it stood still, not even in the
// first answer that it gives afterwards.
func TestAwakes(t *testing.T) {
	for name, live := range map[string]func(*catalog.Catalog) (int, error){
		"get": func(c *catalog.Catalog) (int, error) {
			many, err := c.GetMany(t.Context(), acme, []string{"p"})
			if err != nil || many[0] == nil {
				return 0, err
			}
			return 1, nil
		},
		"list": func(c *catalog.Catalog) (int, error) {
			page, err := c.List(t.Context(), acme, catalog.ListOptions{})
			return len(page.Products), err
		},
		"all": func(c *catalog.Catalog) (n int, _ error) {
			for _, err := range c.All(t.Context(), acme, catalog.AllOptions{}) {
				if n++; err != nil {
					return n, err
				}
			}
			return n, nil
		},
		"stats": func(c *catalog.Catalog) (int, error) {
			s, err := c.Stats(t.Context(), acme)
			return s.Products, err
		},
	} {
		store, process := ttl.NewManualClock(epoch), ttl.NewManualClock(epoch)
		b := backendtest.Clocked(memory.New(&memory.Options{Shared: true}), store.Now)
		c, err := catalog.Open(t.Context(), b, &catalog.Options{
			Clock: process, Sweeper: ttl.SweeperOptions{LeapTolerance: 1000 * day},
		})
		require.NoError(t, err)
		_, err = c.Upsert(t.Context(), acme, "p", withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
		require.NoError(t, err)
		n, err := live(c)
		require.NoError(t, err, name)
		require.Equal(t, 1, n, name)
		store.Advance(day)
		n, err = live(c)
		require.NoError(t, err, name)
		require.Zero(t, n, name)
		require.NoError(t, c.Close())
	}
}

// callCounter counts what a caller asks of the store, without what is asked in the
// background, which is about the meta space.
type callCounter struct {
	backend.Backend
	gets, updates int64
}

func (b *callCounter) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	if key[0] != encoding.SpaceMeta {
		b.gets++
	}
	return b.Backend.Get(ctx, key, fn)
}

func (b *callCounter) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if meta, _ := encoding.MetaScope(""); scopes[0].Group != meta {
		b.updates++
	}
	return b.Backend.Update(ctx, scopes, o, fn)
}

// The store's time costs nothing: it comes with the reads that are made anyway.
func TestStoresTimeCostsNoCall(t *testing.T) {
	asked := map[bool][]int64{}
	for _, clocked := range []bool{false, true} {
		clock := ttl.NewManualClock(epoch)
		counter := &callCounter{Backend: memory.New(&memory.Options{Shared: true})}
		var b backend.Backend = counter
		if clocked {
			b = backendtest.Clocked(b, clock.Now)
		}
		c, err := catalog.Open(t.Context(), b, &catalog.Options{Clock: clock})
		require.NoError(t, err)
		for _, call := range []func() error{
			func() error {
				_, err := c.Upsert(t.Context(), acme, "p", withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
				return err
			},
			func() error { _, err := c.Get(t.Context(), acme, "p"); return err },
			func() error { _, err := c.Use(t.Context(), acme, "p"); return err },
			func() error { _, err := c.List(t.Context(), acme, catalog.ListOptions{}); return err },
			func() error { return c.Delete(t.Context(), acme, "p") },
		} {
			counter.gets, counter.updates = 0, 0
			require.NoError(t, call())
			asked[clocked] = append(asked[clocked], counter.gets, counter.updates)
		}
		require.NoError(t, c.Close())
	}
	require.Equal(t, []int64{0, 1, 1, 0, 0, 1, 0, 0, 0, 1}, asked[false])
	require.Equal(t, asked[false], asked[true])
}

// A backend that states a clock and brings no time is refused: nothing would ever
// expire on it.
func TestStoreWithoutTheTimeItStates(t *testing.T) {
	_, err := catalog.Open(t.Context(), timeless{memory.New(&memory.Options{Shared: true})}, nil)
	require.ErrorContains(t, err, "bring no time")
}

type timeless struct{ backend.Backend }

func (b timeless) Properties() backend.Properties {
	p := b.Backend.Properties()
	p.Clock = true
	return p
}

// onPostgresAlways is for tests of what only an engine on a server does.
func onPostgresAlways(t *testing.T) func() backend.Backend {
	dsn := postgrestest.Database(t)
	return func() backend.Backend {
		b, err := postgres.Open(context.Background(), dsn, &postgres.Options{Partition: encoding.AccountPartition{}, Parts: 4})
		require.NoError(t, err)
		return b
	}
}

// TestRoundTripsOnPostgres counts what calls of a catalog cost on a warm
// connection: requests that wait for an answer of the server.
func TestRoundTripsOnPostgres(t *testing.T) {
	l := postgrestest.NewLink(t, postgrestest.Database(t))
	open := func(cacheSize int) *catalog.Catalog {
		b, err := postgres.Open(t.Context(), l.DSN(), &postgres.Options{Partition: encoding.AccountPartition{}, CacheSize: cacheSize})
		require.NoError(t, err)
		c, err := catalog.Open(t.Context(), b, nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		return c
	}
	known, unknown := open(0), open(-1) // by what the process has written
	c := known
	n := 0
	id := func() string { n++; return fmt.Sprint("p", n) }
	upsert := func(id, title string) error {
		_, err := c.Upsert(t.Context(), acme, id, withImage(catalog.Patch{Title: catalog.Set(title), ValidForDays: catalog.Set(30)}))
		return err
	}
	for range 60 {
		require.NoError(t, upsert(id(), "T"))
	}
	get := func(id string) error { _, err := c.Get(t.Context(), acme, id); return err }
	use := func(id string) error { _, err := c.Use(t.Context(), acme, id); return err }
	// A use in the millisecond of the one before it has nothing to write.
	later := func() error { time.Sleep(2 * time.Millisecond); return nil }
	edit := func(id string, days int) error {
		_, err := c.Upsert(t.Context(), acme, id, catalog.Patch{Title: catalog.Set(fmt.Sprint(n, days))})
		return err
	}
	for _, call := range []struct {
		name   string
		c      *catalog.Catalog
		before func() error
		do     func() error
		want   int64
	}{
		{"get", known, nil, func() error { return get("p1") }, 1},
		{"page of 50", known, nil, func() error {
			page, err := c.List(t.Context(), acme, catalog.ListOptions{Limit: 50})
			if err == nil && len(page.Products) != 50 {
				err = errors.New("no page of 50")
			}
			return err
		}, 1},
		{"create", known, nil, func() error { return upsert(id(), "T") }, 2},
		{"partial edit, known", known, nil, func() error { n++; return edit("p2", n) }, 1},
		{"partial edit, not known", unknown, nil, func() error { n++; return edit("p2", n) }, 2},
		{"unchanged, known", known, nil, func() error { return upsert("p3", "T") }, 1},
		{"use, known", known, later, func() error { return use("p4") }, 1},
		{"use, not known", unknown, later, func() error { return use("p4") }, 2},
		{"delete, known", known, func() error { return upsert("p5", "T") }, func() error { return c.Delete(t.Context(), acme, "p5") }, 1},
		{"delete, not known", unknown, func() error { return upsert("p5", "T") }, func() error { return c.Delete(t.Context(), acme, "p5") }, 2},
	} {
		fewest := int64(1 << 30)
		c = call.c
		for range 5 { // others ask too: the sweeper, and what looks whether the server is there
			if call.before != nil {
				require.NoError(t, call.before(), call.name)
			}
			before := l.Trips()
			require.NoError(t, call.do(), call.name)
			fewest = min(fewest, l.Trips()-before)
		}
		require.Equal(t, call.want, fewest, call.name)
	}
}

// beforeUpdate calls fn before the next Update.
type beforeUpdate struct {
	backend.Backend
	fn *atomic.Pointer[func()]
}

func (b beforeUpdate) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if do := b.fn.Swap(nil); do != nil {
		(*do)()
	}
	return b.Backend.Update(ctx, scopes, o, fn)
}

// credulous takes for read whatever a Scan has shown, as an engine does in the first run
// of an Update. It calls fn before the first Update of acme's.
type credulous struct {
	backend.Backend
	fn *atomic.Pointer[func()]
}

func (b credulous) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		for e, err := range b.Backend.Scan(ctx, r, o) {
			if o.Versions {
				e.Version = 1
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (b credulous) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if scopes[0].Group == encoding.AccountScope(acme) {
		if do := b.fn.Swap(nil); do != nil {
			(*do)()
		}
	}
	return b.Backend.Update(ctx, scopes, o, func(ctx context.Context, txn backend.Txn) error {
		return fn(ctx, credulousTxn{txn})
	})
}

type credulousTxn struct{ backend.Txn }

func (t credulousTxn) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	seen := backend.ExpectedSeen(ctx)
	if seen == nil {
		return t.Txn.GetMany(ctx, keys, fn)
	}
	for i := range seen {
		if err := fn(i, seen[i].Value); err != nil {
			return err
		}
	}
	return nil
}

// contract 8: where nothing was read for a while that says what time it is, a sweep reads
// what it removes.
func TestSweepWithoutReadsMeetsEarlierTime(t *testing.T) {
	for name, pause := range map[string]time.Duration{"at once": 0, "after a minute": time.Minute} {
		t.Run(name, func(t *testing.T) {
			shared, process := memory.New(&memory.Options{Shared: true}), ttl.NewManualClock(epoch)
			var stored atomic.Int64 // the store's time behind epoch
			var meanwhile atomic.Pointer[func()]
			clock := func() time.Time { return epoch.Add(time.Duration(stored.Load())) }
			b := credulous{backendtest.Clocked(shared.Handle(), clock), &meanwhile}
			c, err := catalog.Open(t.Context(), b, &catalog.Options{Clock: process, Sweeper: ttl.SweeperOptions{LeapTolerance: 1000 * day}})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, c.Close()) })
			_, err = c.Upsert(t.Context(), acme, "p", withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
			require.NoError(t, err)
			do := func() {
				stored.Store(int64(time.Hour))
				process.Advance(pause)
			}
			meanwhile.Store(&do)
			stored.Store(int64(day + time.Hour))
			// The sweeper in the background may come first: this waits for it.
			_, _ = c.Sweep(t.Context())
			require.Nil(t, meanwhile.Load())
			found, err := shared.Get(t.Context(), encoding.AppendProductKey(nil, acme, "p"), func([]byte) error { return nil })
			require.NoError(t, err)
			require.Equal(t, pause > 0, found)
		})
	}
}

// contract 8: a sweep that began by a time of the store which another server of the
// store has not come to removes nothing that lives by that one.
func TestSweepMeetsEarlierTime(t *testing.T) {
	for name, patch := range map[string]catalog.Patch{
		"not read": withImage(catalog.Patch{ValidForDays: catalog.Set(1)}),
		"read":     {ValidForDays: catalog.Set(1), Images: imagesOf(smallImage)},
	} {
		t.Run(name, func(t *testing.T) {
			shared, process := memory.New(&memory.Options{Shared: true}), ttl.NewManualClock(epoch)
			var stored atomic.Int64 // the store's time behind epoch
			var meanwhile atomic.Pointer[func()]
			open := func() *catalog.Catalog {
				b := beforeUpdate{shared.Handle(), &meanwhile}
				clock := func() time.Time { return epoch.Add(time.Duration(stored.Load())) }
				c, err := catalog.Open(t.Context(), backendtest.Clocked(b, clock), &catalog.Options{
					Clock: process, Sweeper: ttl.SweeperOptions{LeapTolerance: 1000 * day},
				})
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, c.Close()) })
				return c
			}
			c := open()
			_, err := c.Upsert(t.Context(), acme, "p", patch)
			require.NoError(t, err)
			learnTime := func() {
				_, err := c.Get(t.Context(), acme, "q")
				require.ErrorIs(t, err, catalog.ErrNotFound)
			}
			stored.Store(int64(day + time.Hour))
			learnTime()
			do := func() {
				// Long enough for what was observed before to count no more.
				stored.Store(int64(time.Hour))
				process.Advance(time.Minute)
				learnTime()
			}
			meanwhile.Store(&do)
			// It may say that it has to begin again. The sweeper in the background may come
			// first, and be the one that meets the earlier time.
			_, _ = c.Sweep(t.Context())
			require.Eventually(t, func() bool { return stored.Load() == int64(time.Hour) }, time.Minute, time.Millisecond)
			meanwhile.Store(nil)
			_, err = open().Get(t.Context(), acme, "p")
			require.NoError(t, err)
		})
	}
}
