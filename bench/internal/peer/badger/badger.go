// Package badger measures Badger: records under their keys with its own TTL.
package badger

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	dgraph "github.com/dgraph-io/badger/v4"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/encoding"
)

// Peer returns Badger.
func Peer() peer.Peer {
	return peer.Peer{
		Name: "badger", Module: "github.com/dgraph-io/badger/v4",
		About: "default options (256 MB block cache), native TTL in whole seconds; SyncWrites where durable; WriteBatch to import",
		Open:  func(_ context.Context, dir string, o peer.Options) (peer.Store, error) { return open(dir, o) },
	}
}

type store struct {
	peer.Clock
	db *dgraph.DB
}

var _ peer.Store = (*store)(nil)

func open(dir string, o peer.Options) (*store, error) {
	db, err := dgraph.Open(dgraph.DefaultOptions(dir).WithLogger(nil).WithSyncWrites(o.Durable))
	if err != nil {
		return nil, err
	}
	s := &store{db: db}
	s.Advance(o.Offset)
	return s, nil
}

func keyOf(k dataset.Key) []byte { return encoding.AppendProductKey(nil, k.Account, k.ID) }

func imageKey(k dataset.Key) []byte {
	return encoding.AppendBlobKey(nil, k.Account+"/"+k.ID, encoding.BlobID{}, 1)
}

// entryOf returns a record's entry, which Badger hides from its deadline on.
func entryOf(key []byte, r *encoding.Record) *dgraph.Entry {
	e := dgraph.NewEntry(key, encoding.AppendRecord(nil, r))
	if r.ExpiresAt() != encoding.None {
		e.ExpiresAt = uint64(r.ExpiresAt() / 1000)
	}
	return e
}

func (s *store) Import(_ context.Context, products []dataset.Product) error {
	b := s.db.NewWriteBatch()
	defer b.Cancel()
	for i := range products {
		p := &products[i]
		if err := b.SetEntry(entryOf(keyOf(p.Key), peer.NewRecord(p, s.Now()))); err != nil {
			return err
		}
	}
	return b.Flush()
}

// update runs fn in a transaction until it meets no conflict.
func (s *store) update(ctx context.Context, fn func(*dgraph.Txn) error) error {
	for {
		err := s.db.Update(fn)
		if !errors.Is(err, dgraph.ErrConflict) || ctx.Err() != nil {
			return err
		}
	}
}

func (s *store) Create(ctx context.Context, p *dataset.Product) error {
	key := keyOf(p.Key)
	return s.update(ctx, func(txn *dgraph.Txn) error {
		if _, err := txn.Get(key); !errors.Is(err, dgraph.ErrKeyNotFound) {
			return errors.Join(fmt.Errorf("badger: %s exists", p.ID), err)
		}
		return txn.SetEntry(entryOf(key, peer.NewRecord(p, s.Now())))
	})
}

func (s *store) change(ctx context.Context, k dataset.Key, fn func(txn *dgraph.Txn, r *encoding.Record, now int64) error) error {
	key := keyOf(k)
	return s.update(ctx, func(txn *dgraph.Txn) error {
		r, err := load(txn, key)
		if err != nil {
			return err
		}
		if err := fn(txn, r, s.Now()); err != nil {
			return err
		}
		return txn.SetEntry(entryOf(key, r))
	})
}

func load(txn *dgraph.Txn, key []byte) (*encoding.Record, error) {
	item, err := txn.Get(key)
	if errors.Is(err, dgraph.ErrKeyNotFound) {
		return nil, peer.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return decode(item)
}

func decode(item *dgraph.Item) (*encoding.Record, error) {
	r := new(encoding.Record)
	return r, item.Value(func(value []byte) error { return peer.Decode(bytes.Clone(value), r) })
}

func (s *store) Edit(ctx context.Context, k dataset.Key, metadata []byte) error {
	return s.change(ctx, k, func(_ *dgraph.Txn, r *encoding.Record, now int64) error {
		peer.Edited(r, metadata, now)
		return nil
	})
}

func (s *store) Use(ctx context.Context, k dataset.Key) error {
	return s.change(ctx, k, func(_ *dgraph.Txn, r *encoding.Record, now int64) error {
		peer.Used(r, now)
		return nil
	})
}

func (s *store) PutImage(ctx context.Context, k dataset.Key, data []byte) error {
	return s.change(ctx, k, func(txn *dgraph.Txn, r *encoding.Record, now int64) error {
		peer.Photographed(r, data, now)
		return txn.Set(imageKey(k), data)
	})
}

func (s *store) Get(_ context.Context, k dataset.Key, _ bool) (any, error) {
	var r *encoding.Record
	err := s.db.View(func(txn *dgraph.Txn) (err error) {
		r, err = load(txn, keyOf(k))
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (s *store) Page(_ context.Context, p dataset.Page, _ bool) (any, error) {
	page := make([]*encoding.Record, 0, p.Limit)
	start, _ := encoding.ProductRange(p.Account)
	o := dgraph.DefaultIteratorOptions
	o.PrefetchSize = p.Limit
	o.Prefix = start
	if p.After != "" {
		start = encoding.AppendSuccessor(nil, keyOf(dataset.Key{Account: p.Account, ID: p.After}))
	}
	err := s.db.View(func(txn *dgraph.Txn) error {
		it := txn.NewIterator(o)
		defer it.Close()
		for it.Seek(start); it.Valid() && len(page) < p.Limit; it.Next() {
			r, err := decode(it.Item())
			if err != nil {
				return err
			}
			page = append(page, r)
		}
		return nil
	})
	return page, err
}

func (s *store) GetImage(_ context.Context, k dataset.Key, dst []byte) ([]byte, error) {
	err := s.db.View(func(txn *dgraph.Txn) error {
		item, err := txn.Get(imageKey(k))
		if errors.Is(err, dgraph.ErrKeyNotFound) {
			return peer.ErrNotFound
		}
		if err != nil {
			return err
		}
		return item.Value(func(value []byte) error {
			dst = append(dst, value...)
			return nil
		})
	})
	return dst, err
}

func (s *store) Product(got any) (dataset.Product, error) { return peer.ProductOf(got) }

func (s *store) Products(page any) ([]dataset.Product, error) { return peer.ProductsOf(page) }

// Sweep is not offered: Badger drops what has expired when a compaction happens
// to meet it, and has no way to ask for that.
func (s *store) Sweep(context.Context) (int, error) { return 0, peer.ErrNotOffered }

// Compact merges the tables down and collects the value log.
func (s *store) Compact(context.Context) error {
	if err := s.db.Flatten(2); err != nil {
		return err
	}
	for {
		err := s.db.RunValueLogGC(0.5)
		if errors.Is(err, dgraph.ErrNoRewrite) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *store) Close() error { return errors.Join(s.db.Sync(), s.db.Close()) }
