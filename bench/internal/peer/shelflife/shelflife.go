// Package shelflife measures the catalog on its Pebble backend.
package shelflife

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/peer/rawpebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// Default is the catalog as it comes.
func Default() peer.Peer {
	return peer.Peer{
		Name: "shelflife", Module: "github.com/shelflife-db/shelflife",
		About: "catalog on backend/pebble, default options; Buffered where not durable",
		Open:  opener(0),
	}
}

// Uncached is the catalog without its cache of products.
func Uncached() peer.Peer {
	return peer.Peer{
		Name: "shelflife-nocache", Data: "shelflife", Module: "github.com/shelflife-db/shelflife",
		About: "the same with CacheBytes: -1",
		Open:  opener(-1),
	}
}

func opener(cacheBytes int64) func(context.Context, string, peer.Options) (peer.Store, error) {
	return func(ctx context.Context, dir string, o peer.Options) (peer.Store, error) {
		s := &Store{dir: dir, o: catalogOptions(o, cacheBytes)}
		s.Advance(o.Offset)
		s.o.Clock = shiftedClock{ttl.SystemClock(), &s.Clock}
		if err := s.open(ctx); err != nil {
			return nil, err
		}
		return s, nil
	}
}

// always is longer than any clock of a run is off.
const always = 10_000 * time.Hour

func catalogOptions(o peer.Options, cacheBytes int64) catalog.Options {
	c := catalog.Options{CacheBytes: cacheBytes, Durability: catalog.Buffered}
	if o.Durable {
		c.Durability, c.UseWindow = catalog.Synced, catalog.NoUseWindow
	}
	if o.Offset != 0 {
		// The clock will leap.
		c.Sweeper.LeapTolerance = always
	}
	return c
}

// shiftedClock is a store's clock, with the machine's timers.
type shiftedClock struct {
	ttl.Clock
	shifted *peer.Clock
}

func (c shiftedClock) Now() time.Time { return c.shifted.Time() }

// Store is an open catalog.
type Store struct {
	peer.Clock
	dir     string
	o       catalog.Options
	engine  *pebble.Store
	catalog *catalog.Catalog
	// cursors holds the cursor of each page that was asked for.
	cursors sync.Map
}

var _ peer.Store = (*Store)(nil)

func (s *Store) open(ctx context.Context) (err error) {
	if s.engine, err = pebble.Open(ctx, s.dir, nil); err != nil {
		return err
	}
	if err = s.openCatalog(ctx); err != nil {
		return errors.Join(err, s.engine.Close())
	}
	return nil
}

func (s *Store) openCatalog(ctx context.Context) (err error) {
	s.catalog, err = catalog.Open(ctx, keptOpen{s.engine}, &s.o)
	return err
}

// keptOpen is a backend that outlives its catalog.
type keptOpen struct{ *pebble.Store }

var _ backend.Backend = keptOpen{}

// Close implements backend.Backend.
func (keptOpen) Close() error { return nil }

// Catalog returns the catalog.
func (s *Store) Catalog() *catalog.Catalog { return s.catalog }

// LogBytes returns how many bytes the write-ahead log has taken since Open.
func (s *Store) LogBytes() uint64 { return s.engine.Metrics().WAL.BytesWritten }

// CacheBytes returns how large the engine's block cache has grown.
func (s *Store) CacheBytes() int64 { return s.engine.Metrics().BlockCache.Size }

// Import implements peer.Store. UpsertMany takes the products of one account.
func (s *Store) Import(ctx context.Context, products []dataset.Product) error {
	for len(products) > 0 {
		account, n := products[0].Account, 1
		for n < len(products) && products[n].Account == account {
			n++
		}
		items := make([]catalog.UpsertItem, n)
		for i := range items {
			items[i] = catalog.UpsertItem{ExternalID: products[i].ID, Patch: patchOf(&products[i])}
		}
		for _, res := range s.catalog.UpsertMany(ctx, account, items) {
			if res.Err != nil {
				return res.Err
			}
			if res.Outcome != catalog.Created {
				return fmt.Errorf("shelflife: %s: %v", res.Product.ExternalID, res.Outcome)
			}
		}
		products = products[n:]
	}
	return nil
}

func patchOf(p *dataset.Product) catalog.Patch {
	images := make([]catalog.NewImage, len(p.Images))
	for i, im := range p.Images {
		images[i] = catalog.NewImage{URL: im.URL, Classifications: im.Classifications}
	}
	patch := catalog.Patch{
		Title: catalog.Set(p.Title), Description: catalog.Set(p.Description), Images: catalog.Set(images),
	}
	if p.Metadata != nil {
		patch.Metadata = catalog.Set(json.RawMessage(p.Metadata))
	}
	if p.ValidForDays > 0 {
		patch.ValidForDays = catalog.Set(p.ValidForDays)
	}
	return patch
}

// Create implements peer.Store.
func (s *Store) Create(ctx context.Context, p *dataset.Product) error {
	return s.upsert(ctx, p.Key, patchOf(p), catalog.Created)
}

// Edit implements peer.Store.
func (s *Store) Edit(ctx context.Context, k dataset.Key, metadata []byte) error {
	return s.upsert(ctx, k, catalog.Patch{Metadata: catalog.Set(json.RawMessage(metadata))}, catalog.Edited)
}

