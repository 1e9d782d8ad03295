package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// library is the catalog on backend/postgres, as it comes.
type library struct {
	engine  *postgres.Store
	catalog *catalog.Catalog
	cursors map[dataset.Page]string // filled while nothing is measured
	ahead   *peer.Clock             // nil: the time is the database's
	swept   uint64
}

// always is longer than any clock of a run is off.
const always = 10_000 * time.Hour

func openLibrary(ctx context.Context, dsn string, connections int, ahead *peer.Clock) (*library, error) {
	engine, err := postgres.Open(ctx, dsn, &postgres.Options{Partition: catalog.AccountPartition{}, Connections: connections})
	if err != nil {
		return nil, err
	}
	o := catalog.Options{}
	var b backend.Backend = engine
	if ahead != nil {
		// Which the database's clock can't be: for sweeps alone.
		b = backendtest.Clocked(engine, ahead.Time)
		o.Sweeper = ttl.SweeperOptions{LeapTolerance: always, GapTolerance: always}
	}
	c, err := catalog.Open(ctx, b, &o)
	if err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	return &library{engine: engine, catalog: c, cursors: map[dataset.Page]string{}, ahead: ahead}, nil
}

func (s *library) get(ctx context.Context, k dataset.Key) (dataset.Product, error) {
	p, err := s.catalog.Get(ctx, k.Account, k.ID)
	if err != nil {
		return dataset.Product{}, err
	}
	return dataset.Product{
		Key: k, Title: p.Title, Description: p.Description, Metadata: p.Metadata, ValidForDays: p.ValidForDays, Used: !p.LastUsedAt.IsZero(),
		Images: imagesOf(p),
	}, nil
}

func imagesOf(p *catalog.Product) (out []dataset.Image) {
	for _, i := range p.Images {
		out = append(out, dataset.Image{URL: i.SourceURL, Classifications: i.Classifications})
	}
	return out
}

func (s *library) edit(ctx context.Context, k dataset.Key, metadata []byte) error {
	_, err := s.catalog.Upsert(ctx, k.Account, k.ID, catalog.Patch{Metadata: catalog.Set(json.RawMessage(metadata))})
	return err
}

func (s *library) use(ctx context.Context, k dataset.Key) error {
	_, err := s.catalog.Use(ctx, k.Account, k.ID)
	return err
}

func (s *library) page(ctx context.Context, p dataset.Page) (int, error) {
	page, err := s.catalog.List(ctx, p.Account, catalog.ListOptions{Limit: p.Limit, Cursor: s.cursors[p]})
	return len(page.Products), err
}

// seek finds the cursor of a page.
func (s *library) seek(ctx context.Context, p dataset.Page) error {
	for cursor := ""; p.After != ""; {
		page, err := s.catalog.List(ctx, p.Account, catalog.ListOptions{Limit: 1, Cursor: cursor})
		if err != nil {
			return err
		}
		if cursor = page.NextCursor; page.Products[0].ExternalID == p.After {
			s.cursors[p] = cursor
			return nil
		}
	}
	return nil
}

func (s *library) load(ctx context.Context, products []dataset.Product) error {
	items := make([]catalog.UpsertItem, len(products))
	for i := range products {
		p := &products[i]
		images := make([]catalog.NewImage, len(p.Images))
		for j, im := range p.Images {
			images[j] = catalog.NewImage{URL: im.URL, Classifications: im.Classifications}
		}
		patch := catalog.Patch{Title: catalog.Set(p.Title), Description: catalog.Set(p.Description), Images: catalog.Set(images)}
		if p.Metadata != nil {
			patch.Metadata = catalog.Set(json.RawMessage(p.Metadata))
		}
		if p.ValidForDays > 0 {
			patch.ValidForDays = catalog.Set(p.ValidForDays)
		}
		items[i] = catalog.UpsertItem{ExternalID: p.ID, Patch: patch}
	}
	for _, r := range s.catalog.UpsertMany(ctx, products[0].Account, items) {
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}

func (s *library) sweep(ctx context.Context, now time.Time) (int, error) {
	s.ahead.Advance(now.Sub(s.ahead.Time()))
	if _, err := s.catalog.Sweep(ctx); err != nil {
		return 0, err
	}
	stats, err := s.catalog.StoreStats(ctx)
	n := stats.Sweeper.Expired - s.swept
	s.swept = stats.Sweeper.Expired
	return int(n), err
}

func (s *library) remove(ctx context.Context, account string) (int, error) {
	n, err := s.catalog.DeleteAccount(ctx, account)
	return int(n), err
}

func (s *library) close() error { return s.catalog.Close() }

// engineGet reads a record without the catalog, with the store's time or without
// it: what the time costs.
func (s *library) engineGet(ctx context.Context, k dataset.Key, timed bool) error {
	if timed {
		ctx = backend.WithReadTime(ctx, new(backend.ReadTime))
	}
	found, err := s.engine.Get(ctx, encoding.AppendProductKey(nil, k.Account, k.ID), func([]byte) error { return nil })
	if err == nil && !found {
		err = peer.ErrNotFound
	}
	return err
}
