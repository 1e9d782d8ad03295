package main

import (
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// The memory that the engine's cache takes by default: a share of what the process
// may have, within bounds. Go's own limit does not count it.
const (
	cacheShare   = 8
	defaultCache = 256 << 20
	minCache     = 2 << 20
)

// cacheFor returns the size of the engine's cache in a process that may have so much
// memory.
func cacheFor(limit int64) int64 { return max(min(defaultCache, limit/cacheShare), minCache) }

// ownCache is cacheFor for this process.
func ownCache() int64 { return cacheFor(memoryLimit()) }

// memoryLimit returns how much memory the process may have, by GOMEMLIMIT or its
// control group, whichever is less, and math.MaxInt64 if neither says anything.
func memoryLimit() int64 {
	limit := debug.SetMemoryLimit(-1)
	if n, err := memlimit.FromCgroup(); err == nil && n > 0 && n < math.MaxInt64 {
		limit = min(limit, int64(n))
	}
	return limit
}

// heapShare and heapParts say how much of its control group's memory the process
// leaves to Go: the rest is for the engine's cache and what the C library keeps.
const heapShare, heapParts = 5, 8

// limitHeap has Go stay within the memory of the process's control group, unless
// GOMEMLIMIT says where it is to stay.
func limitHeap() {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	if limit := memoryLimit(); limit != math.MaxInt64 {
		debug.SetMemoryLimit(limit / heapParts * heapShare)
	}
}
