package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
)

// byHand is what one writes without a library: a table of products with natural
// columns, one statement for each operation, the statements of a batch together.
type byHand struct{ pool *pgxpool.Pool }

// JSON is kept as text, as it came in: jsonb would be more work for the server.
const schema = `
CREATE TABLE IF NOT EXISTS products (
	account        text NOT NULL,
	id             text NOT NULL,
	title          text NOT NULL DEFAULT '',
	description    text NOT NULL DEFAULT '',
	images         json NOT NULL DEFAULT '[]',
	metadata       json,
	valid_for_days int NOT NULL DEFAULT 0,
	revision       int8 NOT NULL DEFAULT 1,
	created_at     timestamptz NOT NULL DEFAULT now(),
	updated_at     timestamptz NOT NULL DEFAULT now(),
	last_used_at   timestamptz,
	expires_at     timestamptz,
	PRIMARY KEY (account, id)
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS products_expires_at ON products (expires_at) WHERE expires_at IS NOT NULL`

const (
	columns = `account, id, title, description, images, metadata, valid_for_days, revision, created_at, updated_at, last_used_at, expires_at`
	live    = ` AND (expires_at IS NULL OR expires_at > now())`

	sqlGet  = `SELECT ` + columns + ` FROM products WHERE account = $1 AND id = $2` + live
	sqlPage = `SELECT ` + columns + ` FROM products WHERE account = $1 AND id > $2` + live + ` ORDER BY id LIMIT $3`
	sqlEdit = `INSERT INTO products (account, id, metadata) VALUES ($1, $2, $3)
		ON CONFLICT (account, id) DO UPDATE SET metadata = EXCLUDED.metadata, updated_at = now(), revision = products.revision + 1
		RETURNING ` + columns
	sqlUse = `UPDATE products SET last_used_at = now(),
			expires_at = CASE WHEN valid_for_days > 0 THEN now() + valid_for_days * interval '1 day' END
		WHERE account = $1 AND id = $2` + live + ` RETURNING ` + columns
	sqlImport = `INSERT INTO products (account, id, title, description, images, metadata, valid_for_days, expires_at)
		SELECT *, CASE WHEN d > 0 THEN now() + d * interval '1 day' END
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::json[], $6::json[], $7::int[]) AS n(a, i, t, e, m, j, d)
		ON CONFLICT (account, id) DO UPDATE SET title = EXCLUDED.title, description = EXCLUDED.description, images = EXCLUDED.images,
			metadata = EXCLUDED.metadata, valid_for_days = EXCLUDED.valid_for_days, expires_at = EXCLUDED.expires_at,
			updated_at = now(), revision = products.revision + 1
		RETURNING ` + columns
	sqlSweep = `DELETE FROM products WHERE ctid = ANY (ARRAY (
			SELECT ctid FROM products WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2))
		RETURNING account, id, expires_at`
	sqlRemove = `DELETE FROM products WHERE ctid = ANY (ARRAY (SELECT ctid FROM products WHERE account = $1 LIMIT $2)) RETURNING id`
)

func openByHand(ctx context.Context, dsn string, connections int) (store, error) {
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	c.MaxConns = int32(connections)
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, schema, pgx.QueryExecModeSimpleProtocol); err != nil {
		pool.Close()
		return nil, err
	}
	return byHand{pool}, nil
}

// product is a row, with all that an API would answer with.
type product struct {
	dataset.Product
	revision             int64
	created, updated     time.Time
	lastUsed, expires    *time.Time
	imageText, metaBytes []byte
}

func scan(row pgx.CollectableRow) (p product, err error) {
	err = row.Scan(&p.Account, &p.ID, &p.Title, &p.Description, &p.imageText, &p.metaBytes, &p.ValidForDays, &p.revision,
		&p.created, &p.updated, &p.lastUsed, &p.expires)
	if err != nil {
		return p, err
	}
	var images []struct {
		URL             string
		Classifications json.RawMessage
	}
	if err := json.Unmarshal(p.imageText, &images); err != nil {
		return p, err
	}
	for _, i := range images {
		p.Images = append(p.Images, dataset.Image{URL: i.URL, Classifications: i.Classifications})
	}
	p.Metadata, p.Used = p.metaBytes, p.lastUsed != nil
	return p, nil
}

func (s byHand) one(ctx context.Context, sql string, args ...any) (dataset.Product, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return dataset.Product{}, err
	}
	p, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		err = peer.ErrNotFound
	}
	return p.Product, err
}

func (s byHand) get(ctx context.Context, k dataset.Key) (dataset.Product, error) {
	return s.one(ctx, sqlGet, k.Account, k.ID)
}

func (s byHand) edit(ctx context.Context, k dataset.Key, metadata []byte) error {
	_, err := s.one(ctx, sqlEdit, k.Account, k.ID, metadata)
	return err
}

func (s byHand) use(ctx context.Context, k dataset.Key) error {
	_, err := s.one(ctx, sqlUse, k.Account, k.ID)
	return err
}

func (s byHand) page(ctx context.Context, p dataset.Page) (int, error) {
	rows, err := s.pool.Query(ctx, sqlPage, p.Account, p.After, p.Limit+1) // the last shows whether there are more
	if err != nil {
		return 0, err
	}
	all, err := pgx.CollectRows(rows, scan)
	return min(len(all), p.Limit), err
}

func (s byHand) load(ctx context.Context, products []dataset.Product) error {
	n := len(products)
	accounts, ids, titles, descriptions := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	images, metadata, days := make([]string, n), make([]*string, n), make([]int32, n)
	for i := range products {
		p := &products[i]
		accounts[i], ids[i], titles[i], descriptions[i], days[i] = p.Account, p.ID, p.Title, p.Description, int32(p.ValidForDays)
		var list []map[string]any
		for _, im := range p.Images {
			member := map[string]any{"url": im.URL}
			if im.Classifications != nil {
				member["classifications"] = json.RawMessage(im.Classifications)
			}
			list = append(list, member)
		}
		text, err := json.Marshal(list)
		if err != nil {
			return err
		}
		images[i] = string(text)
		if p.Metadata != nil {
			text := string(p.Metadata)
			metadata[i] = &text
		}
	}
	rows, err := s.pool.Query(ctx, sqlImport, accounts, ids, titles, descriptions, images, metadata, days)
	if err != nil {
		return err
	}
	got, err := pgx.CollectRows(rows, scan)
	if err == nil && len(got) != n {
		err = fmt.Errorf("%d of %d products", len(got), n)
	}
	return err
}

// batches runs a statement that takes up to sweepBatch products, until none are
// left.
func (s byHand) batches(ctx context.Context, sql string, what any) (removed int, err error) {
	for {
		rows, err := s.pool.Query(ctx, sql, what, sweepBatch)
		if err != nil {
			return removed, err
		}
		n := 0
		for rows.Next() {
			if _, err := rows.Values(); err != nil {
				return removed, err
			}
			n++
		}
		if err := rows.Err(); err != nil || n == 0 {
			return removed, err
		}
		removed += n
	}
}

func (s byHand) sweep(ctx context.Context, now time.Time) (int, error) {
	return s.batches(ctx, sqlSweep, now)
}

func (s byHand) remove(ctx context.Context, account string) (int, error) {
	return s.batches(ctx, sqlRemove, account)
}

func (s byHand) close() error { s.pool.Close(); return nil }
