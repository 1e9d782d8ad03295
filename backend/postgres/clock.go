package postgres

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/shelflife-db/shelflife/backend"
)

// A read is stamped with now(), which is that of the transaction's first message
// and so before its snapshot; statement_timestamp() may be after it. The store has
// a high water, a time that now() had passed, so that time does not go back when a
// server with a slower clock takes over.
//
// No read looks it up: that was a quarter of what a Get costs the server. The
// process keeps what the high water was when it last looked, which it does with
// every new connection, before that is used, and every few seconds. A server that
// takes over is reached by a new connection, so nothing of it is read before what
// the other has left is known. A pooler keeps connections over the change: what the
// process knows then is highWaterStale older at most, which is within what a minute
// allows (see highWaterEvery).
type highWater struct {
	began   time.Time
	ms      atomic.Int64
	learned atomic.Int64 // the time since began, in nanoseconds
}

const (
	// highWaterEvery is how old the high water becomes. With highWaterStale it is less
	// than catalogs take for the longest time of an Update: what they say has expired
	// longer ago than that stays so whichever server takes over.
	highWaterEvery = 15 * time.Second
	// highWaterStale is how long ago a process may have looked at it. Beyond that,
	// when the process stood still, a read looks first.
	highWaterStale = 3 * probeEvery
	// maxSkew is how far, in milliseconds, the clocks of a primary and of the standby
	// that takes over may differ for time to stand still rather than go back. Beyond
	// it one of the two was wrong.
	maxSkew = 3_600_000
)

// learnClock looks at the high water. There is none, nor the table, before the
// store is created.
func (s *Store) learnClock(ctx context.Context, c *pgx.Conn) error {
	at := time.Since(s.water.began)
	var ms int64
	err := c.QueryRow(ctx, s.sql.highWater).Scan(&ms)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) && sqlState(err) != stateNoTable {
		return err
	}
	s.water.ms.Store(ms)
	s.water.learned.Store(int64(at))
	return nil
}

// freshClock comes before a read whose time is asked for.
func (s *Store) freshClock(ctx context.Context, c *pgx.Conn) error {
	if time.Since(s.water.began)-time.Duration(s.water.learned.Load()) < highWaterStale {
		return nil
	}
	return s.learnClock(ctx, c)
}

// observe stamps a read with what the server's clock showed.
func (s *Store) observe(t *backend.ReadTime, now time.Time) {
	ms := now.UnixMilli()
	if high := s.water.ms.Load(); high <= ms+maxSkew {
		ms = max(ms, high)
	}
	t.Observe(ms)
}

// keepClock writes the high water if it is older than highWaterEvery, and looks at
// it.
func (s *Store) keepClock(ctx context.Context) error {
	if _, err := s.calls.Exec(ctx, s.sql.raiseClock, highWaterEvery.Milliseconds(), int64(maxSkew)); err != nil {
		return err
	}
	return s.calls.AcquireFunc(ctx, func(c *pgxpool.Conn) error { return s.learnClock(ctx, c.Conn()) })
}
