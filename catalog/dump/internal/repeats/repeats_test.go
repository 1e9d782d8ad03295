package repeats

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCounter compares with maps, in memory and in files.
func TestCounter(t *testing.T) {
	for _, most := range []int{1, 7, 100, 10_000} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, uint64(most)))
			dir := t.TempDir()
			c := New(dir, most)
			var hashes []Hash
			left := map[Hash]int{}
			for range 1000 {
				h := Hash{31: byte(random.IntN(10)), 0: byte(random.IntN(100))}
				hashes = append(hashes, h)
				left[h]++
				require.NoError(t, c.Add(h))
			}
			require.NoError(t, c.Counted())
			files, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Equal(t, most < len(hashes), len(files) > 0)
			taken := map[Hash]bool{}
			for _, h := range hashes {
				left[h]--
				if random.IntN(4) == 0 {
					require.NoError(t, c.Pass(h))
					continue
				}
				first, more, err := c.Take(h)
				require.NoError(t, err)
				require.Equal(t, !taken[h], first)
				require.Equal(t, left[h] > 0, more)
				taken[h] = true
			}
			require.NoError(t, c.Close())
			files, err = os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, files)
		})
	}
}

// TestCounterWithoutFiles: what can't be kept is an error.
func TestCounterWithoutFiles(t *testing.T) {
	c := New(t.TempDir()+"/missing", 1)
	require.NoError(t, c.Add(Hash{}))
	require.ErrorIs(t, c.Add(Hash{}), os.ErrNotExist)
	require.NoError(t, c.Close())
}
