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

// SalvageOptions say what [Salvage] copies. The zero value is the safe one.
type SalvageOptions struct {
	// IncludeStale has the products of SalvageReport.Stale copied. Default: false,
	// they are only listed. It does not affect products that can be read as they
	// were last written.
	IncludeStale bool
}

// SalvageReport is what [Salvage] did.
type SalvageReport struct {
	// Products is how many were copied, including those that had expired and those
	// of Stale.
	Products int
	Images   int // stored images, copied
	// Lost are the products that were not copied, as far as the rest of the store
	// names them, those between which others may lie, and the products that were
	// copied without some of their images.
	Lost []Problem
	// Stale are the products of which an older record was found below one that can't
	// be read. Each may have been changed since, or deleted. They were copied if
	// SalvageOptions.IncludeStale says so, and are not in Lost.
	Stale []Problem
}

// Salvage copies every product of a damaged store that can be read into an empty
// one, with its images, its list entry and its lifetime, and lists what it could
// not copy. It only reads from, and opens neither as a catalog.
//
// A product is copied as it was last written or not at all: where what is newest
// can't be read, nothing older is taken in its place, and nothing that was deleted
// comes back. Where from is a [backend.Uncoverer] Salvage looks below what can't be
// read, and lists what it finds there as possibly stale or deleted, or copies that
// too if it is told to. A product some of whose images can't be read is copied
// without those images, as an edit of its own. Staged images that no product had
// claimed, and bytes that waited for removal, are left out.
func Salvage(ctx context.Context, from, to backend.Backend, o SalvageOptions) (SalvageReport, error) {
	s := &salvager{ctx: ctx, to: to, options: o, generation: backend.Generation(to), settled: make(map[productkey.Key]struct{})}
	err := s.run(from)
	return s.report, wrap("salvage", "", err)
}

type salvager struct {
	ctx  context.Context
	from backend.Reader
	to   backend.Backend
	// source is the store that is salvaged, from a snapshot of it, and below are the
	// stores without ever more of its damaged parts: see deeper.
	source  backend.Backend
	below   []backend.Backend
	options SalvageOptions
	// generation is that of to from the beginning to the end.
	generation uint64
	shards     int
	report     SalvageReport
	// settled are the products in damaged stretches of which it is known what became.
	settled map[productkey.Key]struct{}
	// damage are the stretches of product records that can't be read.
	damage []*backend.DamageError
}

func (s *salvager) run(from backend.Backend) (err error) {
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
	s.from, s.source = snapshot, from
	defer func() {
		for _, b := range s.below {
			err = errors.Join(err, b.Close())
		}
	}()
	if err := s.meta(); err != nil {
		return err
	}
	if err := s.products(); err != nil {
		return err
	}
	if err := s.lookBelow(); err != nil {
		return err
	}
	if err := s.named(); err != nil {
		return err
	}
	// What was written Buffered.
	return s.update(nil, backend.UpdateOptions{}, func(backend.Txn) error { return nil })
}

func (s *salvager) problem(account, id, format string, args ...any) {
	s.report.Lost = append(s.report.Lost, Problem{account, id, fmt.Sprintf(format, args...)})
}

func (s *salvager) update(scopes []backend.Scope, o backend.UpdateOptions, fn func(backend.Txn) error) error {
	return s.to.Update(s.ctx, scopes, o, func(_ context.Context, txn backend.Txn) error {
		if backend.Generation(s.to) != s.generation {
			return errTakenBack
		}
		return fn(txn)
	})
}

var bufferedUpdate = backend.UpdateOptions{Buffered: true}

// scan visits what can be read of a space, and calls gap for the stretches that
// can't.
func (s *salvager) scan(space byte, o backend.ScanOptions, visit func(key, value []byte) error, gap func(*backend.DamageError)) error {
	start, end := encoding.SpaceRange(space)
	return scanPast(s.ctx, s.from, backend.Range{Start: start, End: end}, o, visit, gap)
}

