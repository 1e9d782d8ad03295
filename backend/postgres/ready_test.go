package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
)

// TestReadyWithoutWrites has a server answer reads and no writes: the store is not
// ready until it takes a write again, however many reads are answered meanwhile, and
// the log says so once.
func TestReadyWithoutWrites(t *testing.T) {
	for name, c := range map[string]struct{ setting, value string }{
		"commits hang":  {"synchronous_standby_names", "nobody"},
		"it is told to": {"default_transaction_read_only", "on"},
	} {
		t.Run(name, func(t *testing.T) {
			dsn := postgrestest.Start(t).Database(t)
			var log logged
			s := open(t, dsn, &postgres.Options{CommitTimeout: time.Second, CallTimeout: 10 * time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			admin, err := pgx.Connect(t.Context(), dsn)
			require.NoError(t, err)
			defer admin.Close(t.Context())
			set := func(value string) {
				_, err := admin.Exec(t.Context(), "SET default_transaction_read_only = off")
				require.NoError(t, err)
				_, err = admin.Exec(t.Context(), "ALTER SYSTEM SET "+c.setting+" = "+value)
				require.NoError(t, err)
				_, err = admin.Exec(t.Context(), "SELECT pg_reload_conf()")
				require.NoError(t, err)
			}
			read := func() {
				_, err := s.Get(t.Context(), []byte("k"), func([]byte) error { return nil })
				require.NoError(t, err)
			}
			require.NoError(t, put(t.Context(), s, group, "k", "v"))
			require.NoError(t, s.Ready())
			set("'" + c.value + "'")
			for err = nil; err == nil; { // the server learns of it by and by
				err = put(t.Context(), s, group, "k", "v")
			}
			require.True(t, errors.Is(err, backend.ErrUnknownOutcome) || errors.Is(err, backend.ErrUnavailable), "%v", err)
			for range 1000 {
				read()
				require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
			}
			require.ErrorIs(t, postgres.Ask(t.Context(), s), backend.ErrUnavailable)
			read()
			require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
			set("DEFAULT")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for s.Ready() != nil { // by itself
				require.NoError(t, ctx.Err())
				time.Sleep(10 * time.Millisecond)
			}
			require.NoError(t, put(t.Context(), s, group, "k", "w"))
			require.NoError(t, s.Close())
			require.Equal(t, 1, strings.Count(log.String(), "the server is lost"), log.String())
			require.Equal(t, 1, strings.Count(log.String(), "answers again"), log.String())
		})
	}
}

// TestReadyWhenIdle: the store finds out that writes hang, though nobody writes.
func TestReadyWhenIdle(t *testing.T) {
	dsn := postgrestest.Start(t).Database(t)
	s := open(t, dsn, nil)
	c, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer c.Close(t.Context())
	_, err = c.Exec(t.Context(), "UPDATE shelflife_meta SET value = '1' WHERE name = 'clock'")
	require.NoError(t, err)
	tx, err := c.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE shelflife_meta IN SHARE MODE") // as a write that hangs does
	require.NoError(t, err)
	require.ErrorIs(t, postgres.Ask(t.Context(), s), backend.ErrUnavailable)
	_, err = s.Get(t.Context(), []byte("k"), func([]byte) error { return nil })
	require.NoError(t, err)
	require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
	require.NoError(t, put(t.Context(), s, group, "k", "v"))
	require.NoError(t, s.Ready())
	require.NoError(t, tx.Rollback(t.Context()))
}

// TestReadyAfterOneConnection: that a connection ended under a commit says nothing of
// those that were sent later and answered.
func TestReadyAfterOneConnection(t *testing.T) {
	s := open(t, postgrestest.Database(t), nil)
	postgres.LoseWrite(s, errors.New("first"), 0)
	require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
	require.NoError(t, put(t.Context(), s, group, "k", "v"))
	require.NoError(t, s.Ready())
	postgres.LoseWrite(s, errors.New("late"), 0)
	require.NoError(t, s.Ready())
	again, err := s.Get(t.Context(), []byte("none"), func([]byte) error { return nil })
	require.NoError(t, err)
	require.False(t, again)
	// An Update that finds nothing to do is answered without a write.
	postgres.LoseWrite(s, errors.New("later"), time.Hour)
	_ = s.Update(t.Context(), group, backend.UpdateOptions{}, func(ctx context.Context, x backend.Txn) error {
		for _, k := range []string{"a", "b", "c"} {
			if _, err := x.Get(ctx, []byte(k), func([]byte) error { return nil }); err != nil {
				return err
			}
		}
		return nil
	})
	require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
}

// TestStuckCommits: where commits hang no more are sent than half of the connections,
// as each that is given up leaves one of the server's behind, and those that are not
// sent are known to have had no effect.
func TestStuckCommits(t *testing.T) {
	dsn := postgrestest.Start(t).Database(t)
	s := open(t, dsn, &postgres.Options{Connections: 8, CommitTimeout: 100 * time.Millisecond})
	admin, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer admin.Close(t.Context())
	require.NoError(t, put(t.Context(), s, group, "k", "v"))
	for _, sql := range []string{"ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()"} {
		_, err := admin.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	for !errors.Is(err, backend.ErrUnavailable) {
		err = put(t.Context(), s, group, "k", "perhaps")
		require.True(t, err == nil || errors.Is(err, backend.ErrUnknownOutcome) || errors.Is(err, backend.ErrUnavailable), "%v", err)
	}
	require.ErrorContains(t, err, "hang")
	for range 100 {
		require.ErrorIs(t, put(t.Context(), s, group, "k", "never"), backend.ErrUnavailable)
	}
	require.NotEqual(t, "never", get(t, s, "k"))
	for _, sql := range []string{"ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"} {
		_, err := admin.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for s.Ready() != nil {
		require.NoError(t, ctx.Err())
		time.Sleep(10 * time.Millisecond)
	}
	require.NoError(t, put(t.Context(), s, group, "k", "w"))
}

// logged is a log that is read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
