package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShareFiles(t *testing.T) {
	for _, c := range []struct {
		limit               uint64
		wanted              int
		tables, connections int
	}{
		{math.MaxUint64, 0, 1000, 4096},
		{20_000, 0, 1000, 4096},
		{1024, 0, 256, 332},
		{256, 0, 64, 44},
		{140, 0, 35, 0}, // too few
		{0, 0, 0, 0},
		{1024, 332, 256, 332},
		{1024, 333, 0, 0},
		{256, 1000, 0, 0},
		{math.MaxUint64, 100_000, 1000, 100_000},
		{4096, 2, 1000, 2},
	} {
		shares, err := shareFiles(c.limit, c.wanted)
		if c.connections < minConnections && c.wanted == 0 || c.connections == 0 {
			require.ErrorContains(t, err, "ulimit -n", "%+v", c)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, fileShares{c.limit, c.tables, c.connections}, shares)
		open := uint64(shares.tables + engineFiles + otherFiles + importFiles + spareConnections + filesPerClient*shares.connections)
		require.LessOrEqual(t, open, c.limit, "all of it together is within the limit")
	}
	require.Positive(t, openFileLimit())
}
