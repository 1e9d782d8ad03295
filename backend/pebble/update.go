package pebble

import (
	"context"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/diskguard"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/scopelock"
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
	w := s.hang.Wait(ctx, s.fail, o.Patient)
	if err := s.gate.admit(w, o.Reclaim); err != nil {
		return err
	}
	out, err := s.run(ctx, w, scopes, o.Buffered, fn)
	if err != nil {
		return err
	}
	switch {
	case o.Buffered:
	case out.sync.batch != nil:
		err = s.durable.settle(w, out.sync)
	default:
		err = s.durable.wait(w, out.read)
	}
	if err != nil {
		return err
	}
	return out.err
}

// run calls fn under the scopes' locks and applies what it wrote. An error
// says that there is nothing to wait for.
func (s *Store) run(ctx context.Context, w diskguard.Wait, scopes []backend.Scope, buffered bool,
	fn func(context.Context, backend.Txn) error,
) (out outcome, err error) {
	var space [6]scopelock.Hold // enough for three scopes
	h, err := s.scopes.Acquire(w.Until, space[:0], scopes)
	if err != nil {
		return out, err
	}
	defer s.scopes.Release(h)
	// The store may have failed while this call waited.
	if err := s.fail.Unavailable(); err != nil {
		return out, err
	}
	t := &txn{db: s.db, whole: h.Whole()}
	defer t.end()
	if out.err = fn(backend.MarkUpdate(ctx, s), t); out.err != nil {
		out.read = s.scopes.Last(h)
		return out, nil
	}
	if err := ctx.Err(); err != nil {
		return out, err
	}
	if t.empty() {
		out.read = s.scopes.Last(h)
	} else {
		if err := s.fail.Unavailable(); err != nil {
			return out, err
		}
		s.dirty.Store(true)
		s.scopes.Begin(h)
		deleted := t.deletions()
		if out.sync, err = s.durable.commit(t.take(), !buffered); err != nil {
			return out, err
		}
		s.scopes.Applied(h, out.sync.pos)
		s.unflushed.Store(true)
		s.note(deleted) // now that they are visible, see reclaimer
	}
	s.announce(t.visible, out.sync)
	return out, nil
}

// note has the ledger take deletions.
func (s *Store) note(deleted []deletion) {
	for _, d := range deleted {
		if d.end == nil {
			s.ledger.Deleted(d.start, d.size)
			continue
		}
		n, _ := s.db.EstimateDiskUsage(d.start, d.end) // an estimate, or none
		s.ledger.DeletedRange(d.start, d.end, int64(n))
		s.ranged.Store(true)
	}
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
			_ = s.durable.settlePatiently(sync)
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
		pos = max(pos, s.scopes.Visible(c))
	}
	w := s.hang.Wait(ctx, s.fail, false)
	if pos == scopelock.Applying {
		return s.durable.syncWithin(w)
	}
	return s.durable.wait(w, pos)
}
