package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
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

// counters are workers that each count one key up on two stores, as two
// processes would, until they are stopped.
type counters struct {
	stores                 [2]*postgres.Store
	wg                     sync.WaitGroup
	stop                   atomic.Bool
	acknowledged, doubtful [8]atomic.Int64
	bad                    atomic.Pointer[string]

	mu           sync.Mutex // guards what follows
	since, first time.Time  // when the first Update that began after since was acknowledged
}

// from has the first acknowledged Update noted that begins from now on.
func (c *counters) from(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since, c.first = now, time.Time{}
}

func (c *counters) acknowledge(began time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first.IsZero() && began.After(c.since) {
		c.first = time.Now()
	}
}

func (c *counters) resumed() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

func key(w int) string { return fmt.Sprint("n", w/2) } // two workers, of both stores, to a key

func startCounters(a, b *postgres.Store) *counters {
	c := &counters{stores: [2]*postgres.Store{a, b}}
	for w := range c.acknowledged {
		c.wg.Go(func() {
			for !c.stop.Load() {
				began := time.Now()
				err := c.stores[w%2].Update(context.Background(), item(key(w)), backend.UpdateOptions{}, func(ctx context.Context, x backend.Txn) error {
					n := 0
					if _, err := x.Get(ctx, []byte(key(w)), func(v []byte) error { n = len(v); return nil }); err != nil {
						return err
					}
					return x.Put([]byte(key(w)), bytes.Repeat([]byte("x"), n+1))
				})
				switch {
				case err == nil:
					c.acknowledged[w].Add(1)
					c.acknowledge(began)
				case errors.Is(err, backend.ErrUnknownOutcome):
					c.doubtful[w].Add(1)
				case !errors.Is(err, backend.ErrUnavailable):
					text := err.Error()
					c.bad.Store(&text)
					return
				}
			}
		})
	}
	return c
}

func (c *counters) total() (n int64) {
	for w := range c.acknowledged {
		n += c.acknowledged[w].Load()
	}
	return n
}

// advance waits until so many more Updates were acknowledged.
func (c *counters) advance(t *testing.T, n int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for from := c.total(); c.total() < from+n; {
		if err := ctx.Err(); err != nil || c.bad.Load() != nil {
			t.Fatalf("no progress: %v, %v", err, c.bad.Load())
		}
		runtime.Gosched()
	}
}

// check ends the workers and compares what they were told with what is there.
func (c *counters) check(t *testing.T) {
	t.Helper()
	c.stop.Store(true)
	c.wg.Wait()
	if bad := c.bad.Load(); bad != nil {
		t.Fatal(*bad)
	}
	for w := 0; w < len(c.acknowledged); w += 2 {
		told := c.acknowledged[w].Load() + c.acknowledged[w+1].Load()
		doubtful := c.doubtful[w].Load() + c.doubtful[w+1].Load()
		for _, s := range c.stores {
			n := int64(len(get(t, s, key(w))))
			require.GreaterOrEqual(t, n, told, "acknowledged, and lost")
			require.LessOrEqual(t, n, told+doubtful, "done twice, or though it was said not to be")
		}
	}
}

// TestKill kills the server under load, again and again.
func TestKill(t *testing.T) {
	server := postgrestest.Start(t)
	dsn := server.Database(t)
	c := startCounters(open(t, dsn, nil), open(t, dsn, nil))
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for range rounds {
		c.advance(t, 50)
		require.NoError(t, server.Kill())
		require.NoError(t, server.Restart())
		c.advance(t, 50)
	}
	c.check(t)
	require.NoError(t, c.stores[0].Ready())
}

var promotions = flag.Int("promote.times", 2, "how often TestPromote kills a primary and promotes its standby; half of it with -short")

// TestPromote kills a primary under load and promotes its synchronous standby,
// again and again: what knows both by name goes on by itself, and nothing that
// was acknowledged is lost.
func TestPromote(t *testing.T) {
	pair := postgrestest.StartPair(t)
	dsn := pair.Database(t)
	c := startCounters(open(t, dsn, nil), open(t, dsn, nil))
	n := *promotions
	if testing.Short() {
		n = max(1, n/2)
	}
	var down, after []time.Duration
	for i := range n {
		if i > 0 {
			require.NoError(t, pair.Rejoin())
		}
		c.advance(t, 50)
		require.NoError(t, pair.Kill())
		killed := time.Now()
		c.from(killed)
		require.NoError(t, pair.Promote())
		promoted := time.Now()
		c.advance(t, 50)
		first := c.resumed()
		down, after = append(down, first.Sub(killed)), append(after, first.Sub(promoted))
	}
	c.check(t)
	require.NoError(t, c.stores[0].Ready())
	var doubtful int64
	for w := range c.doubtful {
		doubtful += c.doubtful[w].Load()
	}
	slices.Sort(down)
	slices.Sort(after)
	t.Logf("%d promotions, %d Updates acknowledged, none lost, %d outcomes not known; the first write came %v to %v after the kill (median %v), %v to %v after the promotion (median %v)",
		n, c.total(), doubtful, down[0], down[n-1], down[n/2], after[0], after[n-1], after[n/2])
}

