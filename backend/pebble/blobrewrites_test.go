package pebble

import (
	"testing"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"
)

// TestRewriteAims: the loop and a pass ask for less garbage side by side, and
// neither ends what the other waits for.
func TestRewriteAims(t *testing.T) {
	var b blobRewrites
	none := 1.0
	require.Equal(t, none, b.target(), "there was no request")

	b.refill()
	b.aim(0, false)
	require.Zero(t, b.target())
	b.watch(false) // what a tick of the loop does while there is little garbage
	require.Zero(t, b.target(), "a tick ended a pass's aim")
	b.watch(true)
	require.Zero(t, b.target(), "the loop's aim replaced a pass's")
	b.rest()
	require.Equal(t, garbageShare, b.target(), "a pass's end ended the loop's aim")

	b.ended(crdb.BlobFileRewriteInfo{Input: crdb.BlobFileInfo{Size: rewriteRate, ValueSize: 2}, Output: crdb.BlobFileInfo{ValueSize: 1}})
	require.Equal(t, none, b.target(), "the loop's aim goes beyond its rate")
	b.aim(roomShare, false)
	require.Equal(t, roomShare, b.target(), "a caller waits for the rate of the background")
	b.aim(roomShare, true)
	require.Equal(t, none, b.target())
	b.refill()
	require.Equal(t, roomShare, b.target())
	b.watch(false)

	for range inVain {
		require.False(t, b.passInVain())
		b.ended(crdb.BlobFileRewriteInfo{Input: crdb.BlobFileInfo{ValueSize: 1}, Output: crdb.BlobFileInfo{ValueSize: 1}})
	}
	require.True(t, b.passInVain())
	require.Equal(t, none, b.target(), "what is in vain goes on")
	b.watch(true)
	require.True(t, b.passInVain(), "a tick lets a pass try for ever")
	b.watch(false)
	require.True(t, b.passInVain())
	b.aim(0, false)
	require.False(t, b.passInVain(), "the next pass tries")
}
