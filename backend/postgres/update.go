package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/shelflife-db/shelflife/backend"
)

// optimistic is how often an Update runs before it locks its scopes on the
// server for the length of a run: then no other Update can overtake it.
const optimistic = 4

// Update implements [backend.Backend].
func (s *Store) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.life.Exit()
	if backend.InUpdate(ctx, s) {
		return backend.ErrNested
	}
	s.updates.Add(1)
	var p pause
	for run := 1; ; run++ {
		var again bool
		var err error
		switch {
		case run <= optimistic:
			again, err = s.attempt(ctx, scopes, o, run == 1, fn)
		case s.portable:
			if !p.wait(ctx, s.life.Closing()) {
				return s.step(ctx)
			}
			again, err = s.attempt(ctx, scopes, o, false, fn)
		default:
			again, err = s.attemptHeld(ctx, scopes, o, fn)
		}
		if !again {
			return err
		}
		s.reruns.Add(1)
		if err := s.step(ctx); err != nil {
			return err
		}
	}
}

// wait waits for the turn of a ticket. After an error the ticket is given up.
func (s *Store) wait(ctx context.Context, t *ticket) error {
	var err error
	select {
	case <-t.ready:
		err = ctx.Err()
	case <-ctx.Done():
		err = ctx.Err()
	case <-s.life.Closing():
		err = backend.ErrClosed
	}
	if err != nil {
		s.giveUp(t)
	}
	return err
}

// attempt runs fn once, optimistically. Again says that the run does not count. The
// first run believes what fn expects.
func (s *Store) attempt(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, first bool, fn func(context.Context, backend.Txn) error) (again bool, err error) {
	t := s.queue(scopes)
	if err := s.wait(ctx, t); err != nil {
		return false, err
	}
	joined := false
	// Deferred, as fn may panic or end the goroutine instead of returning: those
	// behind it run on, and what it wrote is forgotten.
	defer func() {
		if !joined {
			s.mu.Lock()
			s.release(t, nil)
			s.mu.Unlock()
		}
	}()
	x := &txn{s: s, began: time.Now(), whole: hasWhole(scopes), believes: first}
	if n := len(scopes); n > manyScopes {
		x.own.keys = make(map[string]write, keysOfScope*n)
	}
	s.mu.Lock()
	x.view = reachable(t.after)
	s.mu.Unlock()
	defer func() { x.ended = true }()
	err = fn(backend.MarkUpdate(ctx, s), x)
	x.ended = true
	x.keep()
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil && x.failed != nil && errors.Is(err, x.failed) {
		return false, err // the engine's own: it says nothing of what was read
	}
	writes := err == nil && !x.own.empty()
	if !writes && x.states <= 1 {
		// One state was read, and it was a committed one.
		if err == nil {
			for _, fn := range x.visible {
				fn()
			}
		}
		return false, err
	}
	m := s.join(t, x, writes, o)
	joined = true
	fns := x.visible
	if err != nil {
		fns = nil
	}
	again, failed := m.await(fns)
	if failed != nil {
		return false, failed
	}
	return again, err
}

// An Update of more than manyScopes has memory for keysOfScope keys of each from the
// beginning, as a product has no more that sweeps remove: to have it grow with the keys
// is a tenth of what a sweep costs its process.
const (
	manyScopes  = 16
	keysOfScope = 3
)

func hasWhole(scopes []backend.Scope) bool {
	return slices.ContainsFunc(scopes, func(s backend.Scope) bool { return s.Item == "" })
}

// heldIdle is how long the server keeps the locks of a process that has stopped
// in the middle of a run.
const heldIdle = "30s"

// attemptHeld runs fn once while the server holds the locks of its scopes, for
// Updates that others keep overtaking. The commits before it have ended, and
// no other Update of this process runs beside it, so that it reads the table alone.
func (s *Store) attemptHeld(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) (again bool, err error) {
	t := s.queue(scopes)
	if err := s.wait(ctx, t); err != nil {
		return false, err
	}
	defer func() {
		s.mu.Lock()
		s.release(t, nil)
		s.mu.Unlock()
	}()
	for {
		s.mu.Lock()
		before := reachable(t.after)
		s.mu.Unlock()
		if len(before) == 0 {
			break
		}
		select {
		case <-before[0].done:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	if err := s.sendable(o.Patient); err != nil {
		return false, err
	}
	acquire, cancel := context.WithTimeout(ctx, s.o.CallTimeout)
	defer cancel()
	conn, err := s.calls.Acquire(acquire)
	if err != nil {
		return s.heldError(ctx, err)
	}
	defer conn.Release() // a connection in a transaction is closed, which ends that
	b := &batch{s: s, ver: newVersion(), scopes: map[backend.Scope]struct{}{}, reads: map[string]int64{}}
	for _, scope := range t.scopes {
		b.scopes[scope] = struct{}{}
	}
	if err := s.hold(ctx, conn.Conn(), b, o); err != nil {
		return s.heldError(ctx, err)
	}
	x := &txn{s: s, whole: hasWhole(scopes), held: conn.Conn()}
	defer func() { x.ended = true }()
	err = fn(backend.MarkUpdate(ctx, s), x)
	x.ended = true
	x.keep()
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err == nil && !x.own.empty() {
		b.writes = x.own
		if err := s.commitHeld(conn.Conn(), b, o); err != nil {
			if errors.Is(err, errAgain) {
				return true, nil
			}
			return false, err
		}
	} else {
		_, _ = conn.Conn().PgConn().Exec(acquire, "ROLLBACK").ReadAll() // nothing was written
	}
	if err == nil {
		for _, fn := range x.visible {
			fn()
		}
	}
	return false, err
}

// heldError is the result of a run that did not begin.
func (s *Store) heldError(ctx context.Context, err error) (again bool, _ error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if code := sqlState(err); code == stateDeadlock || code == stateSerialization {
		return true, nil
	}
	if ended(err) { // else the server has answered: it waited for a lock in vain
		s.lostWrite(err, s.sinceOpen())
	}
	return false, readError(err)
}

// hold begins a transaction with the locks of a batch.
func (s *Store) hold(ctx context.Context, c *pgx.Conn, b *batch, o backend.UpdateOptions) error {
	limited, cancel := context.WithTimeout(ctx, s.o.CommitTimeout)
	defer cancel()
	if o.Patient {
		limited = ctx
	}
	if _, err := c.PgConn().Exec(limited, "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '"+heldIdle+"'").ReadAll(); err != nil {
		return err
	}
	_, err := s.change(b).call(limited, s, c, s.lockTimeout(o.Patient)) // which takes the locks, and has nothing else to do yet
	return err
}

// commitHeld writes a batch in the transaction that holds its locks, and ends
// it.
func (s *Store) commitHeld(c *pgx.Conn, b *batch, o backend.UpdateOptions) error {
	ctx, cancel := s.commitContext(o.Patient, b.writes.bytes)
	defer cancel()
	change := s.change(b)
	if _, err := change.call(ctx, s, c, s.lockTimeout(o.Patient)); err != nil {
		// Nothing is committed before COMMIT is sent.
		return unavailable(err)
	}
	for k := range b.writes.keys {
		s.cache.drop(k)
	}
	takeWarning(c)
	sent := s.sinceOpen()
	results, err := c.PgConn().Exec(ctx, "COMMIT").ReadAll()
	if err == nil && (len(results) != 1 || results[0].CommandTag.String() != "COMMIT") {
		// An aborted transaction answers COMMIT with ROLLBACK, and no error.
		return &againError{errors.New("the transaction was rolled back")}
	}
	return s.judge(c, sent, len(change.putKeys) > 0, err)
}
