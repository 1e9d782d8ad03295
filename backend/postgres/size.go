package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/shelflife-db/shelflife/backend"
)

// Size implements [backend.Backend]: the size of the table, its index and its
// values elsewhere, in the proportion of the rows that the server's planner
// expects in r. That rests on the statistics of the last ANALYZE, and lags as
// they do. No row is read.
func (s *Store) Size(ctx context.Context, r backend.Range) (size int64, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.life.Exit()
	if r.End != nil && bytes.Compare(r.Start, r.End) >= 0 {
		return 0, nil
	}
	end := r.End
	if end == nil {
		end = endOfKeys
	}
	err = s.read(ctx, func(ctx context.Context, c *pgx.Conn) (bool, error) {
		if err := c.QueryRow(ctx, `SELECT pg_total_relation_size($1::regclass)`, `"`+s.o.Table+`"`).Scan(&size); err != nil {
			return false, err
		}
		if len(r.Start) == 0 && r.End == nil {
			return false, nil
		}
		all, err := s.expectedRows(ctx, c, []byte{}, endOfKeys)
		if err != nil {
			return false, err
		}
		some, err := s.expectedRows(ctx, c, noNil(r.Start), end)
		if err != nil {
			return false, err
		}
		size = int64(float64(size) * min(1, some/max(1, all)))
		return false, nil
	})
	return size, err
}

// expectedRows is the planner's estimate.
func (s *Store) expectedRows(ctx context.Context, c *pgx.Conn, start, end []byte) (float64, error) {
	var text string
	// The bounds are hexadecimal: nothing in them has a meaning.
	sql := s.sql.sql(fmt.Sprintf(`EXPLAIN (FORMAT JSON) SELECT k FROM T WHERE k >= '\x%x'::bytea AND k < '\x%x'::bytea`, start, end))
	if err := c.QueryRow(ctx, sql, pgx.QueryExecModeExec).Scan(&text); err != nil {
		return 0, err
	}
	var plans []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) != 1 {
		return 0, fmt.Errorf("postgres: an EXPLAIN that can't be read: %w", err)
	}
	return plans[0].Plan.Rows, nil
}
