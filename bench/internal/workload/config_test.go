package workload

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/peer/bolt"
)

func TestConfigRefusesNonsense(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"too small":       func(c *Config) { c.Products = 10 },
		"no writers":      func(c *Config) { c.Writers = nil },
		"zero writers":    func(c *Config) { c.Writers = []int{0} },
		"too many":        func(c *Config) { c.Writers = []int{maxWriters + 1} },
		"no rounds":       func(c *Config) { c.Rounds = 0 },
		"bad pattern":     func(c *Config) { c.Workloads = []string{"["} },
		"bad peers":       func(c *Config) { c.Peers = []string{"["} },
		"profile of many": func(c *Config) { c.CPUProfile = "cpu.prof" },
	} {
		t.Run(name, func(t *testing.T) {
			c := Quick()
			c.Dir = t.TempDir()
			change(&c)
			_, err := Run(t.Context(), c, nil, nil, io.Discard)
			require.Error(t, err)
		})
	}
}

func TestWorkloadsHaveDifferentNames(t *testing.T) {
	c := Full()
	seen := map[string]bool{}
	for _, w := range c.All() {
		require.False(t, seen[w.Name], w.Name)
		seen[w.Name] = true
		require.NotEmpty(t, w.Title)
		require.NotEmpty(t, w.Unit)
	}
}

func TestSameConfig(t *testing.T) {
	a, b := Full(), Full()
	require.True(t, a.Same(&b))
	b.Rounds++
	require.False(t, a.Same(&b))
}

func TestPatterns(t *testing.T) {
	require.True(t, matches(nil, "anything"))
	require.True(t, matches([]string{"a", "get-*"}, "get-zipf"))
	require.False(t, matches([]string{"a", "get-*"}, "edit"))
}

func TestRevisionsAreDistinct(t *testing.T) {
	seen := map[uint64]bool{}
	for _, segment := range []uint64{1, 2, 60000} {
		for _, w := range []int{0, 1, maxWriters - 1} {
			for _, n := range []int{0, 1, 1<<opBits - 1} {
				r := revisionOf(segment, w, n)
				require.False(t, seen[r])
				require.Equal(t, segment, r>>segmentShift)
				seen[r] = true
			}
		}
	}
}

func TestSourcesRepeat(t *testing.T) {
	r := &run{}
	a, b := r.sources(3, 2), r.sources(3, 2)
	require.Equal(t, a[1].Uint64(), b[1].Uint64())
	require.NotEqual(t, a[0].Uint64(), b[1].Uint64())
	require.NotEqual(t, r.sources(4, 1)[0].Uint64(), r.sources(3, 1)[0].Uint64())
}

func TestProfileOfOneSegment(t *testing.T) {
	c := tiny(t, "get-uniform")
	c.CPUProfile = filepath.Join(t.TempDir(), "cpu.prof")
	_, err := Run(t.Context(), c, []peer.Peer{bolt.Peer()}, nil, io.Discard)
	require.NoError(t, err)
	info, err := os.Stat(c.CPUProfile)
	require.NoError(t, err)
	require.Positive(t, info.Size())
}

func TestSteadiness(t *testing.T) {
	require.InDelta(t, 1, steadiness([]float64{1, 2, 1, 2}), 1e-9)
	require.InDelta(t, 2, steadiness([]float64{1, 2, 3, 4}), 1e-9)
	require.InDelta(t, 1, steadiness(nil), 1e-9)
}
