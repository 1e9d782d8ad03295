package catalog_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// hooked collects what OnExpire was called with. It is the configuration of
// every catalog of a world.
type hooked struct {
	mu    sync.Mutex // guards calls
	calls []catalog.Expired
}

func (h *hooked) configure(o *catalog.Options) {
	o.OnExpire = func(_ context.Context, _ *catalog.Catalog, e catalog.Expired) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.calls = append(h.calls, e)
	}
}

// take returns the calls so far by version, once the queues are drained: Close
// does that.
func (h *hooked) take(w *world) map[catalog.Version]catalog.Expired {
	w.t.Helper()
	w.reopen()
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[catalog.Version]catalog.Expired{}
	for _, e := range h.calls {
		_, twice := out[e.Product.Version()]
		require.False(w.t, twice, "%s: more than once", e.Product.ExternalID)
		out[e.Product.Version()] = e
	}
	h.calls = nil
	return out
}

// contract 7: OnExpire is called once per product, also when an upsert replaced
// it and whichever process did, never for deletes; Close drains the queue.
func TestOnExpire(t *testing.T) {
	var h *hooked // that of the store at hand
	configure := func(o *catalog.Options) {
		h = new(hooked)
		h.configure(o)
	}
	onEveryStore(t, configure, func(t *testing.T, w *world) { onExpire(t, w, h) })
}

func onExpire(t *testing.T, w *world, h *hooked) {
	ctx := t.Context()
	want := map[catalog.Version]catalog.Expired{}
	expires := func(p *catalog.Product) { want[p.Version()] = catalog.Expired{Account: acme, Product: p} }

	for i := range 100 {
		expires(w.createFor(fmt.Sprint("swept", i), 1))
	}
	w.createFor("used", 1)
	expires(w.upsert("bytes", catalog.Patch{Title: catalog.Set("t"), ValidForDays: catalog.Set(1), Images: imagesOf(pngOf(1, 9, 9))}))
	for _, way := range []string{"explicit", "inline", "many"} {
		expires(w.createFor(way, 1))
	}
	w.createFor("deleted", 1)
	w.createFor("account", 1)
	w.create("forever")
	w.clock.Advance(time.Hour)
	expires(w.use("used")) // as it was in its last moment
	require.NoError(t, w.c().Delete(ctx, acme, "deleted"))
	w.clock.Advance(day)

	// Refused upserts replace nothing.
	_, err := w.c().Upsert(ctx, acme, "explicit", withImage(catalog.Patch{}), catalog.IfExists())
	require.ErrorIs(t, err, catalog.ErrPreconditionFailed)
	_, err = w.c().Upsert(ctx, acme, "explicit", catalog.Patch{})
	require.Error(t, err)
	require.ErrorIs(t, w.c().Delete(ctx, acme, "explicit"), catalog.ErrNotFound)
	// Three ways of replacing.
	res, err := w.c().Upsert(ctx, acme, "explicit", catalog.Patch{Images: imagesOf(pngOf(1, 600, 600)), ValidForDays: catalog.Set(2)})
	require.NoError(t, err)
	require.Equal(t, catalog.Created, res.Outcome)
	expires(res.Product)
	_, err = w.c().UpsertInline(ctx, acme, "inline", withImage(catalog.Patch{}))
	require.NoError(t, err)
	item := catalog.UpsertItem{ExternalID: "many", Patch: withImage(catalog.Patch{})}
	for _, res := range w.c().UpsertMany(ctx, acme, []catalog.UpsertItem{item, item}) {
		require.NoError(t, res.Err)
	}
	w.clock.Advance(2 * day)
	w.upsert("account", withImage(catalog.Patch{})) // expired long since: replaced
	accountExpired := 1
	w.sweepAll()
	w.sweepAll()
	got := h.take(w)
	require.Len(t, got, len(want)+accountExpired)
	for v, e := range want {
		require.Equal(t, e, got[v])
	}

	// Nothing is reported twice, deletes are not, whatever has expired among them.
	w.createFor("x", 1)
	w.clock.Advance(day)
	_, err = w.c().DeleteAccount(ctx, acme)
	require.NoError(t, err)
	w.sweepAll()
	require.Empty(t, h.take(w))
}

