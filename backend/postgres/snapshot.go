package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/shelflife-db/shelflife/backend"
)

// A session is a connection for loops with a transaction that sees one state.
type session struct {
	s *Store

	mu   sync.Mutex // guards what follows; held while the connection is used
	conn *pgxpool.Conn
	err  error // why it has ended
}

// abandoned is how long the server keeps a transaction, and with it all the
// versions of rows that it could still see, for a loop that does not come back.
const abandoned = "10min"

// begin opens a session on the state as it is now.
func (s *Store) begin(ctx context.Context) (*session, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.life.Exit()
	limited, cancel := context.WithTimeout(ctx, s.o.CallTimeout)
	defer cancel()
	for {
		conn, err := s.loops.Acquire(limited)
		if err == nil {
			// The SELECT fixes the state.
			_, err = conn.Conn().PgConn().Exec(limited, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"+
				"SET LOCAL idle_in_transaction_session_timeout = '"+abandoned+"'; SELECT 1").ReadAll()
			if err == nil {
				x := &session{s: s, conn: conn}
				s.mu.Lock()
				s.sessions[x] = struct{}{}
				s.mu.Unlock()
				return x, nil
			}
			conn.Release()
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case limited.Err() != nil && s.loops.Stat().AcquiredConns() >= s.loops.Config().MaxConns:
			return nil, errNoLoop
		case limited.Err() != nil:
			return nil, s.noAnswer(err, nil)
		case !transient(err):
			return nil, readError(err)
		}
		s.lost(err)
		var p pause
		if !p.wait(limited, s.life.Closing()) && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if s.life.Closed() {
			return nil, backend.ErrClosed
		}
	}
}

// use runs fn on the connection.
func (x *session) use(ctx context.Context, fn func(context.Context, *pgx.Conn) error) error {
	if err := x.s.enter(ctx); err != nil {
		return err
	}
	defer x.s.life.Exit()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil {
		return x.err
	}
	limited, cancel := context.WithTimeout(ctx, x.s.o.CallTimeout)
	defer cancel()
	err := fn(limited, x.conn.Conn())
	switch {
	case err == nil:
		return nil
	case isCallers(err):
		return errors.Unwrap(err)
	}
	// The transaction is over: its state can't be had again.
	lost := unavailable(fmt.Errorf("the snapshot is lost: %s", describe(err)))
	x.release(lost)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return lost
}

// end ends the session for the reason err.
func (x *session) end(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.release(err)
}

// release gives the connection back. It needs x.mu.
func (x *session) release(err error) {
	if x.err != nil {
		return
	}
	x.err = err
	if !x.conn.Conn().IsClosed() && !x.s.life.Closed() {
		limited, cancel := context.WithTimeout(context.Background(), x.s.o.CallTimeout)
		_, _ = x.conn.Conn().PgConn().Exec(limited, "ROLLBACK").ReadAll() // else Release closes it
		cancel()
	}
	x.conn.Release()
	x.s.mu.Lock()
	delete(x.s.sessions, x)
	x.s.mu.Unlock()
}

func (x *session) fetchPage(ctx context.Context, g *pager) (all []entry, err error) {
	err = x.use(ctx, func(ctx context.Context, c *pgx.Conn) (err error) {
		all, err = g.fetch(ctx, c)
		return err
	})
	return all, err
}

func (x *session) ended() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.err
}

// snapshot is a session in the hands of the caller.
type snapshot struct{ x *session }

var _ backend.Snapshot = (*snapshot)(nil)

// Snapshot implements [backend.Backend]. It holds a connection for loops and
// keeps the server from removing what was replaced meanwhile.
func (s *Store) Snapshot(ctx context.Context) (backend.Snapshot, error) {
	x, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	return &snapshot{x}, nil
}

func (p *snapshot) Get(ctx context.Context, key []byte, fn func(value []byte) error) (bool, error) {
	var r row
	err := p.x.use(ctx, func(ctx context.Context, c *pgx.Conn) (err error) {
		r, err = p.x.s.queryRow(ctx, c, key)
		return err
	})
	if err != nil || r.ver == 0 {
		return false, err
	}
	return true, fn(r.value)
}

func (p *snapshot) GetMany(ctx context.Context, keys [][]byte, fn func(i int, value []byte) error) error {
	return p.x.use(ctx, func(ctx context.Context, c *pgx.Conn) error {
		if len(keys) == 0 {
			return nil
		}
		return p.x.s.queryMany(ctx, c, keys, func(i int, value []byte, _ int64) error { return fn(i, value) })
	})
}

func (p *snapshot) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		check := func() error {
			if err := p.x.s.step(ctx); err != nil {
				return err
			}
			return p.x.ended()
		}
		if err := check(); err != nil {
			yield(backend.Entry{}, err)
			return
		}
		g := p.x.s.pager(ctx, r, o, false)
		loop(g, func() ([]entry, error) { return p.x.fetchPage(ctx, g) }, o, check, yield)
	}
}

func (p *snapshot) Close() error {
	p.x.end(backend.ErrClosed)
	return nil
}
