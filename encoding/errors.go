package encoding

import (
	"errors"
	"fmt"
)

// ErrCorrupt reports bytes that no writer of this package made. The error that
// wraps it says which part of what is wrong.
var ErrCorrupt = errors.New("encoding: corrupt")

// ErrNewerSchema reports data of a schema that this version does not support.
// It is carried by a [*SchemaError], or by a [*PartitionError].
var ErrNewerSchema = errors.New("encoding: newer schema")

// A SchemaError reports data that needs a newer version of this package.
// It matches [ErrNewerSchema].
type SchemaError struct {
	Found     int // the schema that the data needs
	Supported int // the newest schema that this version supports
}

// Error names both schemas.
func (e *SchemaError) Error() string {
	return fmt.Sprintf("encoding: newer schema: found %d, supported up to %d", e.Found, e.Supported)
}

// Is reports whether target is [ErrNewerSchema].
func (e *SchemaError) Is(target error) bool { return target == ErrNewerSchema }

func corrupt(kind, what string) error {
	return fmt.Errorf("%w %s: %s", ErrCorrupt, kind, what)
}

// IsUnreadable reports whether err is about one value that can't be decoded,
// because it is damaged or newer than this version: others are not concerned.
func IsUnreadable(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNewerSchema)
}
