package catalog

import (
	"bytes"
	"errors"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/encoding"
)

// A stretch in which something can't be read holds more than nothing: products whose
// newest record lies above the damage, others the damage is about, and below it what
// these were before, or what has been deleted. A read of the stretch can't distinguish
// them, but a Get of one key does: it looks at what is newest first, and fails where
// that is damaged. So the names of products are collected, from what is found when
// the damaged parts are left out and from the other spaces, and each is asked for.

// deeper returns the store without the parts in which the damage is, beside those
// that are left out already, nil if it is in none that can be left out. The stores
// that it was taken from stay open: a loop may be over one.
func (s *salvager) deeper(damage []*backend.DamageError) (backend.Backend, error) {
	deepest := s.source
	if n := len(s.below); n > 0 {
		deepest = s.below[n-1]
	}
	u, ok := deepest.(backend.Uncoverer)
	if !ok {
		return nil, nil
	}
	below, err := u.Uncover(s.ctx, damage)
	if errors.Is(err, backend.ErrNothingCovers) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.below = append(s.below, below)
	return below, nil
}

// read is Get, of what lies below damage where there is some.
func (s *salvager) read(key []byte, fn func(value []byte) error) (found bool, err error) {
	found, err = s.from.Get(s.ctx, key, fn)
	if n := len(s.below); n > 0 && isDamage(err) {
		found, err = s.below[n-1].Get(s.ctx, key, fn)
	}
	for {
		var damage *backend.DamageError
		if !errors.As(err, &damage) {
			return found, err
		}
		below, failed := s.deeper([]*backend.DamageError{damage})
		if failed != nil {
			return false, failed
		}
		if below == nil {
			return false, err
		}
		found, err = below.Get(s.ctx, key, fn)
	}
}

// lookBelow looks for the products of damaged stretches below the damage.
func (s *salvager) lookBelow() error {
	var below backend.Backend
	damage := s.damage
	further := func() error { // below what was damaged
		damage = nil
		pass := func(_, _ []byte) error { return nil }
		note := func(d *backend.DamageError) { damage = append(damage, d) }
		return s.scanDamaged(below, backend.ScanOptions{KeysOnly: true}, pass, note)
	}
	if n := len(s.below); n > 0 && len(damage) > 0 {
		below = s.below[n-1] // images were looked for there
		if err := further(); err != nil {
			return err
		}
	}
	for len(damage) > 0 {
		deeper, err := s.deeper(damage)
		if err != nil {
			return err
		}
		if deeper == nil {
			break
		}
		below = deeper
		if err := further(); err != nil {
			return err
		}
	}
	if below == nil {
		return nil
	}
	ignore := func(*backend.DamageError) {} // a value that is damaged itself, which named may have the name of
	return s.scanDamaged(below, backend.ScanOptions{}, s.older, ignore)
}

// scanDamaged visits what r has in the damaged stretches.
func (s *salvager) scanDamaged(r backend.Reader, o backend.ScanOptions,
	visit func(key, value []byte) error, gap func(*backend.DamageError),
) error {
	for _, d := range s.damage {
		if err := scanPast(s.ctx, r, d.Range, o, visit, gap); err != nil {
			return err
		}
	}
	return nil
}

// older settles what becomes of a product, given what is found below the damage.
func (s *salvager) older(key, value []byte) error {
	account, id, err := encoding.DecodeProductKey(key)
	if err != nil {
		return nil // no product's
	}
	damaged, err := s.newest(key, account, id)
	if err != nil || !damaged {
		return err
	}
	var r encoding.Record
	if !decodeRecordOf(account, id, value, &r) {
		return nil
	}
	found := timeOf(r.UpdatedAt).Format(timeLayout)
	if !s.options.IncludeStale {
		s.settle(account, id)
		s.staleProblem(account, id, "possibly stale or deleted, not copied: found as it was at "+found)
		return nil
	}
	copied, err := s.product(key, value)
	if copied && s.settle(account, id) {
		s.staleProblem(account, id, "possibly stale or deleted, copied as it was at "+found)
	}
	return err
}

func (s *salvager) staleProblem(account, id, text string) {
	s.report.Stale = append(s.report.Stale, Problem{account, id, text})
}

// newest copies a product of a damaged stretch if what was written last of it can be
// read, for that lies above the damage. It reports whether it can't; not of one that
// was settled before.
func (s *salvager) newest(key []byte, account, id string) (damaged bool, err error) {
	if s.isSettled(account, id) {
		return false, nil
	}
	var value []byte
	found, err := s.from.Get(s.ctx, key, func(v []byte) error {
		value = bytes.Clone(v)
		return nil
	})
	switch {
	case isDamage(err):
		return true, nil
	case err != nil:
		return false, err
	case found:
		_, err = s.product(key, value)
	}
	// Where it is not found that it was deleted lies above the damage.
	s.settle(account, id)
	return false, err
}

// named settles what becomes of the products in damaged stretches that the rest of
// the store names, and lists those that are lost.
func (s *salvager) named() error {
	if len(s.damage) == 0 {
		return nil
	}
	settle := func(account, id string) error {
		key := encoding.AppendProductKey(nil, account, id)
		for _, d := range s.damage {
			if bytes.Compare(key, d.Range.Start) < 0 || d.Range.End != nil && bytes.Compare(key, d.Range.End) >= 0 {
				continue
			}
			damaged, err := s.newest(key, account, id)
			if damaged {
				s.lose(account, id)
			}
			return err
		}
		return nil
	}
	ignore := func(*backend.DamageError) {} // it says less, and no product is lost by it
	keys := backend.ScanOptions{KeysOnly: true}
	if err := s.scan(encoding.SpaceListed, keys, func(key, _ []byte) error {
		account, id, err := encoding.DecodeListedKey(key)
		if err != nil {
			return nil
		}
		return settle(account, id)
	}, ignore); err != nil {
		return err
	}
	if err := s.scan(encoding.SpaceExpiry, keys, func(key, _ []byte) error {
		e, err := encoding.DecodeExpiryKey(key)
		if err != nil || e.Kind != encoding.ExpiryProduct {
			return nil
		}
		return settle(e.Account, e.ID)
	}, ignore); err != nil {
		return err
	}
	return s.scan(encoding.SpaceBlob, backend.ScanOptions{}, func(key, value []byte) error {
		var h encoding.BlobHeader
		account, _, n, err := encoding.DecodeBlobKey(key)
		if err != nil || n != 0 || encoding.DecodeBlobHeader(value, &h) != nil || h.State != encoding.BlobOwned {
			return nil
		}
		return settle(account, h.Owner)
	}, ignore)
}
