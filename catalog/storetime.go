package catalog

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/storeclock"
	"github.com/shelflife-db/shelflife/encoding"
)

// A timedBackend takes the store's time from every read that goes through it.
// What reads and then asks the clock so asks for a time that is not before the
// read, in the store's own reckoning, at no request of its own.
//
// Of a scan the first step alone counts, and of a snapshot the first scan: the times
// of the others are those of the beginning.
type timedBackend struct {
	backend.Backend
	clock *storeclock.Clock
}

func (b timedBackend) Unwrap() backend.Backend { return b.Backend }

// stamped runs a read whose answer brings the time.
func (b timedBackend) stamped(ctx context.Context, read func(context.Context)) {
	var at backend.ReadTime
	// Deferred, as the caller's callback may panic.
	defer b.observe(&at)
	read(backend.WithReadTime(ctx, &at))
}

func (b timedBackend) observe(at *backend.ReadTime) {
	if ms, ok := at.Unix(); ok {
		b.clock.Observe(ms)
	}
}

func (b timedBackend) Get(ctx context.Context, key []byte, fn func([]byte) error) (found bool, err error) {
	b.stamped(ctx, func(ctx context.Context) { found, err = b.Backend.Get(ctx, key, fn) })
	return found, err
}

func (b timedBackend) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) (err error) {
	b.stamped(ctx, func(ctx context.Context) { err = b.Backend.GetMany(ctx, keys, fn) })
	return err
}

func (b timedBackend) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return b.scan(ctx, b.Backend, r, o)
}

func (b timedBackend) scan(ctx context.Context, from backend.Reader, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		var at backend.ReadTime
		first := true
		for e, err := range from.Scan(backend.WithReadTime(ctx, &at), r, o) {
			if first {
				b.observe(&at)
				first = false
			}
			if !yield(e, err) {
				return
			}
		}
		if first {
			b.observe(&at)
		}
	}
}

func (b timedBackend) Snapshot(ctx context.Context) (backend.Snapshot, error) {
	s, err := b.Backend.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return &timedSnapshot{Snapshot: s, b: b}, nil
}

type timedSnapshot struct {
	backend.Snapshot
	b       timedBackend
	scanned atomic.Bool
}

func (s *timedSnapshot) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	if s.scanned.Swap(true) {
		return s.Snapshot.Scan(ctx, r, o)
	}
	return s.b.scan(ctx, s.Snapshot, r, o)
}

func (b timedBackend) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	return b.Backend.Update(ctx, scopes, o, func(ctx context.Context, txn backend.Txn) error {
		return fn(ctx, timedTxn{txn, b})
	})
}

type timedTxn struct {
	backend.Txn
	b timedBackend
}

func (t timedTxn) Get(ctx context.Context, key []byte, fn func([]byte) error) (found bool, err error) {
	t.b.stamped(ctx, func(ctx context.Context) { found, err = t.Txn.Get(ctx, key, fn) })
	return found, err
}

func (t timedTxn) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) (err error) {
	t.b.stamped(ctx, func(ctx context.Context) { err = t.Txn.GetMany(ctx, keys, fn) })
	return err
}

func (t timedTxn) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return t.b.scan(ctx, t.Txn, r, o)
}

// errNoStamp says that a backend does not do what its Properties state.
var errNoStamp = errors.New("the backend states a clock, and its reads bring no time")

// learnTime asks for the store's time by a read that serves nothing else, where
// the clock may have stood still or leapt since the last one.
func (c *Catalog) learnTime(ctx context.Context) error {
	if !c.clocked {
		return nil
	}
	key := encoding.AppendMetaKey(nil, encoding.StoreMetaName)
	_, err := c.backend.Get(ctx, key, func([]byte) error { return nil })
	return err
}
