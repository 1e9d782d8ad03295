package catalog

import (
	"slices"

	"github.com/shelflife-db/shelflife/encoding"
)

// A Condition makes a write depend on the stored product. All conditions of a
// write must hold, judged at the instant at which it commits; else it fails
// with ErrPreconditionFailed and changes nothing. The zero Condition always
// holds.
type Condition struct {
	holds func(live bool, v Version) bool
}

// IfVersion holds for a live product whose version is one of v. Uses and
// renewals keep a version, every edit makes a new one.
func IfVersion(v ...Version) Condition {
	v = slices.Clone(v)
	return Condition{func(live bool, have Version) bool { return live && slices.Contains(v, have) }}
}

// IfExists holds for any live product: the write edits and never creates.
func IfExists() Condition {
	return Condition{func(live bool, _ Version) bool { return live }}
}

// CreateOnly holds where no live product has the ID: the write creates and
// never edits. A Delete under it deletes nothing: see [Catalog.Delete].
func CreateOnly() Condition {
	return Condition{func(live bool, _ Version) bool { return !live }}
}

// conditionsHold judges conds for a product in the state old, nil if there is
// none that lives.
func conditionsHold(conds []Condition, old *encoding.Record) bool {
	var v Version
	if old != nil {
		v = versionOf(old)
	}
	for _, c := range conds {
		if c.holds != nil && !c.holds(old != nil, v) {
			return false
		}
	}
	return true
}

// PreconditionError is the [ErrPreconditionFailed] of a write: it says for which
// version the conditions did not hold, so that a caller that knows that version need
// not read again.
type PreconditionError struct {
	// Version is that of the product that stood, the zero Version where none lives.
	Version Version
}

// Error implements error.
func (e *PreconditionError) Error() string {
	if e.Version == (Version{}) {
		return ErrPreconditionFailed.Error() + ": no product lives"
	}
	return ErrPreconditionFailed.Error() + ": the product is at version " + e.Version.String()
}

// Unwrap returns ErrPreconditionFailed.
func (e *PreconditionError) Unwrap() error { return ErrPreconditionFailed }

// preconditionFailed says that conditions do not hold for a product in the state
// old, nil if there is none that lives.
func preconditionFailed(old *encoding.Record) error {
	e := new(PreconditionError)
	if old != nil {
		e.Version = versionOf(old)
	}
	return e
}
