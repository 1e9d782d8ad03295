// Package bolt measures bbolt: a bucket of records, one of deadlines, one of
// images.
package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	bbolt "go.etcd.io/bbolt"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/encoding"
)

// sweepBatch is how many products one transaction removes.
const sweepBatch = 1000

var (
	products  = []byte("products")
	deadlines = []byte("deadlines") // deadline and key of the product
	images    = []byte("images")
)

// Peer returns bbolt.
func Peer() peer.Peer {
	return peer.Peer{
		Name: "bbolt", Module: "go.etcd.io/bbolt",
		About: "NoFreelistSync, freelist as a map; Batch of as many as there are writers, Update for one; NoSync where not durable, " +
			"which may break the file in a power cut",
		Open: func(_ context.Context, dir string, o peer.Options) (peer.Store, error) { return open(dir, o) },
	}
}

type store struct {
	peer.Clock
	db   *bbolt.DB
	path string
	// durable and writers are what the store was told.
	durable bool
	writers int
}

var (
	_ peer.Store         = (*store)(nil)
	_ peer.WriterCounter = (*store)(nil)
)

func open(dir string, o peer.Options) (*store, error) {
	s := &store{path: filepath.Join(dir, "products.bolt"), durable: o.Durable}
	s.Advance(o.Offset)
	if err := s.openFile(); err != nil {
		return nil, err
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{products, deadlines, images} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

func (s *store) openFile() (err error) {
	s.db, err = bbolt.Open(s.path, 0o600, &bbolt.Options{
		NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoSync: !s.durable,
	})
	return err
}

// ExpectWriters implements peer.WriterCounter: a batch that holds an operation
// of each writer has no further one to wait for.
func (s *store) ExpectWriters(n int) { s.writers, s.db.MaxBatchSize = n, n }

// update is Batch where others write too, which shares their fsync.
func (s *store) update(fn func(*bbolt.Tx) error) error {
	if s.writers > 1 {
		return s.db.Batch(fn)
	}
	return s.db.Update(fn)
}

func keyOf(k dataset.Key) []byte { return encoding.AppendProductKey(nil, k.Account, k.ID) }

func deadlineKey(deadline int64, key []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(deadline)), key...)
}

func (s *store) put(tx *bbolt.Tx, p *dataset.Product) error {
	key, r := keyOf(p.Key), peer.NewRecord(p, s.Now())
	if err := tx.Bucket(products).Put(key, encoding.AppendRecord(nil, r)); err != nil {
		return err
	}
	if r.IndexedAt == encoding.None {
		return nil
	}
	return tx.Bucket(deadlines).Put(deadlineKey(r.IndexedAt, key), nil)
}

