package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCacheIsAShareOfTheMemory(t *testing.T) {
	for limit, want := range map[int64]int64{
		math.MaxInt64: 256 << 20, 4 << 30: 256 << 20, 2 << 30: 256 << 20,
		1 << 30: 128 << 20, 384 << 20: 48 << 20, 8 << 20: 2 << 20,
	} {
		require.Equal(t, want, cacheFor(limit), limit)
	}
	require.LessOrEqual(t, ownCache(), int64(256<<20))
	require.Positive(t, memoryLimit())
}
