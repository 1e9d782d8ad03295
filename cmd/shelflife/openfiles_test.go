package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFileShares(t *testing.T) {
	for limit, want := range map[uint64][2]int{
		math.MaxUint64: {1000, 4096},
		20_000:         {1000, 4096},
		1024:           {256, 256},
		40:             {16, 10},
		0:              {16, 1},
	} {
		tables, connections := fileShares(limit)
		require.Equal(t, want, [2]int{tables, connections}, "of %d", limit)
	}
	require.Positive(t, openFileLimit())
}
