package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
)

// readTime is the time that a read brings.
func readTime(t *testing.T, s backend.Reader) time.Time {
	t.Helper()
	var at backend.ReadTime
	_, err := s.Get(backend.WithReadTime(t.Context(), &at), []byte("k"), func([]byte) error { return nil })
	require.NoError(t, err)
	ms, ok := at.Unix()
	require.True(t, ok)
	return time.UnixMilli(ms)
}

// TestHighWater: the time does not go back when another server has a slower clock,
// in no process; a clock that was days ahead and was put right is forgotten.
func TestHighWater(t *testing.T) {
	dsn := postgrestest.Database(t)
	clock := postgrestest.SetClock(t, dsn)
	start := time.Now()
	clock(start)
	a := open(t, postgrestest.WithClock(dsn), nil)
	require.WithinDuration(t, start, readTime(t, a), time.Minute)
	c, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer c.Close(context.Background())
	highWater := func() time.Time {
		var ms int64
		require.NoError(t, c.QueryRow(t.Context(), `SELECT coalesce(max(value::int8), 0) FROM shelflife_meta WHERE name = 'clock'`).Scan(&ms))
		return time.UnixMilli(ms)
	}
	require.NoError(t, postgres.RaiseClock(t.Context(), a))
	first := highWater()
	require.WithinDuration(t, start, first, time.Minute)
	require.NoError(t, postgres.RaiseClock(t.Context(), a))
	require.Equal(t, first, highWater(), "seldom written")
	clock(start.Add(30 * time.Minute))
	require.NoError(t, postgres.RaiseClock(t.Context(), a))
	raised := highWater()
	require.WithinDuration(t, start.Add(30*time.Minute), raised, time.Minute)

	clock(start) // as of another server
	b := open(t, postgrestest.WithClock(dsn), nil)
	for name, s := range map[string]*postgres.Store{"in the same process": a, "in another": b} {
		require.Equal(t, raised, readTime(t, s), name)
		require.NoError(t, postgres.RaiseClock(t.Context(), s))
	}
	clock(start.Add(40 * time.Minute))
	require.WithinDuration(t, start.Add(40*time.Minute), readTime(t, b), time.Minute)

	clock(start.Add(48 * time.Hour))
	require.NoError(t, postgres.RaiseClock(t.Context(), a))
	clock(start)
	require.NoError(t, postgres.RaiseClock(t.Context(), b)) // which looks at what that has left
	require.WithinDuration(t, start, readTime(t, b), time.Minute, "put right")
	require.WithinDuration(t, start, readTime(t, open(t, postgrestest.WithClock(dsn), nil)), time.Minute, "put right")
	require.WithinDuration(t, start, highWater(), time.Minute)
	clock(start.Add(47*time.Hour + 30*time.Minute))
	require.WithinDuration(t, start.Add(47*time.Hour+30*time.Minute), readTime(t, b), time.Minute, fmt.Sprint(highWater()))
}

// TestLateRun: a run that was held up for long before its commit is sent does not
// count: what it concluded from the time is out of date.
func TestLateRun(t *testing.T) {
	s := open(t, postgrestest.Database(t), nil)
	postgres.SetLongestRun(s, time.Second)
	runs := 0
	require.NoError(t, s.Update(t.Context(), group, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
		if runs++; runs == 1 {
			time.Sleep(1100 * time.Millisecond)
		}
		return x.Put([]byte("k"), []byte(fmt.Sprint("run ", min(runs, 2))))
	}))
	require.GreaterOrEqual(t, runs, 2)
	require.Equal(t, "run 2", get(t, s, "k"))
}
