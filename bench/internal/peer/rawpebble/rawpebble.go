// Package rawpebble is the floor: Pebble with the options of backend/pebble,
// holding the bytes that Shelflife would write, and nothing around it. It does
// not decode and does not look at lifetimes. It does not read before it writes,
// but as the peer that Reading returns.
package rawpebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"sync"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/encoding"
)

// importBatch and sweepBatch are those of the catalog.
const (
	importBatch = 64
	sweepBatch  = 128
)

// cacheLine is how far apart the bytes are that touch a value.
const cacheLine = 64

// Peer returns the floor.
func Peer() peer.Peer {
	images := &imageNumbers{of: map[dataset.Key]uint32{}}
	return peer.Peer{
		Name: floorName, Module: module, Floor: true,
		About: "raw Pebble, same options and bytes: Get without decoding, Set without reading",
		Open: func(_ context.Context, dir string, o peer.Options) (peer.Store, error) {
			return open(dir, o, images)
		},
	}
}

// Reading returns the floor of edits that need what was there: it gets the old
// record, without decoding it, before it sets the new one.
func Reading() peer.Peer {
	return peer.Peer{
		Name: "pebble-reading", Data: floorName, Module: module, Floor: true, Only: []string{"edit-*"},
		About: "the same on the same files: Get, then Set; edits alone",
		Open: func(_ context.Context, dir string, o peer.Options) (peer.Store, error) {
			s, err := open(dir, o, nil)
			if err != nil {
				return nil, err
			}
			return &reading{s}, nil
		},
	}
}

const (
	floorName = "pebble"
	module    = "github.com/cockroachdb/pebble/v2"
)

// CompactDir compacts a closed store, one of Shelflife too.
func CompactDir(ctx context.Context, dir string) error {
	db, err := crdb.Open(dir, EngineOptions())
	if err != nil {
		return err
	}
	return errors.Join(compact(ctx, db), db.Close())
}

func compact(ctx context.Context, db *crdb.DB) error {
	if err := db.Flush(); err != nil {
		return err
	}
	return db.Compact(ctx, []byte{0}, []byte{0xff}, false)
}

func fatal(err error) { log.Fatal(err) }

type store struct {
	peer.Clock
	db     *crdb.DB
	write  *crdb.WriteOptions
	edits  func() []model // made when they are first asked for
	images *imageNumbers
}

var _ peer.Store = (*store)(nil)

// reading is a store whose edits read first.
type reading struct{ *store }

var _ peer.Store = (*reading)(nil)

// Edit implements peer.Store.
func (s *reading) Edit(ctx context.Context, k dataset.Key, metadata []byte) error {
	if _, err := s.Get(ctx, k, false); err != nil {
		return err
	}
	return s.store.Edit(ctx, k, metadata)
}

// imageNumbers are the number of each product's image, in all openings of a peer's
// stores: each upload has a key of its own.
type imageNumbers struct {
	mu sync.Mutex
	of map[dataset.Key]uint32
}

// newest returns the number of the last image of a product, 0 if it has none.
func (n *imageNumbers) newest(k dataset.Key) uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of[k]
}

func (n *imageNumbers) set(k dataset.Key, number uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.of[k] = number
}

// model is an encoded record whose metadata have a revision to be overwritten.
type model struct {
	record   []byte
	metadata int // where the metadata begin
}

func open(dir string, o peer.Options, images *imageNumbers) (*store, error) {
	db, err := crdb.Open(dir, EngineOptions())
	if err != nil {
		return nil, err
	}
	s := &store{db: db, write: crdb.NoSync, images: images}
	s.Advance(o.Offset)
	if o.Durable {
		s.write = crdb.Sync
	}
	s.edits = sync.OnceValue(func() []model { return models(o.Edits, o.Models, s.Now()) })
	return s, nil
}

func models(edits *dataset.Edits, set *dataset.Set, now int64) []model {
	out := make([]model, edits.Variants())
	for i := range out {
		p := set.Product(i)
		p.Metadata = edits.Append(nil, uint64(i))
		record := encoding.AppendRecord(nil, peer.NewRecord(&p, now))
		out[i] = model{record, bytes.LastIndex(record, p.Metadata)}
	}
	return out
}

// put adds a new product to a batch.
func (s *store) put(b *crdb.Batch, p *dataset.Product, buf []byte) ([]byte, error) {
	r := peer.NewRecord(p, s.Now())
	buf = encoding.AppendRecord(buf[:0], r)
	var space [512]byte
	key := encoding.AppendProductKey(space[:0], p.Account, p.ID)
	if err := b.Set(key, buf, nil); err != nil {
		return buf, err
	}
	key = encoding.AppendListedKey(space[:0], p.Account, p.ID)
	if err := b.Set(key, encoding.AppendListedValue(nil), nil); err != nil {
		return buf, err
	}
	if r.IndexedAt == encoding.None {
		return buf, nil
	}
	key = encoding.AppendExpiryKey(space[:0], expiryOf(r))
	value := encoding.AppendExpiryValue(nil, encoding.ExpiryValue{RecordSize: uint32(len(buf))})
	return buf, b.Set(key, value, nil)
}

func expiryOf(r *encoding.Record) encoding.Expiry {
	return encoding.Expiry{Deadline: r.IndexedAt, Kind: encoding.ExpiryProduct, Account: r.Account, ID: r.ID}
}

