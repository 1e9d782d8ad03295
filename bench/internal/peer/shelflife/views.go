package shelflife

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/catalog"
)

var _ peer.Lender = (*Store)(nil)

// View implements peer.Lender.
func (s *Store) View(ctx context.Context, k dataset.Key, how peer.How, scratch *[]byte, keep bool) (got any, err error) {
	err = s.catalog.View(ctx, k.Account, k.ID, func(v catalog.ProductView) error {
		switch how {
		case peer.Fields:
			if look(v) == 0 {
				return errors.New("shelflife: a product of nothing")
			}
		case peer.JSON:
			*scratch = v.AppendJSON((*scratch)[:0])
		}
		if keep {
			got = found{k.Account, []*catalog.Product{v.Product()}}
		}
		return nil
	})
	return got, notFound(err)
}

// look reads every field, and adds them up so that none is left out.
func look(v catalog.ProductView) (n int64) {
	n = int64(len(v.ExternalID()) + len(v.Title()) + len(v.Description()) + len(v.Metadata()) + v.ValidForDays())
	n += v.ExpiresAt().UnixMilli() ^ v.LastUsedAt().UnixMilli() ^ v.CreatedAt().UnixMilli() ^ v.UpdatedAt().UnixMilli()
	if v.Listed() && v.Version() != (catalog.Version{}) {
		n++
	}
	for i := range v.Images() {
		n += int64(len(i.SourceURL()) + len(i.Classifications()) + len(i.ContentType()))
	}
	return n
}

// PageOfViews implements peer.Lender.
func (s *Store) PageOfViews(ctx context.Context, p dataset.Page, keep bool) (any, error) {
	cursor, err := s.cursor(ctx, p)
	if err != nil {
		return nil, err
	}
	var products []*catalog.Product
	_, err = s.catalog.ListViews(ctx, p.Account, catalog.ListOptions{Limit: p.Limit, Cursor: cursor}, func(v catalog.ProductView) error {
		if look(v) == 0 {
			return errors.New("shelflife: a product of nothing")
		}
		if keep {
			products = append(products, v.Product())
		}
		return nil
	})
	return found{p.Account, products}, err
}

// GetMany implements peer.Lender.
func (s *Store) GetMany(ctx context.Context, keys []dataset.Key, keep bool) (any, error) {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	products, err := s.catalog.GetMany(ctx, keys[0].Account, ids)
	if err != nil {
		return nil, err
	}
	for i, p := range products {
		if p == nil {
			return nil, fmt.Errorf("shelflife: no product %v", keys[i])
		}
	}
	if !keep {
		return nil, nil
	}
	return found{keys[0].Account, products}, nil
}

// WriteImage implements peer.Lender.
func (s *Store) WriteImage(ctx context.Context, k dataset.Key, w io.Writer) error {
	r, err := s.catalog.OpenImage(ctx, k.Account, k.ID, 0)
	if err != nil {
		return notFound(err)
	}
	_, err = r.WriteTo(w)
	return errors.Join(err, r.Close())
}
