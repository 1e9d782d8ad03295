package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// SalvageReport is what [Salvage] did.
type SalvageReport struct {
	Products int // copied, those included that had expired
	Images   int // stored images, copied
	// Lost are the products that were not copied, as far as the rest of the store
	// names them, those between which others may lie, and the products that were
	// copied without some of their images.
	Lost []Problem
}

// Salvage copies every product of a damaged store that can be read into an empty
// one, with its images, its list entry and its lifetime, and lists what it could
// not copy. It only reads from, and opens neither as a catalog.
//
// A product is copied as it was last written or not at all: where what is newest
// can't be read, nothing older is taken in its place, and nothing that was deleted
// comes back. One of whose images the bytes can't be read is copied without those
// images, as an edit of its own. Staged images that no product had claimed, and
// bytes that waited for removal, are left out.
func Salvage(ctx context.Context, from, to backend.Backend) (SalvageReport, error) {
	s := &salvager{ctx: ctx, to: to, lost: make(map[productkey.Key]struct{})}
	err := s.run(from)
	return s.report, wrap("salvage", "", err)
}

type salvager struct {
	ctx    context.Context
	from   backend.Reader
	to     backend.Backend
	shards int
	report SalvageReport
	lost   map[productkey.Key]struct{} // products that were said to be
	gaps   []backend.Range             // of product records
}

func (s *salvager) run(from backend.Backend) error {
	for _, err := range s.to.Scan(s.ctx, backend.Range{}, backend.ScanOptions{KeysOnly: true, Limit: 1}) {
		if err == nil {
			err = errors.New("the store to copy to is not empty")
		}
		return err
	}
	snapshot, err := from.Snapshot(s.ctx)
	if err != nil {
		return err
	}
	defer snapshot.Close()
	s.from = snapshot
	if err := s.meta(); err != nil {
		return err
	}
	if err := s.products(); err != nil {
		return err
	}
	if err := s.nameLost(); err != nil {
		return err
	}
	// What was written Buffered.
	return s.update(nil, backend.UpdateOptions{}, func(backend.Txn) error { return nil })
}

func (s *salvager) problem(account, id, format string, args ...any) {
	s.report.Lost = append(s.report.Lost, Problem{account, id, fmt.Sprintf(format, args...)})
}

func (s *salvager) update(scopes []backend.Scope, o backend.UpdateOptions, fn func(backend.Txn) error) error {
	return s.to.Update(s.ctx, scopes, o, func(_ context.Context, txn backend.Txn) error { return fn(txn) })
}

var bufferedUpdate = backend.UpdateOptions{Buffered: true}