// PutImage implements peer.Store.
func (s *Store) PutImage(ctx context.Context, k dataset.Key, data []byte) error {
	images := []catalog.NewImage{{Upload: catalog.NewUpload(bytes.NewReader(data))}}
	return s.upsert(ctx, k, catalog.Patch{Images: catalog.Set(images)}, catalog.Edited)
}

func (s *Store) upsert(ctx context.Context, k dataset.Key, p catalog.Patch, want catalog.Outcome) error {
	res, err := s.catalog.Upsert(ctx, k.Account, k.ID, p)
	if err == nil && res.Outcome != want {
		err = fmt.Errorf("shelflife: upsert of %s: %v, want %v", k.ID, res.Outcome, want)
	}
	return err
}

// Use implements peer.Store.
func (s *Store) Use(ctx context.Context, k dataset.Key) error {
	_, err := s.catalog.Use(ctx, k.Account, k.ID)
	return notFound(err)
}

// Touch implements peer.Toucher.
func (s *Store) Touch(ctx context.Context, k dataset.Key) error {
	_, err := s.catalog.Touch(ctx, k.Account, k.ID)
	return notFound(err)
}

type found struct {
	account  string
	products []*catalog.Product
}

// Get implements peer.Store.
func (s *Store) Get(ctx context.Context, k dataset.Key, keep bool) (any, error) {
	p, err := s.catalog.Get(ctx, k.Account, k.ID)
	if err != nil || !keep {
		return nil, notFound(err)
	}
	return found{k.Account, []*catalog.Product{p}}, nil
}

// Page implements peer.Store. The cursor of a page is looked up the first time.
func (s *Store) Page(ctx context.Context, p dataset.Page, keep bool) (any, error) {
	cursor, err := s.cursor(ctx, p)
	if err != nil {
		return nil, err
	}
	page, err := s.catalog.List(ctx, p.Account, catalog.ListOptions{Limit: p.Limit, Cursor: cursor})
	if err != nil || !keep {
		return nil, err
	}
	return found{p.Account, page.Products}, nil
}

func (s *Store) cursor(ctx context.Context, p dataset.Page) (string, error) {
	if p.After == "" {
		return "", nil
	}
	if cursor, ok := s.cursors.Load(p); ok {
		return cursor.(string), nil
	}
	cursor := ""
	for {
		page, err := s.catalog.List(ctx, p.Account, catalog.ListOptions{Limit: 1, Cursor: cursor})
		if err != nil {
			return "", err
		}
		if !page.HasMore {
			return "", fmt.Errorf("shelflife: account %s has no page behind %s", p.Account, p.After)
		}
		cursor = page.NextCursor
		if page.Products[0].ExternalID == p.After {
			s.cursors.Store(p, cursor)
			return cursor, nil
		}
	}
}

// GetImage implements peer.Store.
func (s *Store) GetImage(ctx context.Context, k dataset.Key, dst []byte) ([]byte, error) {
	r, err := s.catalog.OpenImage(ctx, k.Account, k.ID, 0)
	if err != nil {
		return dst, notFound(err)
	}
	begin, size := len(dst), int(r.Info().Size)
	dst = slices.Grow(dst, size)[:begin+size]
	_, err = io.ReadFull(r, dst[begin:])
	return dst, errors.Join(err, r.Close())
}

// Product implements peer.Store.
func (s *Store) Product(got any) (dataset.Product, error) {
	products, err := s.Products(got)
	if err != nil {
		return dataset.Product{}, err
	}
	return products[0], nil
}

// Products implements peer.Store.
func (s *Store) Products(page any) ([]dataset.Product, error) {
	f, ok := page.(found)
	if !ok {
		return nil, fmt.Errorf("shelflife: unexpected %T", page)
	}
	out := make([]dataset.Product, len(f.products))
	for i, p := range f.products {
		out[i] = dataset.Product{
			Key:   dataset.Key{Account: f.account, ID: p.ExternalID},
			Title: p.Title, Description: p.Description, Metadata: p.Metadata, ValidForDays: p.ValidForDays,
			Used: !p.LastUsedAt.IsZero(),
		}
		for _, im := range p.Images {
			to := dataset.Image{URL: im.SourceURL, Classifications: im.Classifications}
			if im.Uploaded() {
				to.URL = ""
			}
			out[i].Images = append(out[i].Images, to)
		}
	}
	return out, nil
}

// Sweep implements peer.Store. The sweeper in the background helps.
func (s *Store) Sweep(ctx context.Context) (int, error) {
	if _, err := s.catalog.Sweep(ctx); err != nil {
		return 0, err
	}
	stats, err := s.catalog.StoreStats(ctx)
	return int(stats.Sweeper.Expired), err
}

// SettleUses returns when all uses are in the records, which Close sees to, and
// nothing is owed to the log any more.
func (s *Store) SettleUses(ctx context.Context) error {
	if err := s.catalog.Close(); err != nil {
		return err
	}
	return s.openCatalog(ctx)
}

// Compact implements peer.Store. The catalog has no compaction of its own to
// ask for: Pebble's is run on the closed store.
func (s *Store) Compact(ctx context.Context) error {
	if err := s.Close(); err != nil {
		return err
	}
	if err := rawpebble.CompactDir(ctx, s.dir); err != nil {
		return err
	}
	s.cursors.Clear()
	return s.open(ctx)
}

// Close implements peer.Store.
func (s *Store) Close() error { return errors.Join(s.catalog.Close(), s.engine.Close()) }

func notFound(err error) error {
	if errors.Is(err, catalog.ErrNotFound) {
		return peer.ErrNotFound
	}
	return err
}
