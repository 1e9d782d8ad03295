package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/shelflife-db/shelflife/backend"
)

// A server may answer reads and no writes: its disk hangs under a commit, its
// synchronous standby is gone, it was made read-only. So a read that is answered ends
// an outage that a read has found, and nothing but a write that is answered ends one
// that a write has found. While there is such an outage the store writes now and then,
// and so it does after a write that the server has refused; else what keeps the clock
// is the only write that nobody has asked for.

const (
	probeEvery = 5 * time.Second
	probeAgain = 200 * time.Millisecond // while the server is lost
)

// errStuck says that a commit was not sent. One that is given up leaves a process of the
// server with a connection behind, which may hang for as long as the server's disk, and
// another connection takes its place: the server would run out of them, and of locks.
var errStuck = errors.New("earlier commits hang on the server: no more is sent before a write is answered")

var errNoWrites = errors.New("the server takes no writes")

// An outage is why the store is not ready.
type outage struct {
	text   string
	writes bool // ends when a write is answered, not when a read is
}

// lost remembers that a read was not answered.
func (s *Store) lost(err error) { s.note(&outage{text: describe(err)}) }

// lostWrite remembers that a write was not answered which was sent at a time of
// sinceOpen. It does not count once one was that was sent later: what was lost then is
// a connection.
func (s *Store) lostWrite(err error, sent time.Duration) {
	if time.Duration(s.answered.Load()) <= sent {
		s.note(&outage{text: describe(err), writes: true})
	}
}

// sendable returns an error where so many commits were given up that no more is sent: as
// many as half of the connections.
func (s *Store) sendable(patient bool) error {
	o := s.down.Load()
	if patient || o == nil || !o.writes || int(s.stuck.Load()) < s.o.Connections/2 {
		return nil
	}
	return unavailable(errStuck)
}

func (s *Store) note(o *outage) {
	for {
		before := s.down.Load()
		if before != nil && (before.writes || !o.writes) {
			return
		}
		if !s.down.CompareAndSwap(before, o) {
			continue
		}
		if before == nil {
			s.losses.Add(1)
			s.o.Logger.Warn("postgres: the server is lost", "writes_only", o.writes, "error", o.text)
			s.probeSoon()
		}
		return
	}
}

// probeSoon has watch ask.
func (s *Store) probeSoon() {
	select {
	case s.probe <- struct{}{}:
	default:
	}
}

// reached remembers that the server has answered a read.
func (s *Store) reached() {
	if o := s.down.Load(); o != nil && !o.writes {
		s.found(o)
	}
}

// wrote remembers that the server has made durable what was sent at a time of
// sinceOpen.
func (s *Store) wrote(sent time.Duration) {
	for {
		last := s.answered.Load()
		if int64(sent) <= last || s.answered.CompareAndSwap(last, int64(sent)) {
			break
		}
	}
	s.stuck.Store(0)
	if o := s.down.Load(); o != nil {
		s.found(o)
	}
}

func (s *Store) found(o *outage) {
	if s.down.CompareAndSwap(o, nil) {
		s.o.Logger.Info("postgres: the server answers again")
	}
}

// sinceOpen is the monotonic time by which what was sent first is told.
func (s *Store) sinceOpen() time.Duration { return time.Since(s.opened) }

// watch asks the server now and then whether it takes writes, and often while it
// is lost, so that Ready knows without asking. It ends when the store closes.
func (s *Store) watch() {
	defer close(s.watched)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	next := probeEvery
	for {
		write := false
		t := time.NewTimer(next)
		select {
		case <-t.C:
		case <-s.probe:
			write = true
			t.Reset(probeAgain)
			select {
			case <-t.C:
			case <-s.life.Closing():
			}
		case <-s.life.Closing():
		}
		t.Stop()
		if s.life.Closed() {
			return
		}
		if next = probeEvery; !s.ask(ctx, write) {
			next = probeAgain
		}
	}
}

// ask asks the server once, by a write if there is doubt of those.
func (s *Store) ask(ctx context.Context, write bool) bool {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	go func() { // Close does not wait for an answer
		select {
		case <-s.life.Closing():
			cancel()
		case <-ctx.Done():
		}
	}()
	var readOnly string
	err := s.calls.QueryRow(ctx, "SELECT current_setting('transaction_read_only')").Scan(&readOnly)
	switch {
	case s.life.Closed():
		return true
	case err != nil:
		s.lost(err)
		return false
	case readOnly == "on":
		s.lostWrite(errNoWrites, s.sinceOpen())
		return false
	}
	s.reached()
	sent := s.sinceOpen()
	if o := s.down.Load(); write || o != nil && o.writes {
		switch err := s.writeProbe(ctx); {
		case s.life.Closed():
			return true
		case err != nil:
			s.lostWrite(err, sent)
			return false
		}
		s.wrote(sent)
	}
	sent = s.sinceOpen()
	switch err := s.keepClock(ctx); {
	case err == nil, s.life.Closed():
	case ended(err):
		s.lostWrite(err, sent)
		return false
	default:
		s.o.Logger.Warn("postgres: the high water of the clock could not be written", "error", describe(err))
	}
	return true
}

// writeProbe writes a row, and returns when it is durable. All processes have the same
// row: where the server hangs they wait for the first of them, and what waits for a
// lock ends when its client does. So a server that hangs for long is left with one
// connection that is stuck in a probe, not with one for each.
func (s *Store) writeProbe(ctx context.Context) error {
	return s.calls.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		takeWarning(conn.Conn())
		if _, err := conn.Exec(ctx, s.sql.probe); err != nil {
			return err
		}
		return standbyAwaited(conn.Conn())
	})
}

// standbyAwaited returns an error if what the server has reported as committed is on
// the primary alone.
func standbyAwaited(c *pgx.Conn) error {
	if takeWarning(c) {
		return errors.New("the server was told not to wait for its synchronous standby")
	}
	return nil
}

// Ready implements [backend.Backend].
func (s *Store) Ready() error {
	if s.life.Closed() {
		return backend.ErrClosed
	}
	if o := s.down.Load(); o != nil {
		return unavailable(errors.New(o.text))
	}
	return nil
}