// scan visits what can be read of a space, and calls gap for the stretches that
// can't.
func (s *salvager) scan(space byte, o backend.ScanOptions, visit func(key, value []byte) error, gap func(*backend.DamageError)) error {
	start, end := encoding.SpaceRange(space)
	o.PastDamage = true
	for e, err := range s.from.Scan(s.ctx, backend.Range{Start: start, End: end}, o) {
		var damage *backend.DamageError
		switch {
		case errors.As(err, &damage):
			gap(damage)
		case err != nil:
			return err
		default:
			if err := visit(e.Key, e.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// meta copies what describes the store, or describes it anew, and copies the
// journal of the last uses.
func (s *salvager) meta() error {
	described := false
	err := s.scan(encoding.SpaceMeta, backend.ScanOptions{}, func(key, value []byte) error {
		name, err := encoding.DecodeMetaKey(key)
		if err != nil {
			return nil // nobody's
		}
		if name == encoding.StoreMetaName {
			var meta encoding.StoreMeta
			if err := encoding.DecodeStoreMeta(value, &meta); err != nil {
				return nil
			}
			if err := meta.Compatible(); err != nil {
				return err
			}
			s.shards, described = meta.Shards, true
		}
		group, item := encoding.MetaScope(name)
		key, value = bytes.Clone(key), bytes.Clone(value)
		return s.update([]backend.Scope{{Group: group, Item: item}}, bufferedUpdate, func(txn backend.Txn) error {
			return txn.Put(key, value)
		})
	}, func(*backend.DamageError) {
		s.problem("", "", "entries about the store itself, and perhaps its last uses, can't be read")
	})
	if err != nil || described {
		return err
	}
	fresh := newStoreMeta(ttl.NewMonotone(ttl.SystemClock()).Now(), max(s.to.Properties().Shards, 1))
	s.shards = fresh.Shards
	group, item := encoding.MetaScope(encoding.StoreMetaName)
	return s.update([]backend.Scope{{Group: group, Item: item}}, bufferedUpdate, func(txn backend.Txn) error {
		return txn.Put(encoding.AppendMetaKey(nil, encoding.StoreMetaName), encoding.AppendStoreMeta(nil, &fresh))
	})
}

func (s *salvager) products() error {
	return s.scan(encoding.SpaceProduct, backend.ScanOptions{}, s.product, func(d *backend.DamageError) {
		s.gaps = append(s.gaps, d.Range)
		k := &checker{}
		k.damaged(encoding.SpaceProduct, d)
		for _, p := range k.report.Problems {
			if p.ExternalID != "" {
				s.lose(p.Account, p.ExternalID)
			} else {
				s.report.Lost = append(s.report.Lost, p)
			}
		}
	})
}

// lose lists a product that can't be copied, once.
func (s *salvager) lose(account, id string) {
	k := productkey.Of(account, id)
	if _, said := s.lost[k]; !said {
		s.lost[k] = struct{}{}
		s.problem(account, id, "lost: its record can't be read")
	}
}

// product copies a product with its images.
func (s *salvager) product(key, value []byte) error {
	account, id, err := encoding.DecodeProductKey(key)
	if err != nil {
		s.problem("", "", "product key %x is none", key)
		return nil
	}
	var r encoding.Record
	if err := encoding.DecodeRecord(value, &r); err != nil || r.Account != account || r.ID != id {
		s.lose(account, id)
		return nil
	}
	images := r.Images
	r.Images = nil
	headers := map[encoding.BlobID]*encoding.BlobHeader{} // nil where it can't be read
	for i, img := range images {
		if !img.Blob.IsZero() {
			if _, known := headers[img.Blob]; !known {
				if headers[img.Blob], err = s.image(&r, &img); err != nil {
					return err
				}
			}
			if headers[img.Blob] == nil {
				s.problem(account, id, "copied without image %d, whose bytes can't be read", i)
				continue
			}
		}
		r.Images = append(r.Images, img)
	}
	if len(r.Images) == 0 {
		s.lost[productkey.Of(account, id)] = struct{}{}
		s.problem(account, id, "lost: no image of it can be read")
		return nil
	}
	if len(r.Images) < len(images) {
		r.Edit = randomID()
		r.Revision++
	}
	return s.write(&r, headers)
}

// write writes a record with what hangs on it.
func (s *salvager) write(r *encoding.Record, headers map[encoding.BlobID]*encoding.BlobHeader) error {
	r.IndexedAt = r.ExpiresAt()
	scopes := []backend.Scope{productScope(r.Account, r.ID)}
	for id, h := range headers {
		if h != nil {
			scopes = append(scopes, blobScope(r.Account, id))
		}
	}
	err := s.update(scopes, bufferedUpdate, func(txn backend.Txn) error {
		for id, h := range headers {
			if h == nil {
				continue
			}
			if err := txn.Put(encoding.AppendBlobKey(nil, r.Account, id, 0), encoding.AppendBlobHeader(nil, h)); err != nil {
				return err
			}
		}
		if r.Listed {
			if err := txn.Put(encoding.AppendListedKey(nil, r.Account, r.ID), nil); err != nil {
				return err
			}
		}
		if r.IndexedAt != encoding.None {
			e := encoding.Expiry{Kind: encoding.ExpiryProduct, Deadline: r.IndexedAt, Account: r.Account, ID: r.ID}
			e.Shard = encoding.Shard(e.Account, e.ID, s.shards)
			if err := txn.Put(encoding.AppendExpiryKey(nil, e), nil); err != nil {
				return err
			}
		}
		return txn.Put(encoding.AppendProductKey(nil, r.Account, r.ID), encoding.AppendRecord(nil, r))
	})
	if err != nil {
		return err
	}
	s.report.Products++
	for _, h := range headers {
		if h != nil {
			s.report.Images++
		}
	}
	return nil
}

// image copies the chunks of an image of r, and returns its header, nil if
// anything of it can't be read. It reads twice: nothing is written of an image
// that is not whole.
func (s *salvager) image(r *encoding.Record, img *encoding.Image) (*encoding.BlobHeader, error) {
	h := new(encoding.BlobHeader)
	found, err := s.from.Get(s.ctx, encoding.AppendBlobKey(nil, r.Account, img.Blob, 0), func(value []byte) error {
		return encoding.DecodeBlobHeader(value, h)
	})
	if err != nil && !isDamage(err) {
		return nil, err
	}
	if err != nil || !found || h.State != encoding.BlobOwned || h.Owner != r.ID || h.Incarnation != r.Incarnation ||
		h.Size != img.Size || h.SHA256 != img.SHA256 {
		return nil, nil
	}
	hash, size := sha256.New(), int64(0)
	whole, err := s.chunks(r.Account, img.Blob, h, func(_, chunk []byte) error {
		hash.Write(chunk)
		size += int64(len(chunk))
		return nil
	})
	if err != nil || !whole || size != h.Size || !bytes.Equal(hash.Sum(nil), h.SHA256[:]) {
		return nil, err
	}
	scopes := []backend.Scope{blobScope(r.Account, img.Blob)}
	_, err = s.chunks(r.Account, img.Blob, h, func(key, chunk []byte) error {
		chunk = bytes.Clone(chunk)
		return s.update(scopes, bufferedUpdate, func(txn backend.Txn) error { return txn.Put(key, chunk) })
	})
	return h, err
}

// chunks calls fn for each chunk of an image. whole is false if one can't be
// read.
func (s *salvager) chunks(account string, id encoding.BlobID, h *encoding.BlobHeader, fn func(key, chunk []byte) error) (whole bool, err error) {
	for n := range h.Chunks {
		key := encoding.AppendBlobKey(nil, account, id, 1+n)
		var chunk []byte
		found, err := s.from.Get(s.ctx, key, func(value []byte) error {
			chunk = bytes.Clone(value)
			return nil
		})
		if isDamage(err) || err == nil && !found {
			return false, nil
		}
		if err == nil {
			err = fn(key, chunk)
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// nameLost names the products in the gaps that the rest of the store knows of.
func (s *salvager) nameLost() error {
	if len(s.gaps) == 0 {
		return nil
	}
	inGap := func(account, id string) {
		key := encoding.AppendProductKey(nil, account, id)
		for _, r := range s.gaps {
			if bytes.Compare(key, r.Start) >= 0 && (r.End == nil || bytes.Compare(key, r.End) < 0) {
				s.lose(account, id)
				return
			}
		}
	}
	ignore := func(*backend.DamageError) {} // it says less, and no product is lost by it
	keys := backend.ScanOptions{KeysOnly: true}
	if err := s.scan(encoding.SpaceListed, keys, func(key, _ []byte) error {
		if account, id, err := encoding.DecodeListedKey(key); err == nil {
			inGap(account, id)
		}
		return nil
	}, ignore); err != nil {
		return err
	}
	if err := s.scan(encoding.SpaceExpiry, keys, func(key, _ []byte) error {
		if e, err := encoding.DecodeExpiryKey(key); err == nil && e.Kind == encoding.ExpiryProduct {
			inGap(e.Account, e.ID)
		}
		return nil
	}, ignore); err != nil {
		return err
	}
	return s.scan(encoding.SpaceBlob, backend.ScanOptions{}, func(key, value []byte) error {
		var h encoding.BlobHeader
		account, _, n, err := encoding.DecodeBlobKey(key)
		if err == nil && n == 0 && encoding.DecodeBlobHeader(value, &h) == nil && h.State == encoding.BlobOwned {
			inGap(account, h.Owner)
		}
		return nil
	}, ignore)
}
