package catalog

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/encoding"
)

// contract 4: a use that comes after the deadline leaves nothing in the
// overlay, and one that was there stays as it was. The time is taken when
// readers can no longer miss the entry.
func TestLateUsesLeaveNoTrace(t *testing.T) {
	var o *useOverlay
	now := int64(0)
	o = newUseOverlay(10, func() int64 {
		require.Positive(t, o.count.Load())
		return now
	})
	k := productKey{"a", "p"}
	now = 200
	require.False(t, o.add(dueUse{k, 7, 100}, 200))
	require.Zero(t, o.count.Load())
	require.Equal(t, pendingUse{}, o.get(k))
	now = 199
	require.True(t, o.add(dueUse{k, 7, 100}, 200))
	now = 300
	require.False(t, o.add(dueUse{k, 7, 150}, 300))
	require.Equal(t, int64(1), o.count.Load())
	require.Equal(t, int64(100), o.get(k).at)
	require.True(t, o.add(dueUse{k, 7, 300}, encoding.None), "without a lifetime none is late")
}
