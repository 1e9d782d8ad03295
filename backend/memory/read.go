package memory

import (
	"bytes"
	"context"
	"iter"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/backend"
)

// Get implements [backend.Reader].
func (s *Store) Get(ctx context.Context, key []byte, fn func(value []byte) error) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.life.Exit()
	return s.data.committed.Load().get(key, fn)
}

// GetMany implements [backend.Reader].
func (s *Store) GetMany(ctx context.Context, keys [][]byte, fn func(i int, value []byte) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.life.Exit()
	return s.data.committed.Load().getMany(ctx, keys, fn)
}

// Scan implements [backend.Reader].
func (s *Store) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		s.heal.await()
		v := s.view()
		v.scan(ctx, r, o, func() error { return s.readable(v) }, yield)
	}
}

// Snapshot implements [backend.Backend].
func (s *Store) Snapshot(ctx context.Context) (backend.Snapshot, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.life.Exit()
	return &snapshot{store: s, view: s.view()}, nil
}

// snapshot is a version of the store that a reader keeps. It has no reference to
// the store: there is nothing in it that Close would have to release.
type snapshot struct {
	store  *Store
	view   view
	closed atomic.Bool
}

var _ backend.Snapshot = (*snapshot)(nil)

func (s *snapshot) Get(ctx context.Context, key []byte, fn func(value []byte) error) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.store.life.Exit()
	return s.view.get(key, fn)
}

func (s *snapshot) GetMany(ctx context.Context, keys [][]byte, fn func(i int, value []byte) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.store.life.Exit()
	return s.view.getMany(ctx, keys, fn)
}

func (s *snapshot) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		s.view.scan(ctx, r, o, s.ready, yield)
	}
}

func (s *snapshot) Close() error {
	s.closed.Store(true)
	return nil
}

// ready reports whether the snapshot can be read.
func (s *snapshot) ready() error {
	if s.closed.Load() {
		return backend.ErrClosed
	}
	return s.store.readable(s.view)
}

// enter counts a call in, which must be counted out when err is nil.
func (s *snapshot) enter(ctx context.Context) error {
	if s.closed.Load() {
		return backend.ErrClosed
	}
	if err := s.store.enter(ctx); err != nil {
		return err
	}
	if err := s.store.readable(s.view); err != nil {
		s.store.life.Exit()
		return err
	}
	return nil
}

func (v *version) get(key []byte, fn func(value []byte) error) (bool, error) {
	i, ok := v.tree.Get(item{key: key})
	if !ok {
		return false, nil
	}
	return true, fn(i.value[:len(i.value):len(i.value)])
}

func (v *version) getMany(ctx context.Context, keys [][]byte, fn func(i int, value []byte) error) error {
	for n, key := range keys {
		if n%ctxEvery == ctxEvery-1 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if i, ok := v.tree.Get(item{key: key}); ok {
			if err := fn(n, i.value[:len(i.value):len(i.value)]); err != nil {
				return err
			}
		}
	}
	return nil
}

// scan yields the entries of r while ready returns nil.
func (v *version) scan(ctx context.Context, r backend.Range, o backend.ScanOptions, ready func() error, yield func(backend.Entry, error) bool) {
	r = backend.Range{Start: bytes.Clone(r.Start), End: bytes.Clone(r.End)}
	check := func() error {
		if err := ready(); err != nil {
			return err
		}
		return ctx.Err()
	}
	stopped := false
	var err error
	step := func(i item) bool {
		if err = check(); err != nil {
			return false
		}
		// The capacity ends with the key, so that appending copies.
		e := backend.Entry{Key: i.key[:len(i.key):len(i.key)]}
		if !o.KeysOnly {
			e.Value = i.value[:len(i.value):len(i.value)]
		}
		stopped = !yield(e, nil)
		return !stopped
	}
	if o.Reverse {
		v.descend(r, step)
	} else {
		v.ascend(r, step)
	}
	if stopped {
		return
	}
	// The end of the keys is a step too.
	if err == nil {
		err = check()
	}
	if err != nil {
		yield(backend.Entry{}, err)
	}
}

func (v *version) ascend(r backend.Range, fn func(item) bool) {
	v.tree.AscendGreaterOrEqual(item{key: r.Start}, func(i item) bool {
		if r.End != nil && bytes.Compare(i.key, r.End) >= 0 {
			return false
		}
		return fn(i)
	})
}

func (v *version) descend(r backend.Range, fn func(item) bool) {
	step := func(i item) bool {
		if r.End != nil && bytes.Compare(i.key, r.End) >= 0 {
			return true // End itself
		}
		if bytes.Compare(i.key, r.Start) < 0 {
			return false
		}
		return fn(i)
	}
	if r.End == nil {
		v.tree.Descend(step)
		return
	}
	v.tree.DescendLessOrEqual(item{key: r.End}, step)
}
