package catalog

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCacheAdmission: a full cache lets few records in while it gains little,
// and all that are wanted again when it gains much.
func TestCacheAdmission(t *testing.T) {
	const products, reads = 8000, 200_000
	record := make([]byte, 1000)
	c := newRecordCache(products / 4 * int64(len(record)))
	keys := make([]productKey, products)
	for i := range keys {
		keys[i] = productKey{"account", fmt.Sprint(i)}
	}
	// run reads products below n and returns the shares that hit and were filled.
	run := func(n int) (hits, fills float64) {
		for range reads {
			k := keys[rand.IntN(n)]
			if _, ok := c.get(k); ok {
				hits += 1. / reads
				continue
			}
			token := c.beforeRead(k)
			if token.ok {
				fills += 1. / reads
			}
			c.fill(k, token, record)
		}
		return hits, fills
	}
	run(products) // fills the cache
	hits, fills := run(products)
	require.Greater(t, hits, 0.1, "a full cache stays full")
	require.Positive(t, fills)
	require.Less(t, fills, 0.08, "all that are wanted again would be a fifth")

	run(products / 8) // soon known to gain much
	hits, _ = run(products / 8)
	require.Greater(t, hits, 0.9)
	_, fills = run(products / 4)
	require.False(t, c.gain.little.Load())
	require.Positive(t, fills)
}
