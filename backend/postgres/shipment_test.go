package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
)

// rewrite appends to the value of a key.
func rewrite(s *postgres.Store, key, more string) error {
	return s.Update(context.Background(), item(key), backend.UpdateOptions{}, func(ctx context.Context, x backend.Txn) error {
		v := ""
		if _, err := x.Get(ctx, []byte(key), func(b []byte) error { v = string(b); return nil }); err != nil {
			return err
		}
		return x.Put([]byte(key), []byte(v+more))
	})
}

// together has the Updates of some keys, which read nothing that is not cached, wait
// for one call, and returns their results as they come.
func together(t *testing.T, s *postgres.Store, l *postgrestest.Link, keys []string, update func(key string) error) (results map[string]chan error) {
	t.Helper()
	postgres.SetShipping(s, 1, time.Hour)
	l.Stall()
	first := make(chan error, 1)
	go func() { first <- put(context.Background(), s, item("first"), "first", "v") }()
	for postgres.OnQuay(s) != 0 || postgres.OnWay(s) == 0 {
		runtime.Gosched()
	}
	results = map[string]chan error{}
	for _, k := range keys {
		result := make(chan error, 1)
		results[k] = result
		go func() { result <- update(k) }()
	}
	for postgres.OnQuay(s) < len(keys) {
		runtime.Gosched()
	}
	l.Resume()
	require.NoError(t, <-first)
	return results
}

// TestShipment: Updates that have nothing to do with each other are committed in one
// call, and each by itself: what one of them has read may have changed, and its locks
// may be held by another process.
func TestShipment(t *testing.T) {
	dsn := postgrestest.Database(t)
	l := postgrestest.NewLink(t, dsn)
	a, b := open(t, l.DSN(), nil), open(t, dsn, nil)
	keys := []string{"stale", "busy", "deleted"}
	for i := range 20 {
		keys = append(keys, fmt.Sprint("k", i))
	}
	for _, k := range keys {
		require.NoError(t, put(t.Context(), a, item(k), k, "a"))
	}
	require.NoError(t, rewrite(b, "stale", "b"))
	require.NoError(t, b.Update(t.Context(), item("deleted"), backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
		return x.Delete([]byte("deleted"), 0)
	}))
	other, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer other.Close(t.Context())
	_, err = other.Exec(t.Context(), "SELECT pg_advisory_lock($1)", postgres.ItemLock(a, item("busy")[0]))
	require.NoError(t, err)

	results := together(t, a, l, keys, func(k string) error { return rewrite(a, k, "+") })
	for _, k := range keys {
		if k != "busy" {
			require.NoError(t, <-results[k], k)
		}
	}
	require.Equal(t, "ab+", get(t, b, "stale"))
	require.Equal(t, "+", get(t, b, "deleted"))
	require.Equal(t, "a+", get(t, b, "k3"))
	require.Equal(t, "a", get(t, b, "busy"))
	require.Empty(t, results["busy"])
	_, err = other.Exec(t.Context(), "SELECT pg_advisory_unlock_all()")
	require.NoError(t, err)
	require.NoError(t, <-results["busy"])
	require.Equal(t, "a+", get(t, b, "busy"))
}

// TestShipmentRefused: what the server has against one Update is not the others'
// business.
func TestShipmentRefused(t *testing.T) {
	dsn := postgrestest.Database(t)
	l := postgrestest.NewLink(t, dsn)
	s := open(t, l.DSN(), nil)
	other, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer other.Close(t.Context())
	_, err = other.Exec(t.Context(), `ALTER TABLE shelflife ADD CHECK (k <> 'bad'::bytea)`)
	require.NoError(t, err)
	results := together(t, s, l, []string{"k1", "bad", "k2"}, func(k string) error { return put(t.Context(), s, item(k), k, "+") })
	require.NoError(t, <-results["k1"])
	require.NoError(t, <-results["k2"])
	require.ErrorIs(t, <-results["bad"], backend.ErrUnavailable)
	require.Equal(t, "", get(t, s, "bad"))
	require.Equal(t, "+", get(t, s, "k1"))
}

// TestShipmentHeldUp: a call that is held up does not hold up what has nothing to do
// with it.
func TestShipmentHeldUp(t *testing.T) {
	dsn := postgrestest.Database(t)
	s := open(t, dsn, nil)
	postgres.SetShipping(s, 1, time.Millisecond)
	require.NoError(t, rewrite(s, "held", "a"))
	other, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer other.Close(t.Context())
	tx, err := other.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT 1 FROM shelflife WHERE k = 'held' FOR UPDATE`)
	require.NoError(t, err)
	held := make(chan error, 1)
	go func() { held <- rewrite(s, "held", "b") }()
	for postgres.OnWay(s) == 0 {
		runtime.Gosched()
	}
	for i := range 5 {
		require.NoError(t, rewrite(s, fmt.Sprint("k", i), "v"))
	}
	require.Empty(t, held)
	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, <-held)
	require.Equal(t, "ab", get(t, s, "held"))
}

// TestShipmentLost: of a call whose answer is lost nobody knows anything.
func TestShipmentLost(t *testing.T) {
	l := postgrestest.NewLink(t, postgrestest.Database(t))
	s := open(t, l.DSN(), nil)
	var acknowledged, doubtful atomic.Int64
	var wg sync.WaitGroup
	var stop atomic.Bool
	for w := range 16 {
		wg.Go(func() {
			key := fmt.Sprint("n", w)
			done, unknown := 0, 0
			for !stop.Load() {
				switch err := rewrite(s, key, "x"); {
				case err == nil:
					done++
					acknowledged.Add(1)
				case errors.Is(err, backend.ErrUnknownOutcome):
					unknown++
					doubtful.Add(1)
				default:
					t.Error(err)
					return
				}
			}
			n := len(get(t, s, key))
			if n < done || n > done+unknown {
				t.Errorf("%s: %d, acknowledged %d, not known %d", key, n, done, unknown)
			}
		})
	}
	for i := range 10 {
		for acknowledged.Load() < int64(100*(i+1)) && !t.Failed() {
			runtime.Gosched()
		}
		l.Drop()
	}
	stop.Store(true)
	wg.Wait()
	t.Logf("%d acknowledged, %d not known", acknowledged.Load(), doubtful.Load())
}