// scanPast is scan for a range of r.
func scanPast(ctx context.Context, from backend.Reader, r backend.Range, o backend.ScanOptions,
	visit func(key, value []byte) error, gap func(*backend.DamageError),
) error {
	o.PastDamage = true
	for e, err := range from.Scan(ctx, r, o) {
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
	props := s.to.Properties()
	partition, err := partitionOf(props)
	if err != nil {
		return err
	}
	described := false
	err = s.scan(encoding.SpaceMeta, backend.ScanOptions{}, func(key, value []byte) error {
		name, err := encoding.DecodeMetaKey(key)
		if err != nil {
			return nil // not a key of ours
		}
		if errors.Is(checkMetaValue(name, value), encoding.ErrCorrupt) {
			s.problem("", "", "meta entry %s can't be read", name)
			return nil
		}
		if name == encoding.StoreMetaName {
			var meta encoding.StoreMeta
			if err := encoding.DecodeStoreMeta(value, &meta); err != nil {
				return err
			}
			if err := meta.Compatible(); err != nil {
				return err
			}
			s.shards, described = meta.Shards, true
			// What is lost was there before: for a reader of changes time goes back.
			meta.Epoch, meta.Partition, meta.Parts = newEpoch(), partition, props.Parts
			value = encoding.AppendStoreMeta(nil, &meta)
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
	fresh := newStoreMeta(ttl.NewMonotone(ttl.SystemClock()).Now(), props, partition)
	s.shards = fresh.Shards
	group, item := encoding.MetaScope(encoding.StoreMetaName)
	return s.update([]backend.Scope{{Group: group, Item: item}}, bufferedUpdate, func(txn backend.Txn) error {
		return txn.Put(encoding.AppendMetaKey(nil, encoding.StoreMetaName), encoding.AppendStoreMeta(nil, &fresh))
	})
}

func (s *salvager) products() error {
	visit := func(key, value []byte) error {
		_, err := s.product(key, value)
		return err
	}
	return s.scan(encoding.SpaceProduct, backend.ScanOptions{}, visit, func(d *backend.DamageError) {
		s.damage = append(s.damage, d)
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
	if s.settle(account, id) {
		s.problem(account, id, "lost: its record can't be read")
	}
}

// settle notes that it is known what became of a product, and reports whether it
// was not before.
func (s *salvager) settle(account, id string) bool {
	k := productkey.Of(account, id)
	if _, settled := s.settled[k]; settled {
		return false
	}
	s.settled[k] = struct{}{}
	return true
}

// isSettled reports whether it is known what became of a product.
func (s *salvager) isSettled(account, id string) bool {
	_, settled := s.settled[productkey.Of(account, id)]
	return settled
}

// product copies a product with its images, and reports whether it could.
func (s *salvager) product(key, value []byte) (copied bool, err error) {
	account, id, err := encoding.DecodeProductKey(key)
	if err != nil {
		s.problem("", "", "product key %x is none", key)
		return false, nil
	}
	var r encoding.Record
	if !decodeRecordOf(account, id, value, &r) {
		s.lose(account, id)
		return false, nil
	}
	images := r.Images
	r.Images = nil
	headers := map[encoding.BlobID]*encoding.BlobHeader{} // nil where it can't be read
	for i, img := range images {
		if !img.Blob.IsZero() {
			if _, known := headers[img.Blob]; !known {
				if headers[img.Blob], err = s.image(&r, &img); err != nil {
					return false, err
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
		s.settle(account, id)
		s.problem(account, id, "lost: no image of it can be read")
		return false, nil
	}
	if len(r.Images) < len(images) {
		r.Edit = randomID()
		r.Revision++
	}
	return true, s.write(&r, headers)
}

// decodeRecordOf decodes the record of a product, and reports whether it is one.
func decodeRecordOf(account, id string, value []byte, r *encoding.Record) bool {
	return encoding.DecodeRecord(value, r) == nil && r.Account == account && r.ID == id
}

// write writes a record with what hangs on it.
func (s *salvager) write(r *encoding.Record, headers map[encoding.BlobID]*encoding.BlobHeader) error {
	r.IndexedAt = r.ExpiresAt()
	record := encoding.AppendRecord(nil, r)
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
			if err := txn.Put(encoding.AppendListedKey(nil, r.Account, r.ID), encoding.AppendListedValue(nil)); err != nil {
				return err
			}
		}
		if r.IndexedAt != encoding.None {
			e := encoding.Expiry{Kind: encoding.ExpiryProduct, Deadline: r.IndexedAt, Account: r.Account, ID: r.ID}
			e.Shard = encoding.Shard(e.Account, e.ID, s.shards)
			if err := txn.Put(encoding.AppendExpiryKey(nil, e), encoding.AppendExpiryValue(nil, expiryValue(r, len(record)))); err != nil {
				return err
			}
		}
		return txn.Put(encoding.AppendProductKey(nil, r.Account, r.ID), record)
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
// that is not whole. What lies below damage is as good here, since bytes never change
// and are those that the record names by their hash.
func (s *salvager) image(r *encoding.Record, img *encoding.Image) (*encoding.BlobHeader, error) {
	h := new(encoding.BlobHeader)
	found, err := s.read(encoding.AppendBlobKey(nil, r.Account, img.Blob, 0), func(value []byte) error {
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
	whole, err := s.chunks(r.Account, img.Blob, h, func(_, _, chunk []byte) error {
		hash.Write(chunk)
		size += int64(len(chunk))
		return nil
	})
	if err != nil || !whole || size != h.Size || !bytes.Equal(hash.Sum(nil), h.SHA256[:]) {
		return nil, err
	}
	scopes := []backend.Scope{blobScope(r.Account, img.Blob)}
	_, err = s.chunks(r.Account, img.Blob, h, func(key, value, _ []byte) error {
		return s.update(scopes, bufferedUpdate, func(txn backend.Txn) error { return txn.Put(key, value) })
	})
	return h, err
}

// chunks calls fn for each chunk of an image, with its stored form. whole is false
// if one can't be read or is damaged.
func (s *salvager) chunks(account string, id encoding.BlobID, h *encoding.BlobHeader,
	fn func(key, value, chunk []byte) error,
) (whole bool, err error) {
	for n := range h.Chunks {
		key := encoding.AppendBlobKey(nil, account, id, 1+n)
		var value, chunk []byte
		found, err := s.read(key, func(v []byte) (err error) {
			value = bytes.Clone(v)
			chunk, err = encoding.DecodeChunk(value, id, 1+n)
			return err
		})
		if isDamage(err) || err == nil && !found {
			return false, nil
		}
		if err == nil {
			err = fn(key, value, chunk)
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}