func (s *store) Import(_ context.Context, list []dataset.Product) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		for i := range list {
			if err := s.put(tx, &list[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *store) Create(_ context.Context, p *dataset.Product) error {
	return s.update(func(tx *bbolt.Tx) error {
		if tx.Bucket(products).Get(keyOf(p.Key)) != nil {
			return fmt.Errorf("bolt: %s exists", p.ID)
		}
		return s.put(tx, p)
	})
}

// change reads, changes and writes a live product.
func (s *store) change(k dataset.Key, fn func(tx *bbolt.Tx, r *encoding.Record, now int64) error) error {
	key := keyOf(k)
	return s.update(func(tx *bbolt.Tx) error {
		now := s.Now()
		r, err := load(tx, key, now)
		if err != nil {
			return err
		}
		indexed := r.IndexedAt
		if err := fn(tx, r, now); err != nil {
			return err
		}
		if r.IndexedAt != indexed {
			if err := tx.Bucket(deadlines).Delete(deadlineKey(indexed, key)); err != nil {
				return err
			}
			if err := tx.Bucket(deadlines).Put(deadlineKey(r.IndexedAt, key), nil); err != nil {
				return err
			}
		}
		return tx.Bucket(products).Put(key, encoding.AppendRecord(nil, r))
	})
}

func load(tx *bbolt.Tx, key []byte, now int64) (*encoding.Record, error) {
	value := tx.Bucket(products).Get(key)
	if value == nil {
		return nil, peer.ErrNotFound
	}
	r := new(encoding.Record)
	if err := peer.Decode(bytes.Clone(value), r); err != nil {
		return nil, err
	}
	if !peer.Live(r, now) {
		return nil, peer.ErrNotFound
	}
	return r, nil
}

func (s *store) Edit(_ context.Context, k dataset.Key, metadata []byte) error {
	return s.change(k, func(_ *bbolt.Tx, r *encoding.Record, now int64) error {
		peer.Edited(r, metadata, now)
		return nil
	})
}

func (s *store) Use(_ context.Context, k dataset.Key) error {
	return s.change(k, func(_ *bbolt.Tx, r *encoding.Record, now int64) error {
		peer.Used(r, now)
		return nil
	})
}

func (s *store) PutImage(_ context.Context, k dataset.Key, data []byte) error {
	return s.change(k, func(tx *bbolt.Tx, r *encoding.Record, now int64) error {
		peer.Photographed(r, data, now)
		return tx.Bucket(images).Put(keyOf(k), data)
	})
}

func (s *store) Get(_ context.Context, k dataset.Key, _ bool) (any, error) {
	var r *encoding.Record
	err := s.db.View(func(tx *bbolt.Tx) (err error) {
		r, err = load(tx, keyOf(k), s.Now())
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (s *store) Page(_ context.Context, p dataset.Page, _ bool) (any, error) {
	page := make([]*encoding.Record, 0, p.Limit)
	start, end := encoding.ProductRange(p.Account)
	if p.After != "" {
		start = encoding.AppendSuccessor(nil, keyOf(dataset.Key{Account: p.Account, ID: p.After}))
	}
	now := s.Now()
	err := s.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(products).Cursor()
		for key, value := c.Seek(start); key != nil && bytes.Compare(key, end) < 0 && len(page) < p.Limit; key, value = c.Next() {
			r := new(encoding.Record)
			if err := peer.Decode(bytes.Clone(value), r); err != nil {
				return err
			}
			if peer.Live(r, now) {
				page = append(page, r)
			}
		}
		return nil
	})
	return page, err
}

func (s *store) GetImage(_ context.Context, k dataset.Key, dst []byte) ([]byte, error) {
	err := s.db.View(func(tx *bbolt.Tx) error {
		data := tx.Bucket(images).Get(keyOf(k))
		if data == nil {
			return peer.ErrNotFound
		}
		dst = append(dst, data...)
		return nil
	})
	return dst, err
}

func (s *store) Product(got any) (dataset.Product, error) { return peer.ProductOf(got) }

func (s *store) Products(page any) ([]dataset.Product, error) { return peer.ProductsOf(page) }

func (s *store) Sweep(context.Context) (removed int, err error) {
	for {
		n, err := s.sweepSome()
		removed += n
		if n == 0 || err != nil {
			return removed, err
		}
	}
}

func (s *store) sweepSome() (n int, err error) {
	err = s.db.Update(func(tx *bbolt.Tx) error {
		n = 0
		now, due := s.Now(), [][]byte{}
		c := tx.Bucket(deadlines).Cursor()
		for key, _ := c.First(); key != nil && int64(binary.BigEndian.Uint64(key)) <= now && len(due) < sweepBatch; key, _ = c.Next() {
			due = append(due, bytes.Clone(key))
		}
		for _, key := range due {
			if err := tx.Bucket(products).Delete(key[8:]); err != nil {
				return err
			}
			if err := tx.Bucket(images).Delete(key[8:]); err != nil {
				return err
			}
			if err := tx.Bucket(deadlines).Delete(key); err != nil {
				return err
			}
		}
		n = len(due)
		return nil
	})
	return n, err
}

// Compact writes the store into a new file, which takes the old one's place.
func (s *store) Compact(context.Context) error {
	fresh := s.path + ".compact"
	to, err := bbolt.Open(fresh, 0o600, &bbolt.Options{NoFreelistSync: true, NoSync: true})
	if err != nil {
		return err
	}
	err = bbolt.Compact(to, s.db, 64<<20)
	if err = errors.Join(err, to.Sync(), to.Close(), s.db.Close()); err != nil {
		return err
	}
	if err := os.Rename(fresh, s.path); err != nil {
		return err
	}
	return s.openFile()
}

func (s *store) Close() error { return errors.Join(s.db.Sync(), s.db.Close()) }
