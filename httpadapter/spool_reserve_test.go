package httpadapter

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUploadsLeaveTheStoresReserve: on a volume of any size uploads end before a store
// on Pebble refuses writes, whose default reserve is a tenth of the volume, at least
// 16 MiB or a quarter of it, at most 256 MiB.
func TestUploadsLeaveTheStoresReserve(t *testing.T) {
	for total := int64(1 << 20); total < 1<<44; total += total / 7 {
		store := min(max(total/10, 16<<20), total/4, 256<<20)
		require.GreaterOrEqual(t, defaultSpoolReserve(total), store+store*2/5, "a volume of %d bytes", total)
		require.Less(t, defaultSpoolReserve(total), total/2)
	}
}
