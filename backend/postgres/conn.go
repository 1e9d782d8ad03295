package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	connectTimeout = 5 * time.Second // where the connection string has none
	firstPause     = 5 * time.Millisecond
	longestPause   = 250 * time.Millisecond
)

// errConnectionString hides what pgx says of a connection string: it quotes it.
var errConnectionString = errors.New("postgres: the connection string is not valid: want postgres://USER@HOST/DATABASE or KEY=VALUE pairs")

// newPool prepares a pool that connects when it is first used.
func newPool(ctx context.Context, dsn string, size int, o *Options, connected func(context.Context, *pgx.Conn) error) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, errConnectionString
	}
	if plain, err := pgx.ParseConfig(dsn); err == nil {
		for _, name := range []string{"pool_max_conns", "pool_min_conns", "pool_min_idle_conns"} {
			if _, set := plain.RuntimeParams[name]; set {
				return nil, fmt.Errorf("postgres: the connection string sets %s: Options.Connections and Loops say how many there are", name)
			}
		}
	}
	config.MaxConns, config.MinConns = int32(size), 0
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		registerArrays(c.TypeMap())
		return connected(ctx, c)
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "shelflife"
	}
	config.ConnConfig.OnNotice = noteWarning
	if !o.StandbyReads && config.ConnConfig.ValidateConnect == nil {
		config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, errConnectionString
	}
	return pool, nil
}

// warned is the name of what noteWarning leaves on a connection.
const warned = "shelflife.warned"

// noteWarning remembers that the server ended its wait for a synchronous standby: if
// it then reports a commit, that is on the primary alone. A server that ends the
// connection warns too, with a code of its own, and reports nothing any more. It runs
// in the goroutine that reads from c.
func noteWarning(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.SeverityUnlocalized == "WARNING" && n.Code == stateWarning {
		c.CustomData()[warned] = true
	}
}

// takeWarning reports whether there was such a warning since it was last asked.
func takeWarning(c *pgx.Conn) bool {
	data := c.PgConn().CustomData()
	_, ok := data[warned]
	delete(data, warned)
	return ok
}

// A pause is the growing time between two attempts.
type pause time.Duration

// wait waits for one pause, and reports whether ctx and the store still hold.
func (p *pause) wait(ctx context.Context, closing <-chan struct{}) bool {
	d := min(max(time.Duration(*p)*2, firstPause), longestPause)
	*p = pause(d)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-closing:
	}
	return false
}

// read runs fn, which only reads, on a connection for short calls, and runs it
// again while the server can't be reached, until CallTimeout. fn is final when
// it has handed something to the caller.
func (s *Store) read(ctx context.Context, fn func(context.Context, *pgx.Conn) (final bool, err error)) error {
	limited, cancel := context.WithTimeout(ctx, s.o.CallTimeout)
	defer cancel()
	var p pause
	var why error // the last error but for the end of the time
	for {
		final := false
		conn, err := s.calls.Acquire(limited)
		if err == nil {
			final, err = fn(limited, conn.Conn())
			conn.Release()
		}
		switch {
		case err == nil:
			s.reached()
			return nil
		case isCallers(err):
			return errors.Unwrap(err)
		case ctx.Err() != nil:
			return ctx.Err()
		case limited.Err() != nil:
			return s.noAnswer(cmp.Or(why, err), why)
		case final || !transient(err):
			if refused(err) {
				s.lost(err)
			}
			return readError(err)
		}
		s.lost(err)
		why = err
		if !p.wait(limited, s.life.Closing()) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return readError(err)
		}
	}
}

// noAnswer is the error of a call whose time has run out, and why, if more is known.
func (s *Store) noAnswer(err, why error) error {
	s.lost(err)
	if why != nil && refused(why) {
		return unavailable(why)
	}
	return unavailable(errors.New(s.address + " does not answer"))
}

// callerError is an error of a callback of the caller, on its way out.
type callerError struct{ error }

func (e *callerError) Unwrap() error { return e.error }

func callers(err error) error {
	if err == nil {
		return nil
	}
	return &callerError{err}
}

func isCallers(err error) bool {
	_, ok := err.(*callerError)
	return ok
}
