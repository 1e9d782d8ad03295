package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"iter"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

var probeSeed = flag.Uint64("probe.seed", 0, "seed of the random tests that print theirs; 0: random")

// seededRand returns a random source whose seed is in the log.
func seededRand(t *testing.T) *rand.Rand {
	seed := *probeSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("replay with -probe.seed=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// probe watches what catalogs ask of their backend, and can stand in its way.
type probe struct {
	gets, entries, updates atomic.Int64 // gets are keys
	// leases are the Updates of the lease for sweeping, which are not among updates.
	leases   atomic.Int64
	getManys atomic.Int64 // calls outside of Updates
	// written is the largest number of keys that one Update wrote.
	written atomic.Int64
	// beforeUpdate, where set, runs before each Update of an account or of the use
	// journal; its error
	// is returned in place of the Update. afterGet runs behind each Get.
	beforeUpdate atomic.Pointer[func(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions) error]
	afterGet     atomic.Pointer[func(key []byte)]
	// onEntry, where set, is told of each entry of a scan how many there were since
	// the last reset.
	onEntry atomic.Pointer[func(n int64)]
	// journalOnly has uses get into the journal, but not into their records.
	journalOnly atomic.Bool
}

// watch opens the world again with a probe between its catalogs and the store.
func (w *world) watch() *probe {
	w.close()
	p := new(probe)
	open := w.open
	w.open = func() backend.Backend { return &probed{open(), p} }
	w.start()
	return p
}

func (p *probe) reset() {
	p.gets.Store(0)
	p.getManys.Store(0)
	p.entries.Store(0)
	p.updates.Store(0)
	p.leases.Store(0)
	p.written.Store(0)
}

// failUpdates has the Updates that choose matches fail with err; nil err lets
// all through.
func (p *probe) failUpdates(err error, choose func(o backend.UpdateOptions) bool) {
	if err == nil {
		p.beforeUpdate.Store(nil)
		return
	}
	fn := func(_ context.Context, _ []backend.Scope, o backend.UpdateOptions) error {
		if choose(o) {
			return err
		}
		return nil
	}
	p.beforeUpdate.Store(&fn)
}

// isJournal reports whether a scope is that of a part of the use journal.
func isJournal(s backend.Scope) bool {
	_, ok := encoding.ParseUseJournalName(s.Item)
	return ok
}

// isLease reports whether a scope is that of the lease for sweeping.
func isLease(s backend.Scope) bool {
	group, item := encoding.MetaScope(encoding.SweepLeaseName)
	return s == backend.Scope{Group: group, Item: item}
}

// isFold tells the Updates that write pending uses, to the journal or to their
// records, from all others, as far as nothing but single upserts and uses is
// going on.
func isFold(o backend.UpdateOptions) bool { return o.Buffered && o.Reclaim }

type probed struct {
	backend.Backend
	p *probe
}

func (b *probed) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	b.p.gets.Add(1)
	found, err := b.Backend.Get(ctx, key, fn)
	if after := b.p.afterGet.Load(); after != nil {
		(*after)(key)
	}
	return found, err
}

func (b *probed) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	b.p.gets.Add(int64(len(keys)))
	b.p.getManys.Add(1)
	return b.Backend.GetMany(ctx, keys, fn)
}

func (b *probed) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return b.p.count(b.Backend.Scan(ctx, r, o))
}

func (b *probed) Snapshot(ctx context.Context) (backend.Snapshot, error) {
	s, err := b.Backend.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return &probedSnapshot{s, b.p}, nil
}

func (b *probed) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if isLease(scopes[0]) {
		b.p.leases.Add(1)
		return b.Backend.Update(ctx, scopes, o, fn) // at any time, and not for a request of the test
	}
	meta, _ := encoding.MetaScope("")
	if before := b.p.beforeUpdate.Load(); before != nil && (scopes[0].Group != meta || isJournal(scopes[0])) {
		if err := (*before)(ctx, scopes, o); err != nil {
			return err
		}
	}
	if b.p.journalOnly.Load() && isFold(o) && scopes[0].Group != meta {
		return errors.New("folds are held up")
	}
	b.p.updates.Add(1)
	return b.Backend.Update(ctx, scopes, o, func(ctx context.Context, txn backend.Txn) error {
		t := &probedTxn{Txn: txn, p: b.p}
		err := fn(ctx, t)
		b.p.written.Store(max(b.p.written.Load(), t.written))
		return err
	})
}

// count counts the entries of a scan.
func (p *probe) count(entries iter.Seq2[backend.Entry, error]) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		for e, err := range entries {
			n := p.entries.Add(1)
			if on := p.onEntry.Load(); on != nil {
				(*on)(n)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

type probedSnapshot struct {
	backend.Snapshot
	p *probe
}

func (s *probedSnapshot) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	s.p.gets.Add(1)
	return s.Snapshot.Get(ctx, key, fn)
}

func (s *probedSnapshot) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return s.p.count(s.Snapshot.Scan(ctx, r, o))
}

