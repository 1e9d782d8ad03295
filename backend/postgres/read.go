package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/shelflife-db/shelflife/backend"
)

// Get implements [backend.Reader].
func (s *Store) Get(ctx context.Context, key []byte, fn func(value []byte) error) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.life.Exit()
	var r row
	err := s.read(ctx, func(ctx context.Context, c *pgx.Conn) (_ bool, err error) {
		r, err = s.queryRow(ctx, c, key)
		return false, err
	})
	if err != nil || r.ver == 0 {
		return false, err
	}
	return true, fn(r.value)
}

// queryRow reads a row. The value is a copy.
func (s *Store) queryRow(ctx context.Context, c *pgx.Conn, key []byte) (r row, err error) {
	if t := backend.ReadTimeOf(ctx); t != nil {
		if err := s.freshClock(ctx, c); err != nil {
			return r, err
		}
		var now time.Time
		if err = c.QueryRow(ctx, s.sql.getTimed, s.part(key), noNil(key)).Scan(&r.value, &r.ver, &now); err == nil {
			s.observe(t, now)
		}
		return r, err
	}
	err = c.QueryRow(ctx, s.sql.get, s.part(key), noNil(key)).Scan(&r.value, &r.ver)
	if errors.Is(err, pgx.ErrNoRows) {
		return row{}, nil
	}
	return r, err
}

// GetMany implements [backend.Reader].
func (s *Store) GetMany(ctx context.Context, keys [][]byte, fn func(i int, value []byte) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.life.Exit()
	if len(keys) == 0 {
		return nil
	}
	return s.read(ctx, func(ctx context.Context, c *pgx.Conn) (bool, error) {
		handed := false
		err := s.queryMany(ctx, c, keys, func(i int, value []byte, _ int64) error {
			handed = true
			return fn(i, value)
		})
		return handed, err
	})
}

// queryMany calls fn for the rows that exist. The values are valid during fn.
func (s *Store) queryMany(ctx context.Context, c *pgx.Conn, keys [][]byte, fn func(i int, value []byte, ver int64) error) error {
	parts := make([]int32, len(keys))
	for i, k := range keys {
		parts[i] = s.part(k)
	}
	sql, t := s.sql.getMany, backend.ReadTimeOf(ctx)
	if t != nil {
		sql = s.sql.getManyTimed
		if err := s.freshClock(ctx, c); err != nil {
			return err
		}
	}
	rows, err := c.Query(ctx, sql, parts, byteas(noNils(keys)))
	if err != nil {
		return err
	}
	defer rows.Close()
	var i, ver int64
	var now time.Time
	var value pgtype.DriverBytes
	for rows.Next() {
		if err := rows.Scan(&i, &value, &ver, &now); err != nil {
			return err
		}
		if t != nil {
			s.observe(t, now)
		}
		if ver == 0 {
			continue
		}
		if err := fn(int(i-1), value[:len(value):len(value)], ver); err != nil {
			return callers(err)
		}
	}
	return rows.Err()
}

// noNil is b, but no NULL.
func noNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func noNils(all [][]byte) [][]byte {
	for i, b := range all {
		if b == nil {
			changed := make([][]byte, len(all))
			copy(changed, all)
			for j := i; j < len(all); j++ {
				changed[j] = noNil(changed[j])
			}
			return changed
		}
	}
	return all
}