// TestFreeze stops the server under load: calls end by themselves, and all goes
// on when the server does.
func TestFreeze(t *testing.T) {
	server := postgrestest.Start(t)
	dsn := server.Database(t)
	open(t, dsn, nil) // creates it
	o := &postgres.Options{CallTimeout: 2 * time.Second, CommitTimeout: 2 * time.Second}
	c := startCounters(open(t, dsn, o), open(t, dsn, o))
	c.advance(t, 50)
	require.NoError(t, server.Freeze())
	_, err := c.stores[0].Get(t.Context(), []byte("k"), func([]byte) error { return nil })
	require.ErrorIs(t, err, backend.ErrUnavailable)
	require.ErrorIs(t, c.stores[0].Ready(), backend.ErrUnavailable)
	err = put(t.Context(), c.stores[0], item("k"), "k", "v")
	require.True(t, errors.Is(err, backend.ErrUnavailable) || errors.Is(err, backend.ErrUnknownOutcome), "%v", err)
	require.NoError(t, server.Thaw())
	c.advance(t, 50)
	c.check(t)
}

// TestStandbyNotAwaited ends the wait of a commit for a synchronous standby. The
// server reports success, with a warning: the primary has the commit, and may be
// the only one.
func TestStandbyNotAwaited(t *testing.T) {
	server := postgrestest.Start(t)
	dsn := server.Database(t)
	s := open(t, dsn, &postgres.Options{CommitTimeout: time.Minute})
	require.NoError(t, put(t.Context(), s, group, "k", "old"))
	c, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer c.Close(t.Context())
	names := func(v string) {
		_, err := c.Exec(t.Context(), "ALTER SYSTEM SET synchronous_standby_names = '"+v+"'")
		require.NoError(t, err)
		_, err = c.Exec(t.Context(), "SELECT pg_reload_conf()")
		require.NoError(t, err)
	}
	names("nobody")
	for shown := ""; shown != "nobody"; {
		require.NoError(t, c.QueryRow(t.Context(), "SHOW synchronous_standby_names").Scan(&shown))
	}
	// The server learns of the setting by and by, one process after another: a
	// commit that did not wait yet is made again.
	result := make(chan error, 1)
	write := func() { result <- put(context.Background(), s, group, "k", "new") }
	go write()
	for cancelled := 0; cancelled == 0; {
		select {
		case err := <-result:
			require.NoError(t, err)
			go write()
		default:
		}
		require.NoError(t, c.QueryRow(t.Context(), `SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`).Scan(&cancelled))
	}
	require.ErrorIs(t, <-result, backend.ErrUnknownOutcome)
	names("")
	require.Equal(t, "new", get(t, s, "k"))
	require.NoError(t, put(t.Context(), s, group, "k", "newer"))
}

// TestImmediateShutdown: a server that is told to stop at once warns those it leaves.
// That has nothing to do with a standby.
func TestImmediateShutdown(t *testing.T) {
	server := postgrestest.Start(t)
	dsn := server.Database(t)
	var log logged
	s := open(t, dsn, &postgres.Options{CallTimeout: time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, put(t.Context(), s, group, "k", "old"))
	c, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer c.Close(context.WithoutCancel(t.Context()))
	tx, err := c.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE shelflife IN SHARE MODE")
	require.NoError(t, err)
	result := make(chan error, 1)
	go func() { result <- put(context.Background(), s, group, "k", "new") }()
	for waiting := 0; waiting == 0; {
		require.NoError(t, tx.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'shelflife'::regclass`).Scan(&waiting))
	}
	require.NoError(t, server.Quit())
	defer func() { require.NoError(t, server.Restart()) }()
	err = <-result
	require.ErrorIs(t, err, backend.ErrUnknownOutcome)
	require.NotContains(t, err.Error(), "standby")
	require.NoError(t, s.Close())
	require.Contains(t, log.String(), "the server is lost")
	require.NotContains(t, log.String(), "standby")
}

// TestServerCancelsCommit: what the server says it has undone is no unknown
// outcome.
func TestServerCancelsCommit(t *testing.T) {
	dsn := postgrestest.Database(t)
	s := open(t, dsn, &postgres.Options{CommitTimeout: time.Second, CallTimeout: time.Second})
	require.NoError(t, put(t.Context(), s, group, "k", "old"))
	c, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer c.Close(t.Context())
	tx, err := c.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE shelflife IN SHARE MODE")
	require.NoError(t, err)
	require.ErrorIs(t, put(t.Context(), s, group, "k", "new"), backend.ErrUnavailable)
	require.Equal(t, "old", get(t, s, "k"))
	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, put(t.Context(), s, group, "k", "new"))
	require.Equal(t, "new", get(t, s, "k"))
}