func (s *store) Import(_ context.Context, products []dataset.Product) error {
	var buf []byte
	for chunk := range slices.Chunk(products, importBatch) {
		b := s.db.NewBatch()
		for i := range chunk {
			var err error
			if buf, err = s.put(b, &chunk[i], buf); err != nil {
				return err
			}
		}
		if err := s.db.Apply(b, crdb.NoSync); err != nil {
			return err
		}
		if err := b.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) Create(_ context.Context, p *dataset.Product) error {
	b := s.db.NewBatch()
	if _, err := s.put(b, p, nil); err != nil {
		return err
	}
	return errors.Join(s.db.Apply(b, s.write), b.Close())
}

func (s *store) Edit(_ context.Context, k dataset.Key, metadata []byte) error {
	revision, err := dataset.Revision(metadata)
	if err != nil {
		return err
	}
	models := s.edits()
	m := &models[revision%uint64(len(models))]
	var space [2048]byte
	value := append(space[:0], m.record...)
	dataset.PutRevision(value[m.metadata:], revision)
	return s.db.Set(encoding.AppendProductKey(nil, k.Account, k.ID), value, s.write)
}

func (s *store) Use(context.Context, dataset.Key) error { return peer.ErrNotOffered }

func (s *store) Get(_ context.Context, k dataset.Key, keep bool) (any, error) {
	var space [128]byte
	value, closer, err := s.db.Get(encoding.AppendProductKey(space[:0], k.Account, k.ID))
	if err != nil {
		return nil, notFound(err)
	}
	var got any
	if keep {
		got = bytes.Clone(value)
	}
	return got, closer.Close()
}

func (s *store) Page(_ context.Context, p dataset.Page, keep bool) (any, error) {
	start, end := encoding.ProductRange(p.Account)
	if p.After != "" {
		start = encoding.AppendSuccessor(nil, encoding.AppendProductKey(nil, p.Account, p.After))
	}
	it, err := s.db.NewIter(&crdb.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return nil, err
	}
	var page [][]byte
	n, seen := 0, byte(0)
	for ok := it.First(); ok && n < p.Limit; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		// A page that nobody looks at costs less memory traffic than any reader's.
		for i := 0; i < len(value); i += cacheLine {
			seen |= value[i]
		}
		if keep {
			page = append(page, bytes.Clone(value))
		}
		n++
	}
	if n < p.Limit || seen == 0 {
		return nil, errors.Join(fmt.Errorf("rawpebble: page of %d", n), it.Close())
	}
	return page, it.Close()
}

// imageKey is that of a chunk of a blob that is named after the product.
func imageKey(k dataset.Key, number uint32) []byte {
	var id encoding.BlobID
	copy(id[:], k.ID)
	return encoding.AppendBlobKey(nil, k.Account, id, number)
}

// PutImage writes a fresh key, as a store must whose readers take an image in
// pieces, and removes that of the image before.
func (s *store) PutImage(_ context.Context, k dataset.Key, data []byte) error {
	last := s.images.newest(k)
	b := s.db.NewBatch()
	err := b.Set(imageKey(k, last+1), data, nil)
	if err == nil && last > 0 {
		err = b.Delete(imageKey(k, last), nil)
	}
	if err == nil {
		err = s.db.Apply(b, s.write)
	}
	if err == nil {
		s.images.set(k, last+1)
	}
	return errors.Join(err, b.Close())
}

func (s *store) GetImage(_ context.Context, k dataset.Key, dst []byte) ([]byte, error) {
	value, closer, err := s.db.Get(imageKey(k, s.images.newest(k)))
	if err != nil {
		return dst, notFound(err)
	}
	dst = append(dst, value...)
	return dst, closer.Close()
}

func (s *store) Product(got any) (dataset.Product, error) {
	data, _ := got.([]byte)
	r := new(encoding.Record)
	if err := peer.Decode(data, r); err != nil {
		return dataset.Product{}, err
	}
	return peer.FromRecord(r), nil
}

func (s *store) Products(page any) ([]dataset.Product, error) {
	values, _ := page.([][]byte)
	out := make([]dataset.Product, len(values))
	for i, v := range values {
		var err error
		if out[i], err = s.Product(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *store) Sweep(ctx context.Context) (removed int, err error) {
	start, end := encoding.ExpiryRange(0, 0, s.Now())
	for {
		n, err := s.sweepSome(ctx, &start, end)
		removed += n
		if n == 0 && err == nil && s.write.Sync {
			// One wait for all, as the catalog has it.
			err = s.db.LogData(nil, crdb.Sync)
		}
		if n == 0 || err != nil {
			return removed, err
		}
	}
}

// sweepSome removes a batch, and moves start behind it: behind it lie deleted
// keys that the next one would step over.
func (s *store) sweepSome(ctx context.Context, start *[]byte, end []byte) (n int, err error) {
	it, err := s.db.NewIterWithContext(ctx, &crdb.IterOptions{LowerBound: *start, UpperBound: end})
	if err != nil {
		return 0, err
	}
	b := s.db.NewBatch()
	defer func() { err = errors.Join(err, it.Close(), b.Close()) }()
	var next []byte
	for ok := it.First(); ok && n < sweepBatch; ok = it.Next() {
		e, err := encoding.DecodeExpiryKey(it.Key())
		if err != nil {
			return 0, err
		}
		for _, key := range [][]byte{
			encoding.AppendProductKey(nil, e.Account, e.ID), encoding.AppendListedKey(nil, e.Account, e.ID), it.Key(),
		} {
			if err := b.Delete(key, nil); err != nil {
				return 0, err
			}
		}
		next = encoding.AppendSuccessor(next[:0], it.Key())
		n++
	}
	if n == 0 {
		return 0, nil
	}
	*start = next
	return n, s.db.Apply(b, crdb.NoSync)
}

func (s *store) Compact(ctx context.Context) error { return compact(ctx, s.db) }

// Close writes the memtable out, as the catalog does.
func (s *store) Close() error { return errors.Join(s.db.Flush(), s.db.Close()) }

func notFound(err error) error {
	if errors.Is(err, crdb.ErrNotFound) {
		return peer.ErrNotFound
	}
	return err
}
