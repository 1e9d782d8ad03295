package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/shelflife-db/shelflife/backend"
)

// schemaVersion is that of the tables and functions; a store of another one is
// refused.
const schemaVersion = 4

// creationLock is the number of the lock under which stores are created in a
// database.
const creationLock = 0x5368656c666c6966

// prepare makes sure that the store exists and reads what it is.
func (s *Store) prepare(ctx context.Context) error {
	var found bool
	err := s.read(ctx, func(ctx context.Context, c *pgx.Conn) (bool, error) {
		if err := checkServer(ctx, c); err != nil {
			return true, err
		}
		var err error
		found, err = s.load(ctx, c)
		return false, err
	})
	if err != nil || found {
		return err
	}
	if s.o.MustExist {
		return fmt.Errorf("postgres: there is no store in the table %q: %w", s.o.Table, fs.ErrNotExist)
	}
	limited, cancel := context.WithTimeout(ctx, s.o.CallTimeout)
	defer cancel()
	conn, err := s.calls.Acquire(limited)
	if err != nil {
		return readError(err)
	}
	defer conn.Release()
	if err := s.create(limited, conn.Conn()); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return readError(err)
	}
	return nil
}

// checkServer refuses a server that acknowledges what it may lose.
func checkServer(ctx context.Context, c *pgx.Conn) error {
	var setting string
	if err := c.QueryRow(ctx, `SELECT current_setting('synchronous_commit', true)`).Scan(&setting); err != nil {
		return err
	}
	if setting == "off" {
		return callers(errors.New("postgres: synchronous_commit is off for this connection: it would lose what was acknowledged"))
	}
	return nil
}

// load reads what the store is. It is false if there is none.
func (s *Store) load(ctx context.Context, c *pgx.Conn) (found bool, err error) {
	rows, err := c.Query(ctx, s.sql.sql(`SELECT name, value FROM T_meta`))
	if sqlState(err) == stateNoTable {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	meta := map[string]string{}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		meta[name] = value
		return nil
	})
	switch {
	case sqlState(err) == stateNoTable:
		return false, nil
	case err != nil:
		return false, err
	case len(meta) == 0:
		return false, nil
	}
	version, err := strconv.Atoi(meta["version"])
	if err != nil || version != schemaVersion {
		return false, callers(fmt.Errorf("postgres: the store has version %q of the tables, this program knows %d", meta["version"], schemaVersion))
	}
	if got := meta["partition"]; got != s.o.Partition.Name() {
		return false, callers(fmt.Errorf("postgres: the store was created with the partition %q, not %q", got, s.o.Partition.Name()))
	}
	if s.parts, err = strconv.Atoi(meta["parts"]); err != nil || s.parts < 1 || s.parts > maxParts {
		return false, callers(fmt.Errorf("postgres: the store says that it has %q parts", meta["parts"]))
	}
	s.portable, s.lockSalt = meta["commit"] == "portable", meta["id"]
	return true, nil
}

// create creates the store unless another process did in the meantime. Creators
// that start together would fail each other's CREATE, IF NOT EXISTS or not: they
// take turns under a lock, which ends with the transaction.
func (s *Store) create(ctx context.Context, c *pgx.Conn) error {
	tx, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // does nothing after Commit
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(creationLock)); err != nil {
		if !s.o.Portable {
			return err
		}
		// A server without such locks: the transaction has failed, and begins again.
		if err := errors.Join(tx.Rollback(ctx)); err != nil {
			return err
		}
		if tx, err = c.Begin(ctx); err != nil {
			return err
		}
	}
	if err := s.execAll(ctx, tx, tables); err != nil {
		return err
	}
	// Seen by the transaction that waited: the one before it has committed.
	if found, err := s.load(ctx, tx.Conn()); found || err != nil {
		return errors.Join(err, tx.Commit(ctx))
	}
	how := "portable"
	if !s.o.Portable {
		how = "function"
		if err := s.execAll(ctx, tx, fillfactor); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, s.sql.sql(functions), pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	for name, value := range map[string]string{
		"version": strconv.Itoa(schemaVersion), "partition": s.o.Partition.Name(), "parts": strconv.Itoa(s.o.Parts),
		"commit": how, "id": fmt.Sprintf("%x", id),
	} {
		if _, err := tx.Exec(ctx, s.sql.sql(`INSERT INTO T_meta (name, value) VALUES ($1, $2)`), name, value); err != nil {
			return err
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	found, err := s.load(ctx, c)
	if err == nil && !found {
		err = fmt.Errorf("%w: postgres: the store is gone", backend.ErrUnavailable)
	}
	return err
}

// execAll executes statements that take no parameters, one by one.
func (s *Store) execAll(ctx context.Context, tx pgx.Tx, text string) error {
	for _, one := range strings.Split(s.sql.sql(text), ";\n") {
		if _, err := tx.Exec(ctx, one); err != nil {
			return err
		}
	}
	return nil
}
