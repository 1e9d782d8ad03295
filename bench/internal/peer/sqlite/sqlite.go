// Package sqlite measures SQLite, in pure Go: a table of products with an index
// of their deadlines.
package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
)

// sweepBatch is how many products one transaction removes.
const sweepBatch = 1000

const schema = `
CREATE TABLE IF NOT EXISTS products (
	account        TEXT NOT NULL,
	id             TEXT NOT NULL,
	title          TEXT NOT NULL,
	description    TEXT NOT NULL,
	images         TEXT NOT NULL,
	metadata       TEXT,
	valid_for_days INTEGER NOT NULL,
	revision       INTEGER NOT NULL,
	created_at     INTEGER NOT NULL,
	updated_at     INTEGER NOT NULL,
	last_used_at   INTEGER,
	expires_at     INTEGER,
	PRIMARY KEY (account, id)
);
CREATE INDEX IF NOT EXISTS products_expires_at ON products (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS images (
	account TEXT NOT NULL,
	id      TEXT NOT NULL,
	data    BLOB NOT NULL,
	PRIMARY KEY (account, id)
);`

const live = ` AND (expires_at IS NULL OR expires_at > ?)`

// Peer returns SQLite.
func Peer() peer.Peer {
	return peer.Peer{
		Name: "sqlite", Module: "modernc.org/sqlite",
		About: "modernc.org/sqlite, WAL, synchronous FULL where durable, else NORMAL; 256 MB cache, prepared statements, one writing connection",
		Open:  open,
	}
}

type store struct {
	peer.Clock
	read, write *sql.DB

	get, page, getImage                      *sql.Stmt
	insert, edit, use, photo, putImage, take *sql.Stmt
}

var _ peer.Store = (*store)(nil)

