package catalog

import (
	"errors"
	"fmt"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/encoding"
)

// DamageError names products that can't be read, because bytes of the store
// have changed, are missing, or can't be had from the disk. It matches
// [ErrDamaged]. It is about one product if ExternalID is not "", else about those
// of an account whose IDs lie between two others.
type DamageError struct {
	Account    string
	ExternalID string
	// After and Before bound the IDs, exclusive; "" is the beginning or the end of
	// the account's products. Whether there are any between, and which, is not
	// known.
	After, Before string
	// Cause is for the log.
	Cause error
}

// Error names the products, and not the cause.
func (e *DamageError) Error() string {
	subject := fmt.Sprintf("account %q: ", e.Account)
	switch {
	case e.ExternalID != "":
		return subject + fmt.Sprintf("product %q can't be read", e.ExternalID)
	case e.After == "" && e.Before == "":
		return subject + "products can't be read"
	case e.After == "":
		return subject + fmt.Sprintf("products before %q can't be read", e.Before)
	case e.Before == "":
		return subject + fmt.Sprintf("products after %q can't be read", e.After)
	}
	return subject + fmt.Sprintf("products after %q and before %q can't be read", e.After, e.Before)
}

// Unwrap returns ErrDamaged and Cause.
func (e *DamageError) Unwrap() []error { return []error{ErrDamaged, e.Cause} }

// isDamage reports whether err says that the store is damaged.
func isDamage(err error) bool {
	var engine *backend.DamageError
	return errors.Is(err, ErrDamaged) || errors.As(err, &engine) || errors.Is(err, encoding.ErrCorrupt)
}

// damageOf returns err, of a read of an account's product records, as a
// *DamageError if it is damage. key is that of the record, nil where it is not
// known.
func damageOf(account string, key []byte, err error) error {
	if err == nil {
		return nil
	}
	return asDamage(account, key, err)
}

// asDamage is damageOf of an error. What it looks for is on the heap, which the
// many reads that go well need not pay for.
func asDamage(account string, key []byte, err error) error {
	var engine *backend.DamageError
	var own *DamageError
	switch {
	case !isDamage(err), errors.As(err, &own):
		return err
	case !errors.As(err, &engine):
		return &DamageError{Account: account, ExternalID: idOf(account, key), Cause: err}
	}
	r := engine.Range
	if id := idOf(account, r.Start); id != "" && string(r.End) == string(r.Start)+"\x00" {
		return &DamageError{Account: account, ExternalID: id, Cause: err}
	}
	e := &DamageError{Account: account, Before: idOf(account, r.End), Cause: err}
	if n := len(r.Start); n > 0 && r.Start[n-1] == 0 {
		e.After = idOf(account, r.Start[:n-1])
	}
	return e
}

// idOf returns the ID in the key of a product of the account, "" for any other.
func idOf(account string, key []byte) string {
	of, id, err := encoding.DecodeProductKey(key)
	if err != nil || of != account {
		return ""
	}
	return id
}

// wrap is wrap, and remembers that the store is damaged if err says so.
func (c *Catalog) wrap(op, id string, err error) error {
	err = wrap(op, id, err)
	c.noteDamage(err)
	return err
}

// noteDamage remembers that the store is damaged if err says so.
func (c *Catalog) noteDamage(err error) {
	if err != nil && isDamage(err) {
		c.damage.CompareAndSwap(nil, &metDamage{err, c.now.Now()})
	}
}

// metDamage is damage that an operation met first, and when.
type metDamage struct {
	err error
	at  int64
}

// Damage returns nil as long as nothing on this catalog has met damage, neither
// a call nor the background, which removes expired products and writes uses,
// and then an error that matches [ErrDamaged] and says what was met first, and
// when: report it, and have Check look at the store. The rest of the store is
// served, and Ready does not return it. It is cheap. Damage that nothing has
// met is not known.
func (c *Catalog) Damage() error {
	met := c.damage.Load()
	if met == nil {
		return nil
	}
	return fmt.Errorf("shelflife: first met at %s: %w", timeOf(met.at).Format(timeLayout), met.err)
}
