package main

import "math"

const (
	maxTables      = 1000 // what the engine keeps open by default
	maxConnections = 4096
	minTables      = 16
)

// fileShares tells how many of the files that the process may have open are for
// the engine's tables and how many clients may be connected: what runs out of
// files while it writes can't go on. A client takes two, one of them for its
// upload, and a quarter is left for all else.
func fileShares(limit uint64) (tables, connections int) {
	quarter := int(min(limit/4, math.MaxInt32))
	return min(max(quarter, minTables), maxTables), min(max(quarter, 1), maxConnections)
}
