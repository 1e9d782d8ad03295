package catalog_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// fleet are catalogs on one store, as processes of their own have them.
type fleet struct {
	t        *testing.T
	clock    *ttl.ManualClock
	store    *memory.Store
	catalogs []*catalog.Catalog
	probes   []*probe
	minutes  int64 // that have passed
}

func newFleet(t *testing.T) *fleet {
	return &fleet{t: t, clock: ttl.NewManualClock(epoch), store: memory.New(&memory.Options{Shared: true})}
}

func (f *fleet) open() {
	p := new(probe)
	o := &catalog.Options{Clock: skewedClock{f.clock, skews[len(f.probes)%len(skews)]}, Sweeper: ttl.SweeperOptions{Pause: -1}}
	var b backend.Backend = backendtest.Clocked(&probed{f.store.Handle(), p}, f.clock.Now)
	c, err := catalog.Open(f.t.Context(), b, o)
	require.NoError(f.t, err)
	f.t.Cleanup(func() { require.NoError(f.t, c.Close()) })
	f.catalogs, f.probes = append(f.catalogs, c), append(f.probes, p)
}

// create makes products that live for a day.
func (f *fleet) create(n int) {
	for i := range n {
		_, err := f.catalogs[0].Upsert(f.t.Context(), acme, fmt.Sprint(i), withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
		require.NoError(f.t, err)
	}
}

// stored is how many products are in the store.
func (f *fleet) stored() (n int) {
	start, end := encoding.ProductPrefixRange(acme, "")
	for _, err := range f.store.Scan(f.t.Context(), backend.Range{Start: start, End: end}, backend.ScanOptions{KeysOnly: true}) {
		require.NoError(f.t, err)
		n++
	}
	return n
}

// lease is what is in the store.
func (f *fleet) lease() (l encoding.SweepLease) {
	_, err := f.store.Get(f.t.Context(), encoding.AppendMetaKey(nil, encoding.SweepLeaseName), func(v []byte) (err error) {
		l, err = encoding.DecodeSweepLease(v)
		return err
	})
	require.NoError(f.t, err)
	return l
}

// rest waits until every sweeper sleeps: with uses that wait for nothing, its timer
// is the only one of a catalog.
func (f *fleet) rest(open int) {
	for f.clock.Timers() < open {
		runtime.Gosched()
	}
}

// await lets time pass, a minute at a time, until done is. So many catalogs are
// open.
func (f *fleet) await(open int, done func() bool) {
	f.t.Helper()
	for f.rest(open); !done(); f.rest(open) {
		f.clock.Advance(time.Minute)
		f.minutes++
	}
}

// One process sweeps. What the others ask of the store does not depend on how much
// there is to sweep: a look at the lease in a minute, and not one entry.
func TestOneProcessSweeps(t *testing.T) {
	f := newFleet(t)
	f.open()
	holder := func() bool { return f.lease().Until > f.clock.Now().UnixMilli() }
	f.await(1, holder)
	for range 3 {
		f.open()
	}
	const products = 400
	f.create(products)
	f.rest(4)
	for _, p := range f.probes {
		p.reset()
	}
	f.clock.Advance(day)
	f.minutes = 0
	f.await(4, func() bool { return f.stored() == 0 })
	swept := 0
	for i, p := range f.probes {
		t.Logf("catalog %d: %d Updates, %d entries, in %d minutes", i, p.updates.Load()+p.leases.Load(), p.entries.Load(), f.minutes)
		if p.entries.Load() > 0 {
			swept++
			continue
		}
		// A look for each minute, and one that may be under way.
		require.LessOrEqual(t, p.updates.Load()+p.leases.Load(), f.minutes+2)
	}
	require.Equal(t, 1, swept)
}

// A catalog that is closed gives the lease back; that of one which was killed passes
// on when its time is over, and one that goes further than any, of a clock that was
// wrong, or that can't be read, counts for nothing.
func TestSweepingPassesOn(t *testing.T) {
	for name, leave := range map[string]func(f *fleet){
		"closed": func(f *fleet) { require.NoError(t, f.catalogs[0].Close()) },
		"killed": func(f *fleet) {
			require.NoError(t, f.catalogs[0].Close())
			l := encoding.SweepLease{Holder: 1, Until: f.clock.Now().Add(3 * time.Minute).UnixMilli()}
			putMeta(t, f.store.Handle(), encoding.SweepLeaseName, encoding.AppendSweepLease(nil, l))
		},
		"wrong": func(f *fleet) {
			require.NoError(t, f.catalogs[0].Close())
			l := encoding.SweepLease{Holder: 1, Until: f.clock.Now().Add(30 * day).UnixMilli()}
			putMeta(t, f.store.Handle(), encoding.SweepLeaseName, encoding.AppendSweepLease(nil, l))
		},
		"damaged": func(f *fleet) {
			require.NoError(t, f.catalogs[0].Close())
			putMeta(t, f.store.Handle(), encoding.SweepLeaseName, []byte("x"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			f.open()
			f.await(1, func() bool { return f.lease().Holder != 0 })
			first := f.lease().Holder
			f.open()
			f.create(10)
			f.rest(2)
			leave(f)
			f.clock.Advance(day)
			f.await(1, func() bool { return f.stored() == 0 })
			require.NotEqual(t, first, f.lease().Holder)
			require.NotEqual(t, uint64(1), f.lease().Holder)
		})
	}
}
