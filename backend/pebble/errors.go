package pebble

import (
	"errors"
	"fmt"
)

// ErrLocked is returned by Open for a directory that a Store, of this or of
// another process, has open.
var ErrLocked = errors.New("backend/pebble: the store is in use")

// engineError marks an error as Pebble's.
func engineError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("backend/pebble: %w", err)
}
