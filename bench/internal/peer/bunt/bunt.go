// Package bunt measures BuntDB: records as strings under their keys, with its
// own TTL. It holds everything in memory and a log on the disk.
package bunt

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tidwall/buntdb"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/encoding"
)

const sweepBatch = 1000

// Peer returns BuntDB.
func Peer() peer.Peer {
	return peer.Peer{
		Name: "buntdb", Module: "github.com/tidwall/buntdb",
		About: "all in memory with a log; own TTL in whole seconds; SyncPolicy Always where durable, else EverySecond",
		Open:  func(_ context.Context, dir string, o peer.Options) (peer.Store, error) { return open(dir, o) },
	}
}

type store struct {
	peer.Clock
	db *buntdb.DB

	// mu guards expired, the keys that BuntDB last reported as expired.
	mu      sync.Mutex
	expired []string
	// reported has a token when expired was set since it was last taken.
	reported chan struct{}
}

var _ peer.Store = (*store)(nil)

func open(dir string, o peer.Options) (*store, error) {
	db, err := buntdb.Open(filepath.Join(dir, "products.aof"))
	if err != nil {
		return nil, err
	}
	s := &store{db: db, reported: make(chan struct{}, 1)}
	s.Advance(o.Offset)
	var c buntdb.Config
	if err := db.ReadConfig(&c); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	c.SyncPolicy = buntdb.EverySecond
	if o.Durable {
		c.SyncPolicy = buntdb.Always
	}
	c.OnExpired = s.report
	if err := db.SetConfig(c); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// report takes the place of BuntDB's own removal, which runs once a second.
func (s *store) report(keys []string) {
	s.mu.Lock()
	s.expired = keys
	s.mu.Unlock()
	select {
	case s.reported <- struct{}{}:
	default:
	}
}

func keyOf(k dataset.Key) string { return string(encoding.AppendProductKey(nil, k.Account, k.ID)) }

func imageKey(k dataset.Key) string { return "image:" + keyOf(k) }

func put(tx *buntdb.Tx, key string, r *encoding.Record) error {
	var o *buntdb.SetOptions
	if r.ExpiresAt() != encoding.None {
		o = &buntdb.SetOptions{Expires: true, TTL: time.Until(time.UnixMilli(r.ExpiresAt()))}
	}
	_, _, err := tx.Set(key, string(encoding.AppendRecord(nil, r)), o)
	return err
}

func (s *store) Import(_ context.Context, products []dataset.Product) error {
	return s.db.Update(func(tx *buntdb.Tx) error {
		for i := range products {
			p := &products[i]
			if err := put(tx, keyOf(p.Key), peer.NewRecord(p, s.Now())); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *store) Create(_ context.Context, p *dataset.Product) error {
	key := keyOf(p.Key)
	return s.db.Update(func(tx *buntdb.Tx) error {
		if _, err := tx.Get(key); !errors.Is(err, buntdb.ErrNotFound) {
			return errors.Join(fmt.Errorf("bunt: %s exists", p.ID), err)
		}
		return put(tx, key, peer.NewRecord(p, s.Now()))
	})
}

func (s *store) change(k dataset.Key, fn func(tx *buntdb.Tx, r *encoding.Record, now int64) error) error {
	key := keyOf(k)
	return s.db.Update(func(tx *buntdb.Tx) error {
		r, err := load(tx, key)
		if err != nil {
			return err
		}
		if err := fn(tx, r, s.Now()); err != nil {
			return err
		}
		return put(tx, key, r)
	})
}

func load(tx *buntdb.Tx, key string) (*encoding.Record, error) {
	value, err := tx.Get(key)
	if errors.Is(err, buntdb.ErrNotFound) {
		return nil, peer.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return decode(value)
}

// decode makes its own copy of the value, which the record then refers to.
func decode(value string) (*encoding.Record, error) {
	r := new(encoding.Record)
	return r, peer.Decode([]byte(value), r)
}

func (s *store) Edit(_ context.Context, k dataset.Key, metadata []byte) error {
	return s.change(k, func(_ *buntdb.Tx, r *encoding.Record, now int64) error {
		peer.Edited(r, metadata, now)
		return nil
	})
}

func (s *store) Use(_ context.Context, k dataset.Key) error {
	return s.change(k, func(_ *buntdb.Tx, r *encoding.Record, now int64) error {
		peer.Used(r, now)
		return nil
	})
}

func (s *store) PutImage(_ context.Context, k dataset.Key, data []byte) error {
	return s.change(k, func(tx *buntdb.Tx, r *encoding.Record, now int64) error {
		peer.Photographed(r, data, now)
		_, _, err := tx.Set(imageKey(k), string(data), nil)
		return err
	})
}

func (s *store) Get(_ context.Context, k dataset.Key, _ bool) (any, error) {
	var r *encoding.Record
	err := s.db.View(func(tx *buntdb.Tx) (err error) {
		r, err = load(tx, keyOf(k))
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (s *store) Page(_ context.Context, p dataset.Page, _ bool) (any, error) {
	page := make([]*encoding.Record, 0, p.Limit)
	from, to := encoding.ProductRange(p.Account)
	if p.After != "" {
		from = append([]byte(keyOf(dataset.Key{Account: p.Account, ID: p.After})), 0)
	}
	var failed error
	err := s.db.View(func(tx *buntdb.Tx) error {
		return tx.AscendRange("", string(from), string(to), func(_, value string) bool {
			var r *encoding.Record
			if r, failed = decode(value); failed == nil {
				page = append(page, r)
			}
			return failed == nil && len(page) < p.Limit
		})
	})
	return page, errors.Join(err, failed)
}

func (s *store) GetImage(_ context.Context, k dataset.Key, dst []byte) ([]byte, error) {
	err := s.db.View(func(tx *buntdb.Tx) error {
		value, err := tx.Get(imageKey(k))
		if errors.Is(err, buntdb.ErrNotFound) {
			return peer.ErrNotFound
		}
		dst = append(dst, value...)
		return err
	})
	return dst, err
}

func (s *store) Product(got any) (dataset.Product, error) { return peer.ProductOf(got) }

func (s *store) Products(page any) ([]dataset.Product, error) { return peer.ProductsOf(page) }

// PrepareSweep implements peer.SweepPreparer: it waits until BuntDB has found
// that n products have expired.
func (s *store) PrepareSweep(ctx context.Context, n int) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.reported:
		}
		s.mu.Lock()
		count := len(s.expired)
		s.mu.Unlock()
		if count >= n {
			return nil
		}
	}
}

// Sweep removes what BuntDB has reported.
func (s *store) Sweep(context.Context) (removed int, err error) {
	s.mu.Lock()
	due := s.expired
	s.expired = nil
	s.mu.Unlock()
	for keys := range slices.Chunk(due, sweepBatch) {
		err := s.db.Update(func(tx *buntdb.Tx) error {
			for _, key := range keys {
				// Not found is what Delete says of an expired item.
				if _, err := tx.Delete(key); err != nil && !errors.Is(err, buntdb.ErrNotFound) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return removed, err
		}
		removed += len(keys)
	}
	return removed, nil
}

func (s *store) Compact(context.Context) error {
	err := s.db.Shrink()
	if errors.Is(err, buntdb.ErrShrinkInProcess) {
		return nil
	}
	return err
}

func (s *store) Close() error { return s.db.Close() }
