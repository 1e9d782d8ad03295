package backend

import "fmt"

// DamageError says that keys can't be read because of what the store is kept on:
// bytes that changed, are missing, or can't be had. The rest of the store is not
// concerned. Engines return it, from whatever call met the damage, where they can
// name the keys.
type DamageError struct {
	// Range holds the keys that can't be read: whether there are any in it, and
	// what their values are, is not known. An engine reads nothing in their
	// place that damage may only have uncovered, such as an older value. The
	// bounds belong to the caller.
	Range Range
	// Cause is the engine's own error.
	Cause error
}

// Error names the range in hexadecimal.
func (e *DamageError) Error() string {
	return fmt.Sprintf("backend: damaged: keys from %x to %x can't be read: %v", e.Range.Start, e.Range.End, e.Cause)
}

// Unwrap returns Cause.
func (e *DamageError) Unwrap() error { return e.Cause }
