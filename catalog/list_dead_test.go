package catalog_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// beforeSnapshot runs a function before the next snapshot is made.
type beforeSnapshot struct {
	backend.Backend
	run *atomic.Pointer[func()]
}

func (b beforeSnapshot) Unwrap() backend.Backend { return b.Backend }

func (b beforeSnapshot) Snapshot(ctx context.Context) (backend.Snapshot, error) {
	if run := b.run.Swap(nil); run != nil {
		(*run)()
	}
	return b.Backend.Snapshot(ctx)
}

// contract 5: a loop shows one state, also of an account in which pages have
// met what has expired and another page is still on its way.
func TestAllAmongPagesOfExpired(t *testing.T) {
	w := memoryWorld(t)
	p := w.watch()
	before := new(atomic.Pointer[func()])
	w.decorate(func(b backend.Backend) backend.Backend { return beforeSnapshot{b, before} })
	for i := range 6 {
		w.createFor(fmt.Sprintf("m%d", i), 1)
	}
	w.clock.Leap(400 * day)
	list := func() []string {
		page, err := w.c().List(t.Context(), acme, catalog.ListOptions{})
		require.NoError(t, err)
		return ids(page.Products)
	}
	// A page is at work: it has begun its watch.
	reached, release, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	stop := func(n int64) {
		if n == 4 {
			p.onEntry.Store(nil)
			close(reached)
			<-release
		}
	}
	p.reset()
	p.onEntry.Store(&stop)
	go func() {
		defer close(ended)
		if _, err := w.c().List(t.Context(), acme, catalog.ListOptions{}); err != nil {
			t.Error(err)
		}
	}()
	<-reached
	w.create("m0x")
	require.NoError(t, w.c().Delete(t.Context(), acme, "m0x"))
	require.Empty(t, list()) // another page, from end to end
	inside := func() {
		close(release)
		<-ended
		w.create("m0x") // acknowledged before the other is begun
		w.create("z")
	}
	before.Store(&inside)
	var got []string
	for p, err := range w.c().All(t.Context(), acme, catalog.AllOptions{}) {
		require.NoError(t, err)
		got = append(got, p.ExternalID)
	}
	require.Equal(t, []string{"m0x", "z"}, got)
}

// beforePut runs a function before each key that an Update writes.
type beforePut struct {
	backend.Backend
	run *atomic.Pointer[func(key []byte)]
}

func (b beforePut) Unwrap() backend.Backend { return b.Backend }

func (b beforePut) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	return b.Backend.Update(ctx, scopes, o, func(ctx context.Context, txn backend.Txn) error {
		return fn(ctx, beforePutTxn{txn, b.run})
	})
}

type beforePutTxn struct {
	backend.Txn
	run *atomic.Pointer[func(key []byte)]
}

func (t beforePutTxn) Put(key, value []byte) error {
	if run := t.run.Load(); run != nil {
		(*run)(key)
	}
	return t.Txn.Put(key, value)
}

// A panic in an Update, of a clock that callers bring, say, leaves nothing behind
// that the next Updates and pages would wait for.
func TestPanicInUpdate(t *testing.T) {
	w := memoryWorld(t)
	put := new(atomic.Pointer[func([]byte)])
	w.decorate(func(b backend.Backend) backend.Backend { return beforePut{b, put} })
	for i := range 4 {
		w.createFor(fmt.Sprintf("m%d", i), 1)
	}
	w.clock.Leap(400 * day)
	panics := func(key []byte) {
		if key[0] == encoding.SpaceProduct {
			panic("the clock is broken")
		}
	}
	put.Store(&panics)
	require.Panics(t, func() { _, _ = w.c().Upsert(t.Context(), acme, "x", withImage(catalog.Patch{})) })
	lists := func(key []byte) {
		if key[0] != encoding.SpaceProduct {
			return
		}
		put.Store(nil)
		_, err := w.c().List(t.Context(), acme, catalog.ListOptions{})
		require.NoError(t, err)
	}
	put.Store(&lists)
	w.create("y")
	w.create("x")
}

// contract 5: where products that live stand among many that have expired, pages
// cost no more for it once these have been met.
func TestPagesAmongRunsOfExpired(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	c := w.c()
	catalog.OrdinaryDeadSpans(c)
	const runs, expired = 120, 300
	var items []catalog.UpsertItem
	for i := range runs {
		for j := range expired {
			items = append(items, catalog.UpsertItem{ExternalID: fmt.Sprintf("%03d-%03d", i, j), Patch: withImage(catalog.Patch{ValidForDays: catalog.Set(1)})})
		}
		items = append(items, catalog.UpsertItem{ExternalID: fmt.Sprintf("%03d-z", i), Patch: withImage(catalog.Patch{})})
	}
	for _, r := range c.UpsertMany(t.Context(), acme, items) {
		require.NoError(t, r.Err)
	}
	w.clock.Leap(400 * day)
	for round := range 2 {
		cursor, products := "", 0
		for {
			w.probe.reset()
			page, err := c.List(t.Context(), acme, catalog.ListOptions{Cursor: cursor})
			require.NoError(t, err)
			products += len(page.Products)
			if round > 0 {
				require.LessOrEqual(t, w.probe.entries.Load(), int64(3*51), "a living product, and one that was looked at before the span")
			}
			if !page.HasMore {
				break
			}
			cursor = page.NextCursor
		}
		require.Equal(t, runs, products)
	}
}

// A product that is created in front of what a page has read, before the page
// begins to watch the account, is in no dead span.
func TestCreatedBeforeThePageWatches(t *testing.T) {
	w := memoryWorld(t)
	p := w.watch()
	for i := range 6 {
		w.createFor(fmt.Sprintf("m%d", i), 1)
	}
	w.clock.Leap(400 * day)
	p.reset()
	create := func(n int64) {
		if n == 1 {
			p.onEntry.Store(nil)
			w.create("a")
		}
	}
	p.onEntry.Store(&create)
	for range 2 {
		page, err := w.c().List(t.Context(), acme, catalog.ListOptions{})
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, ids(page.Products))
	}
}

// TestNoDeadSpansWhereOthersWrite: what one process has seen to be expired another
// may have made anew.
func TestNoDeadSpansWhereOthersWrite(t *testing.T) {
	store := memory.New(&memory.Options{Shared: true})
	clock := ttl.NewManualClock(epoch)
	open := func() *catalog.Catalog {
		c, err := catalog.Open(t.Context(), store.Handle(), &catalog.Options{Clock: clock, Sweeper: ttl.SweeperOptions{Grace: 1000 * day}})
		require.NoError(t, err)
		catalog.EagerDeadSpans(c)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		return c
	}
	reader, writer := open(), open()
	p := withImage(catalog.Patch{ValidForDays: catalog.Set(1)})
	for i := range 20 {
		_, err := writer.Upsert(t.Context(), acme, fmt.Sprintf("m%02d", i), p)
		require.NoError(t, err)
	}
	clock.Advance(2 * day)
	list := func() []string {
		page, err := reader.List(t.Context(), acme, catalog.ListOptions{})
		require.NoError(t, err)
		return ids(page.Products)
	}
	require.Empty(t, list())
	require.Empty(t, list())
	_, err := writer.Upsert(t.Context(), acme, "m10", p)
	require.NoError(t, err)
	require.Equal(t, []string{"m10"}, list())
}
