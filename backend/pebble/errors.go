package pebble

import (
	"errors"
	"fmt"
)

// ErrLocked is returned by Open for a directory that a Store, of this or of
// another process, has open.
var ErrLocked = errors.New("backend/pebble: the store is in use")

// ErrNoStore is returned by Open with Options.MustExist or Options.ReadOnly for
// a directory in which there is no store, or that is not there.
var ErrNoStore = errors.New("backend/pebble: there is no store")

// ErrForeign is returned by Open for a directory that holds something else than
// a store. Nothing in it was changed.
var ErrForeign = errors.New("backend/pebble: the directory holds other files and no store")

// engineError marks an error as Pebble's.
func engineError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("backend/pebble: %w", err)
}