// contract 7: off the foreground path: a hook that blocks holds up no call, and
// Close drains what waits for it.
func TestOnExpireBlocksNothing(t *testing.T) {
	release, done := make(chan struct{}), make(chan string, 100)
	w := behindGlass(t, catalog.Options{OnExpire: func(ctx context.Context, c *catalog.Catalog, e catalog.Expired) {
		<-release
		// It may call the catalog, which shows that it has happened.
		p, err := c.Get(ctx, e.Account, e.Product.ExternalID)
		if err != nil || p.Version() == e.Product.Version() {
			done <- fmt.Sprintf("%s: %v", e.Product.ExternalID, err)
			return
		}
		done <- p.ExternalID
	}})
	const products = 50
	for i := range products {
		w.createFor(fmt.Sprint(i), 1)
	}
	w.clock.Advance(day)
	for i := range products {
		w.create(fmt.Sprint(i))
	}
	w.sweepAll()
	require.Equal(t, []string{"0"}, w.listAll(catalog.ListOptions{Limit: 1})[0])
	require.Empty(t, done)
	close(release)
	for i := range products {
		require.Equal(t, fmt.Sprint(i), <-done, "in the order of the commits")
	}
}

// contract 7: Close drains the queue: every expiry that was committed has been
// reported when it returns.
func TestCloseDrainsOnExpire(t *testing.T) {
	first, release := make(chan struct{}, 1), make(chan struct{})
	calls := 0
	w := behindGlass(t, catalog.Options{OnExpire: func(context.Context, *catalog.Catalog, catalog.Expired) {
		calls++
		select {
		case first <- struct{}{}:
		default:
		}
		<-release
	}})
	for i := range 20 {
		w.createFor(fmt.Sprint(i), 1)
	}
	w.clock.Advance(day)
	for i := range 20 {
		w.create(fmt.Sprint(i))
	}
	<-first
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		w.close()
	}()
	select {
	case <-closed:
		t.Error("closed before the hook had returned")
	default:
	}
	close(release)
	<-closed
	require.Equal(t, 20, calls)
	w.start()
}

// The hook gets the catalog, and a context that ends when Close is called: one
// that waits for it does not keep Close from ending, and what is queued is
// reported all the same.
func TestOnExpireEndsWithTheCatalog(t *testing.T) {
	const products = 10
	var got []*catalog.Catalog
	var causes, calls []error
	first := make(chan struct{})
	w := behindGlass(t, catalog.Options{OnExpire: func(ctx context.Context, c *catalog.Catalog, e catalog.Expired) {
		if len(got) == 0 {
			if ctx.Err() != nil {
				t.Error("the context has ended before Close was called")
			}
			close(first)
		}
		got = append(got, c)
		<-ctx.Done()
		_, err := c.Get(context.WithoutCancel(ctx), e.Account, e.Product.ExternalID)
		causes, calls = append(causes, context.Cause(ctx)), append(calls, err)
	}})
	for i := range products {
		w.createFor(fmt.Sprint(i), 1)
	}
	w.clock.Advance(day)
	for i := range products {
		w.create(fmt.Sprint(i))
	}
	<-first
	closing := w.c()
	w.close()
	require.Len(t, got, products)
	for i := range got {
		require.Same(t, closing, got[i])
		require.ErrorIs(t, causes[i], catalog.ErrClosed)
		require.ErrorIs(t, calls[i], catalog.ErrClosed)
	}
	w.start()
}

// A function that ends its goroutine, as a failing assertion in a test does,
// keeps neither the sweeper nor the other expiries waiting.
func TestOnExpireEndsItsGoroutine(t *testing.T) {
	var calls atomic.Int64
	w := behindGlass(t, catalog.Options{OnExpire: func(context.Context, *catalog.Catalog, catalog.Expired) {
		if calls.Add(1)%3 == 0 {
			runtime.Goexit()
		}
	}})
	const products = 3000 // more than may wait
	items := make([]catalog.UpsertItem, products)
	for i := range items {
		p := withImage(catalog.Patch{ValidForDays: catalog.Set(1)})
		items[i] = catalog.UpsertItem{ExternalID: fmt.Sprint(i), Patch: p}
	}
	for _, r := range w.c().UpsertMany(t.Context(), acme, items) {
		require.NoError(t, r.Err)
	}
	w.clock.Advance(day + time.Minute)
	w.sweep()
	w.close()
	require.EqualValues(t, products, calls.Load())
}
