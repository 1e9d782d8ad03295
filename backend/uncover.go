package backend

import (
	"context"
	"errors"
)

// ErrNothingCovers is returned by Uncover where the damage lies in nothing that can
// be left out.
var ErrNothingCovers = errors.New("backend: the damage is in no part that can be left out")

// An Uncoverer is a Backend, open for reading, that can leave out its damaged parts
// and show what they cover: values that were replaced later, and keys that were
// deleted. It is optional, and for salvage alone.
type Uncoverer interface {
	// Uncover returns the store as it would be without the parts in which the damage
	// is, beside those that are left out already. Nothing on the disk is changed.
	// What it shows in the ranges of the damage may be old or deleted, and it must
	// not be asked for anything else. The caller closes it, before the store.
	Uncover(ctx context.Context, damage []*DamageError) (Backend, error)
}
