package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/pingcap/go-ycsb/pkg/ycsb"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/bench/internal/peer/rawpebble"
	"github.com/shelflife-db/shelflife/catalog"
)

// engine is a store of rows.
type engine interface {
	read(ctx context.Context, key string, fields []string) (map[string][]byte, error)
	scan(ctx context.Context, from string, count int, fields []string) ([]map[string][]byte, error)
	update(ctx context.Context, key string, values map[string][]byte) error
	insert(ctx context.Context, key string, values map[string][]byte) error
	close() error
}

// An opener opens the store in a folder, and makes it there the first time. Writes of
// a durable one are on the disk when they return.
type opener func(ctx context.Context, dir string, durable bool) (engine, error)

// db is an engine as go-ycsb wants it. Its client prints errors and goes on: here the
// first is kept, and fails the run.
type db struct {
	engine engine
	failed atomic.Pointer[error]
	// missed is how many operations were about a row that is not there: go-ycsb also
	// chooses rows that it expects to be inserted.
	missed atomic.Int64
}

// errMissing says that there is no row under a key.
var errMissing = errors.New("ycsb: no such row")

var _ ycsb.DB = (*db)(nil)

func (d *db) note(op, key string, err error) error {
	if errors.Is(err, errMissing) {
		d.missed.Add(1)
		return nil
	}
	if err != nil {
		err = fmt.Errorf("%s of %s: %w", op, key, err)
		d.failed.CompareAndSwap(nil, &err)
	}
	return err
}

// err returns the first error.
func (d *db) err() error {
	if p := d.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// Close implements ycsb.DB. The caller that opened the engine closes it.
func (d *db) Close() error { return nil }

// InitThread implements ycsb.DB.
func (d *db) InitThread(ctx context.Context, _, _ int) context.Context { return ctx }

// CleanupThread implements ycsb.DB.
func (d *db) CleanupThread(context.Context) {}

// Read implements ycsb.DB.
func (d *db) Read(ctx context.Context, _, key string, fields []string) (map[string][]byte, error) {
	row, err := d.engine.read(ctx, key, fields)
	return row, d.note("read", key, err)
}

// Scan implements ycsb.DB.
func (d *db) Scan(ctx context.Context, _, from string, count int, fields []string) ([]map[string][]byte, error) {
	rows, err := d.engine.scan(ctx, from, count, fields)
	return rows, d.note("scan", from, err)
}

// Update implements ycsb.DB.
func (d *db) Update(ctx context.Context, _, key string, values map[string][]byte) error {
	return d.note("update", key, d.engine.update(ctx, key, values))
}

// Insert implements ycsb.DB.
func (d *db) Insert(ctx context.Context, _, key string, values map[string][]byte) error {
	return d.note("insert", key, d.engine.insert(ctx, key, values))
}

// Delete implements ycsb.DB. No workload of YCSB's core deletes.
func (d *db) Delete(_ context.Context, _, key string) error {
	return d.note("delete", key, errors.ErrUnsupported)
}

// account is the one that has all rows: a scan is of one account.
const account = "ycsb"

// image is that of every product, which must have one.
const image = "https://cdn.example.com/1.jpg"

// shelves keeps a row as the metadata of a product.
type shelves struct{ catalog *catalog.Catalog }

var _ engine = (*shelves)(nil)

func openShelves(ctx context.Context, dir string, durable bool) (engine, error) {
	b, err := pebble.Open(ctx, dir, nil)
	if err != nil {
		return nil, err
	}
	o := &catalog.Options{Durability: catalog.Buffered}
	if durable {
		o.Durability = catalog.Synced
	}
	c, err := catalog.Open(ctx, b, o)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return &shelves{c}, nil
}

func (s *shelves) read(ctx context.Context, key string, fields []string) (row map[string][]byte, err error) {
	err = s.catalog.View(ctx, account, key, func(v catalog.ProductView) (err error) {
		row, err = fieldsOf(v.Metadata(), fields)
		return err
	})
	return row, missing(err, catalog.ErrNotFound)
}

// missing returns errMissing for the error that means it.
func missing(err, notFound error) error {
	if errors.Is(err, notFound) {
		return errMissing
	}
	return err
}

func (s *shelves) scan(ctx context.Context, from string, count int, fields []string) (rows []map[string][]byte, err error) {
	_, err = s.catalog.ListViews(ctx, account, catalog.ListOptions{From: from, Limit: count}, func(v catalog.ProductView) error {
		row, err := fieldsOf(v.Metadata(), fields)
		rows = append(rows, row)
		return err
	})
	return rows, err
}

func (s *shelves) update(ctx context.Context, key string, values map[string][]byte) error {
	_, err := s.catalog.Edit(ctx, account, key, func(v catalog.ProductView) (catalog.Patch, error) {
		row, err := appendUpdated(nil, v.Metadata(), values)
		return catalog.Patch{Metadata: catalog.Set(json.RawMessage(row))}, err
	})
	return missing(err, catalog.ErrNotFound)
}

func (s *shelves) insert(ctx context.Context, key string, values map[string][]byte) error {
	_, err := s.catalog.Upsert(ctx, account, key, catalog.Patch{
		Images: catalog.Set([]catalog.NewImage{{URL: image}}), Metadata: catalog.Set(json.RawMessage(appendRow(nil, values))),
	})
	return err
}

func (s *shelves) close() error { return s.catalog.Close() }

// floor keeps a row as a value of raw Pebble, with the options of backend/pebble. Its
// updates read first, as they must, and lose what another wrote meanwhile.
type floor struct {
	db    *crdb.DB
	write *crdb.WriteOptions
}

var _ engine = (*floor)(nil)

func openFloor(_ context.Context, dir string, durable bool) (engine, error) {
	db, err := crdb.Open(dir, rawpebble.EngineOptions())
	if err != nil {
		return nil, err
	}
	f := &floor{db, crdb.NoSync}
	if durable {
		f.write = crdb.Sync
	}
	return f, nil
}

func (f *floor) read(_ context.Context, key string, fields []string) (map[string][]byte, error) {
	value, closer, err := f.db.Get([]byte(key))
	if err != nil {
		return nil, missing(err, crdb.ErrNotFound)
	}
	row, err := fieldsOf(value, fields)
	return row, errors.Join(err, closer.Close())
}

func (f *floor) scan(ctx context.Context, from string, count int, fields []string) (rows []map[string][]byte, err error) {
	it, err := f.db.NewIterWithContext(ctx, &crdb.IterOptions{LowerBound: []byte(from)})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok && len(rows) < count; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		row, err := fieldsOf(value, fields)
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		rows = append(rows, row)
	}
	return rows, it.Close()
}

func (f *floor) update(_ context.Context, key string, values map[string][]byte) error {
	value, closer, err := f.db.Get([]byte(key))
	if err != nil {
		return missing(err, crdb.ErrNotFound)
	}
	row, err := appendUpdated(nil, value, values)
	if err = errors.Join(err, closer.Close()); err != nil {
		return err
	}
	return f.db.Set([]byte(key), row, f.write)
}

func (f *floor) insert(_ context.Context, key string, values map[string][]byte) error {
	return f.db.Set([]byte(key), appendRow(nil, values), f.write)
}

func (f *floor) close() error { return errors.Join(f.db.Flush(), f.db.Close()) }
