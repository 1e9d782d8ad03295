package pebble

import (
	"context"

	"github.com/shelflife-db/shelflife/backend"
)

// outcome is what an Update has done under its locks, and waits for after them.
type outcome struct {
	// sync is the commit to be settled, if it has a batch.
	sync pendingSync
	// read is the position up to which the callback can have read.
	read uint64
	// err is the callback's.
	err error
}

// Update implements backend.Backend. The callback runs once.
func (s *Store) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions,
	fn func(context.Context, backend.Txn) error,
) error {
	if backend.InUpdate(ctx, s) {
		return backend.ErrNested
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.life.Exit()
	if err := s.admit(ctx, o); err != nil {
		return err
	}
	out, err := s.run(ctx, scopes, o, fn)
	if err != nil {
		return err
	}
	switch {
	case o.Buffered:
	case out.sync.batch != nil:
		err = s.durable.settle(out.sync, o.Patient)
	default:
		err = s.durable.wait(ctx, out.read, o.Patient)
	}
	if err != nil {
		return err
	}
	return out.err
}

// run calls fn under the scopes' locks and applies what it wrote. An error
// says that there is nothing to wait for.
func (s *Store) run(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions,
	fn func(context.Context, backend.Txn) error,
) (out outcome, err error) {
	var space [6]hold // enough for three scopes
	h, err := s.stripes.acquire(ctx, s.hang.begunFor(o.Patient), space[:0], scopes)
	if err != nil {
		return out, err
	}
	defer s.stripes.release(h)
	// The store may have failed while this call waited.
	if err := s.fail.unavailable(); err != nil {
		return out, err
	}
	t := &txn{db: s.db, whole: h.whole()}
	defer t.end()
	if out.err = fn(backend.MarkUpdate(ctx, s), t); out.err != nil {
		out.read = s.stripes.last(h)
		return out, nil
	}
	if err := ctx.Err(); err != nil {
		return out, err
	}
	if t.empty() {
		out.read = s.stripes.last(h)
	} else {
		if err := s.fail.unavailable(); err != nil {
			return out, err
		}
		s.dirty.Store(true)
		s.stripes.begin(h)
		if out.sync, err = s.durable.commit(t.take(), !o.Buffered); err != nil {
			return out, err
		}
		s.stripes.applied(h, out.sync.pos)
	}
	s.announce(t.visible, out.sync)
	return out, nil
}

// announce calls the functions of a commit that is visible. Should one of them
// panic, others still wait for the commit's sync.
func (s *Store) announce(fns []func(), sync pendingSync) {
	if len(fns) == 0 {
		return
	}
	called := false
	defer func() {
		if !called && sync.batch != nil {
			_ = s.durable.settle(sync, true)
		}
	}()
	for _, fn := range fns {
		fn()
	}
	called = true
}

// Durable implements backend.Backend.
func (s *Store) Durable(ctx context.Context, scopes []backend.Scope) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.life.Exit()
	var pos uint64
	for _, c := range scopes {
		pos = max(pos, s.stripes.visible(c))
	}
	if pos == applying {
		return s.durable.syncWithin(ctx, false)
	}
	return s.durable.wait(ctx, pos, false)
}
