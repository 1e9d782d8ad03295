package catalog

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// contract 4: a use that comes after the deadline leaves nothing in the
// overlay, and one that was there stays as it was. The question is asked when
// readers can no longer miss the entry.
func TestLateUsesLeaveNoTrace(t *testing.T) {
	o := newUseOverlay(10)
	k := productKey{"a", "p"}
	late := func() bool {
		require.Positive(t, o.count.Load())
		return false
	}
	require.False(t, o.add(k, 7, 100, late))
	require.Zero(t, o.count.Load())
	require.Equal(t, pendingUse{}, o.get(k))
	require.True(t, o.add(k, 7, 100, func() bool { return true }))
	require.False(t, o.add(k, 7, 200, late))
	require.Equal(t, int64(1), o.count.Load())
	require.Equal(t, int64(100), o.get(k).at)
}
