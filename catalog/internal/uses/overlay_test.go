package uses

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
)

// contract 4: a use that comes after the deadline leaves nothing in the
// overlay, and one that was there stays as it was. The time is taken when
// readers can no longer miss the entry.
func TestLateUsesLeaveNoTrace(t *testing.T) {
	var o *Overlay
	now := int64(0)
	o = NewOverlay(10, func() int64 {
		require.Positive(t, o.count.Load())
		return now
	})
	k := productkey.Of("a", "p")
	now = 200
	require.False(t, o.Add(useOf("p", 7, 100), until(200), Token{}))
	require.Zero(t, o.count.Load())
	require.Equal(t, Pending{}, o.Get(k))
	now = 199
	require.True(t, o.Add(useOf("p", 7, 100), until(200), Token{}))
	now = 300
	require.False(t, o.Add(useOf("p", 7, 150), until(300), Token{}))
	require.Equal(t, int64(1), o.count.Load())
	require.Equal(t, int64(100), o.Get(k).at)
	require.True(t, o.Add(useOf("p", 7, 300), forever, Token{}), "without a lifetime none is late")
}
