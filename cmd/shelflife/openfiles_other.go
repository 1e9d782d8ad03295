//go:build !unix

package main

import "math"

// openFileLimit returns how many files the process may have open: as many as
// there is memory for.
func openFileLimit() uint64 { return math.MaxUint64 }
