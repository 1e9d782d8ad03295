package backendtest

import (
	"context"
	"iter"
	"time"

	"github.com/shelflife-db/shelflife/backend"
)

// Clocked gives b the clock now in place of its own, for tests that set the time of
// a store which several processes share: reads are stamped with what it says
// before they begin, and Properties.Clock is set.
func Clocked(b backend.Backend, now func() time.Time) backend.Backend { return clocked{b, now} }

type clocked struct {
	backend.Backend
	now func() time.Time
}

func (b clocked) Unwrap() backend.Backend { return b.Backend }

func (b clocked) Properties() backend.Properties {
	p := b.Backend.Properties()
	p.Clock = true
	return p
}

// stamp begins a read: what it returns stamps it, with a time of before.
func (b clocked) stamp(ctx context.Context) (inner context.Context, end func()) {
	t, now := backend.ReadTimeOf(ctx), b.now().UnixMilli()
	return backend.WithReadTime(ctx, nil), func() {
		if t != nil {
			t.Observe(now)
		}
	}
}

func (b clocked) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	ctx, end := b.stamp(ctx)
	defer end()
	return b.Backend.Get(ctx, key, fn)
}

func (b clocked) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	ctx, end := b.stamp(ctx)
	defer end()
	return b.Backend.GetMany(ctx, keys, fn)
}

func (b clocked) scan(ctx context.Context, from backend.Reader, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		ctx, end := b.stamp(ctx)
		end()
		from.Scan(ctx, r, o)(yield)
	}
}

func (b clocked) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return b.scan(ctx, b.Backend, r, o)
}

func (b clocked) Snapshot(ctx context.Context) (backend.Snapshot, error) {
	now := b.now()
	s, err := b.Backend.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return clockedSnapshot{s, clocked{b.Backend, func() time.Time { return now }}}, nil
}

// clockedSnapshot shows the time of its beginning.
type clockedSnapshot struct {
	backend.Snapshot
	b clocked
}

func (s clockedSnapshot) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	ctx, end := s.b.stamp(ctx)
	defer end()
	return s.Snapshot.Get(ctx, key, fn)
}

func (s clockedSnapshot) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	ctx, end := s.b.stamp(ctx)
	defer end()
	return s.Snapshot.GetMany(ctx, keys, fn)
}

func (s clockedSnapshot) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return s.b.scan(ctx, s.Snapshot, r, o)
}

func (b clocked) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	return b.Backend.Update(ctx, scopes, o, func(ctx context.Context, txn backend.Txn) error {
		return fn(ctx, clockedTxn{txn, b})
	})
}

type clockedTxn struct {
	backend.Txn
	b clocked
}

func (t clockedTxn) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	ctx, end := t.b.stamp(ctx)
	defer end()
	return t.Txn.Get(ctx, key, fn)
}

func (t clockedTxn) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	ctx, end := t.b.stamp(ctx)
	defer end()
	return t.Txn.GetMany(ctx, keys, fn)
}

func (t clockedTxn) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return t.b.scan(ctx, t.Txn, r, o)
}
