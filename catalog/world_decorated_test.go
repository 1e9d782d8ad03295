package catalog_test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// decorate reopens the catalogs with a decorator around each handle on the
// store.
func (w *world) decorate(d func(backend.Backend) backend.Backend) {
	w.close()
	open := w.open
	w.open = func() backend.Backend { return d(open()) }
	w.start()
}

// recorder counts the writes of committed Updates by the space of their keys.
type recorder struct {
	mu     sync.Mutex // guards writes
	writes map[byte]int
}

// record has every catalog of w write through a recorder.
func (w *world) record() *recorder {
	r := &recorder{writes: map[byte]int{}}
	w.decorate(func(b backend.Backend) backend.Backend { return recordingBackend{b, r} })
	r.take()
	return r
}

// take returns how many keys of products, lists, images and expiry were
// written since the last call.
func (r *recorder) take() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for space, writes := range r.writes {
		if space != encoding.SpaceMeta {
			n += writes
		}
	}
	clear(r.writes)
	return n
}

type recordingBackend struct {
	backend.Backend
	r *recorder
}

func (b recordingBackend) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	var keys []byte // the spaces of the last run
	err := b.Backend.Update(ctx, scopes, o, func(ctx context.Context, txn backend.Txn) error {
		keys = keys[:0]
		return fn(ctx, recordingTxn{txn, &keys})
	})
	if err == nil {
		b.r.mu.Lock()
		defer b.r.mu.Unlock()
		for _, space := range keys {
			b.r.writes[space]++
		}
	}
	return err
}

type recordingTxn struct {
	backend.Txn
	spaces *[]byte
}

func (t recordingTxn) Put(key, value []byte) error {
	*t.spaces = append(*t.spaces, key[0])
	return t.Txn.Put(key, value)
}

func (t recordingTxn) Delete(key []byte, valueSize int) error {
	*t.spaces = append(*t.spaces, key[0])
	return t.Txn.Delete(key, valueSize)
}

func (t recordingTxn) DeleteRange(r backend.Range) error {
	*t.spaces = append(*t.spaces, r.Start[0])
	return t.Txn.DeleteRange(r)
}

// obstacle is what stands in the way of the Updates of calls. Those of the
// catalog's own goroutines, of which a test cannot say when they come, pass. The
// zero value lets all pass.
type obstacle struct {
	// before, if it is not nil, is called before an Update begins.
	before atomic.Pointer[func()]
	// refused, if it is not nil, is called when an Update has ended with an
	// error.
	refused atomic.Pointer[func()]
	// fail, if it is not nil, is what Updates return instead of running.
	fail atomic.Pointer[error]
}

// obstruct has every catalog of w write past an obstacle.
func (w *world) obstruct() *obstacle {
	o := new(obstacle)
	w.decorate(func(b backend.Backend) backend.Backend { return obstructedBackend{b, o} })
	return o
}

type obstructedBackend struct {
	backend.Backend
	o *obstacle
}

func (b obstructedBackend) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if o.Buffered && o.Reclaim { // a sweep, its progress, or a fold of uses
		return b.Backend.Update(ctx, scopes, o, fn)
	}
	if before := b.o.before.Load(); before != nil {
		(*before)()
	}
	if err := b.o.fail.Load(); err != nil {
		return *err
	}
	err := b.Backend.Update(ctx, scopes, o, fn)
	if refused := b.o.refused.Load(); refused != nil && err != nil {
		(*refused)()
	}
	return err
}

// requireStored waits out every grace, removes what is due and checks how many
// products and images are left in the store.
func (w *world) requireStored(products, blobs int) {
	w.t.Helper()
	w.clock.Advance(time.Hour + time.Minute) // staged images
	w.sweep()
	w.clock.Advance(16 * time.Minute) // replaced ones
	w.sweep()
	report := w.check()
	require.Equal(w.t, products, report.Products, "products in the store")
	require.Equal(w.t, blobs, report.Blobs, "images in the store")
}

func (w *world) check() catalog.CheckReport {
	w.t.Helper()
	report, err := w.c().Check(w.t.Context())
	require.NoError(w.t, err)
	require.Empty(w.t, report.Problems)
	return report
}