func open(ctx context.Context, dir string, o peer.Options) (peer.Store, error) {
	synchronous := "NORMAL"
	if o.Durable {
		synchronous = "FULL"
	}
	values := url.Values{
		"_pragma": {
			"journal_mode(WAL)", "synchronous(" + synchronous + ")", "busy_timeout(10000)",
			"cache_size(-262144)", "mmap_size(1073741824)", "temp_store(MEMORY)",
		},
		"_txlock": {"immediate"},
	}
	dsn := "file:" + filepath.Join(dir, "products.db") + "?" + values.Encode()
	s := new(store)
	s.Advance(o.Offset)
	var err error
	if s.write, err = sql.Open("sqlite", dsn); err != nil {
		return nil, err
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", dsn); err != nil {
		return nil, errors.Join(err, s.write.Close())
	}
	conns := max(4, runtime.GOMAXPROCS(0))
	s.read.SetMaxOpenConns(conns)
	s.read.SetMaxIdleConns(conns)
	if _, err = s.write.ExecContext(ctx, schema); err == nil {
		err = s.prepare(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

const columns = `account, id, title, description, images, metadata, valid_for_days`

func (s *store) prepare(ctx context.Context) error {
	for _, p := range []struct {
		to  **sql.Stmt
		db  *sql.DB
		sql string
	}{
		{&s.get, s.read, `SELECT ` + columns + `, last_used_at FROM products WHERE account = ? AND id = ?` + live},
		{&s.page, s.read, `SELECT ` + columns + `, last_used_at FROM products WHERE account = ? AND id > ?` + live + ` ORDER BY id LIMIT ?`},
		{&s.getImage, s.read, `SELECT data FROM images WHERE account = ? AND id = ?`},
		{&s.insert, s.write, `INSERT INTO products (` + columns + `, revision, created_at, updated_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)`},
		{&s.edit, s.write, `UPDATE products SET metadata = ?, updated_at = ?, revision = revision + 1 WHERE account = ? AND id = ?` + live},
		{&s.use, s.write, `UPDATE products SET last_used_at = ?, expires_at = CASE valid_for_days WHEN 0 THEN NULL ELSE ? + valid_for_days * 86400000 END WHERE account = ? AND id = ?` + live},
		{&s.photo, s.write, `UPDATE products SET images = '[{}]', updated_at = ?, revision = revision + 1 WHERE account = ? AND id = ?` + live},
		{&s.putImage, s.write, `INSERT INTO images (account, id, data) VALUES (?, ?, ?) ON CONFLICT (account, id) DO UPDATE SET data = excluded.data`},
		{&s.take, s.write, `DELETE FROM products WHERE rowid IN (SELECT rowid FROM products WHERE expires_at <= ? LIMIT ?)`},
	} {
		var err error
		if *p.to, err = p.db.PrepareContext(ctx, p.sql); err != nil {
			return fmt.Errorf("sqlite: %w in %s", err, p.sql)
		}
	}
	return nil
}

// imageColumn is an element of the JSON in the column images.
type imageColumn struct {
	URL             string          `json:"url,omitempty"`
	Classifications json.RawMessage `json:"classifications,omitempty"`
}

func (s *store) insertWith(ctx context.Context, stmt *sql.Stmt, p *dataset.Product) error {
	images := make([]imageColumn, len(p.Images))
	for i, im := range p.Images {
		images[i] = imageColumn{im.URL, im.Classifications}
	}
	column, err := json.Marshal(images)
	if err != nil {
		return err
	}
	now := s.Now()
	var expires, metadata any
	if p.ValidForDays > 0 {
		expires = now + int64(p.ValidForDays)*peer.Day.Milliseconds()
	}
	if p.Metadata != nil {
		metadata = string(p.Metadata)
	}
	_, err = stmt.ExecContext(ctx, p.Account, p.ID, p.Title, p.Description, string(column), metadata, p.ValidForDays, now, now, expires)
	return err
}

func (s *store) Import(ctx context.Context, products []dataset.Product) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		insert := tx.StmtContext(ctx, s.insert)
		for i := range products {
			if err := s.insertWith(ctx, insert, &products[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *store) inTx(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (s *store) Create(ctx context.Context, p *dataset.Product) error {
	return s.insertWith(ctx, s.insert, p)
}

// one requires that a statement changed exactly one row.
func one(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(peer.ErrNotFound, err)
	}
	return nil
}

func (s *store) Edit(ctx context.Context, k dataset.Key, metadata []byte) error {
	now := s.Now()
	return one(s.edit.ExecContext(ctx, string(metadata), now, k.Account, k.ID, now))
}

func (s *store) Use(ctx context.Context, k dataset.Key) error {
	now := s.Now()
	return one(s.use.ExecContext(ctx, now, now, k.Account, k.ID, now))
}

func (s *store) PutImage(ctx context.Context, k dataset.Key, data []byte) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		now := s.Now()
		if err := one(tx.StmtContext(ctx, s.photo).ExecContext(ctx, now, k.Account, k.ID, now)); err != nil {
			return err
		}
		_, err := tx.StmtContext(ctx, s.putImage).ExecContext(ctx, k.Account, k.ID, data)
		return err
	})
}

type row struct {
	product  dataset.Product
	metadata sql.NullString
	used     sql.NullInt64
}

func (r *row) scan(scan func(...any) error) error {
	var column []byte
	p := &r.product
	if err := scan(&p.Account, &p.ID, &p.Title, &p.Description, &column, &r.metadata, &p.ValidForDays, &r.used); err != nil {
		return err
	}
	if r.metadata.Valid {
		p.Metadata = []byte(r.metadata.String)
	}
	p.Used = r.used.Valid
	var images []imageColumn
	if err := json.Unmarshal(column, &images); err != nil {
		return err
	}
	p.Images = make([]dataset.Image, len(images))
	for i, im := range images {
		p.Images[i] = dataset.Image{URL: im.URL, Classifications: im.Classifications}
	}
	return nil
}

func (s *store) Get(ctx context.Context, k dataset.Key, _ bool) (any, error) {
	r := new(row)
	err := r.scan(s.get.QueryRowContext(ctx, k.Account, k.ID, s.Now()).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, peer.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return &r.product, nil
}

func (s *store) Page(ctx context.Context, p dataset.Page, _ bool) (any, error) {
	rows, err := s.page.QueryContext(ctx, p.Account, p.After, s.Now(), p.Limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	page := make([]dataset.Product, 0, p.Limit)
	for rows.Next() {
		var r row
		if err := r.scan(rows.Scan); err != nil {
			return nil, err
		}
		page = append(page, r.product)
	}
	return page, rows.Err()
}

func (s *store) GetImage(ctx context.Context, k dataset.Key, dst []byte) ([]byte, error) {
	var data sql.RawBytes
	rows, err := s.getImage.QueryContext(ctx, k.Account, k.ID)
	if err != nil {
		return dst, err
	}
	defer rows.Close()
	if !rows.Next() {
		return dst, errors.Join(peer.ErrNotFound, rows.Err())
	}
	if err := rows.Scan(&data); err != nil {
		return dst, err
	}
	return append(dst, data...), nil
}

func (s *store) Product(got any) (dataset.Product, error) {
	p, ok := got.(*dataset.Product)
	if !ok {
		return dataset.Product{}, fmt.Errorf("sqlite: unexpected %T", got)
	}
	return *p, nil
}

func (s *store) Products(page any) ([]dataset.Product, error) {
	products, ok := page.([]dataset.Product)
	if !ok {
		return nil, fmt.Errorf("sqlite: unexpected %T", page)
	}
	return products, nil
}

func (s *store) Sweep(ctx context.Context) (removed int, err error) {
	for {
		res, err := s.take.ExecContext(ctx, s.Now(), sweepBatch)
		if err != nil {
			return removed, err
		}
		n, err := res.RowsAffected()
		removed += int(n)
		if n == 0 || err != nil {
			return removed, err
		}
	}
}

func (s *store) Compact(ctx context.Context) error {
	for _, q := range []string{`VACUUM`, `PRAGMA wal_checkpoint(TRUNCATE)`} {
		if _, err := s.write.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// Close ends with a checkpoint, which is durable in both modes.
func (s *store) Close() error {
	err := s.read.Close()
	_, checkpoint := s.write.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
	return errors.Join(err, checkpoint, s.write.Close())
}