type probedTxn struct {
	backend.Txn
	p       *probe
	written int64
}

func (t *probedTxn) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	t.p.gets.Add(1)
	return t.Txn.Get(ctx, key, fn)
}

func (t *probedTxn) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return t.p.count(t.Txn.Scan(ctx, r, o))
}

func (t *probedTxn) Put(key, value []byte) error {
	t.written++
	return t.Txn.Put(key, value)
}

func (t *probedTxn) Delete(key []byte, size int) error {
	t.written++
	return t.Txn.Delete(key, size)
}

// nudge moves the clock and lets what that wakes have its turn, which is over when
// its timer is set again, for a moment at most. Without, a loop that moves the clock
// until the background has done something moves it by days on a busy machine, and
// what should live expires.
func nudge(clock *ttl.ManualClock, d time.Duration) {
	timers := clock.Timers()
	clock.Advance(d)
	for range 25 {
		<-time.After(200 * time.Microsecond)
		if clock.Timers() >= timers {
			return
		}
	}
}

// raw has fn at the store itself, while no catalog is open on it, and opens the
// catalogs again.
func (w *world) raw(fn func(b backend.Backend)) {
	w.t.Helper()
	w.close()
	b := w.open()
	fn(b)
	require.NoError(w.t, b.Close())
	w.start()
}

// rawKeys returns every key of the store but those of the meta space.
func (w *world) rawKeys() (keys [][]byte) {
	w.t.Helper()
	w.raw(func(b backend.Backend) {
		for e, err := range b.Scan(w.t.Context(), backend.Range{}, backend.ScanOptions{KeysOnly: true}) {
			require.NoError(w.t, err)
			if e.Key[0] != encoding.SpaceMeta {
				keys = append(keys, bytes.Clone(e.Key))
			}
		}
	})
	return keys
}

// write changes the store behind the catalogs' back.
func (w *world) write(fn func(txn backend.Txn) error) {
	w.t.Helper()
	w.raw(func(b backend.Backend) {
		scopes := []backend.Scope{{Group: encoding.AccountScope(acme)}}
		err := b.Update(w.t.Context(), scopes, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error { return fn(txn) })
		require.NoError(w.t, err)
	})
}

// stored returns the record of a product as the store has it, pending uses not
// written.
func storedRecord(t *testing.T, b backend.Reader, id string) *encoding.Record {
	t.Helper()
	r := new(encoding.Record)
	found, err := b.Get(t.Context(), encoding.AppendProductKey(nil, acme, id), func(v []byte) error {
		return encoding.DecodeRecord(v, r)
	})
	require.NoError(t, err)
	require.True(t, found)
	return r
}

// sweepAll has every catalog sweep, after the time in which it learns of what
// others wrote.
func (w *world) sweepAll() {
	w.t.Helper()
	w.clock.Advance(2 * time.Minute)
	for _, c := range w.catalogs {
		_, err := c.Sweep(w.t.Context())
		require.NoError(w.t, err)
	}
}

func (w *world) use(id string) *catalog.Product {
	w.t.Helper()
	p, err := w.c().Use(w.t.Context(), acme, id)
	require.NoError(w.t, err)
	return p
}

// createFor makes a listed product that lives for so many days.
func (w *world) createFor(id string, days int) *catalog.Product {
	w.t.Helper()
	return w.upsert(id, withImage(catalog.Patch{ValidForDays: catalog.Set(days)}))
}

// createInline makes an unlisted product.
func (w *world) createInline(id string) *catalog.Product {
	w.t.Helper()
	res, err := w.c().UpsertInline(w.t.Context(), acme, id, withImage(catalog.Patch{}))
	require.NoError(w.t, err)
	return res.Product
}

// listAll pages through with the options and returns the IDs of each page.
func (w *world) listAll(o catalog.ListOptions) (out [][]string) {
	w.t.Helper()
	for {
		page, err := w.c().List(w.t.Context(), acme, o)
		require.NoError(w.t, err)
		out = append(out, ids(page.Products))
		require.Equal(w.t, page.HasMore, page.NextCursor != "")
		if !page.HasMore {
			return out
		}
		o.Cursor = page.NextCursor
	}
}

// imagesOf returns the images of a patch by their bytes.
func imagesOf(images ...[]byte) catalog.Optional[[]catalog.NewImage] {
	var out []catalog.NewImage
	for _, b := range images {
		out = append(out, catalog.NewImage{Upload: catalog.NewUpload(bytes.NewReader(b))})
	}
	return catalog.Set(out)
}
