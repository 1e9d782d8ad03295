package catalog

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/encoding"
)

// TestSpread: an account's entries are in one lane, in their order, and the lanes have
// about as many.
func TestSpread(t *testing.T) {
	var entries []dueEntry
	var numbers []int
	for a := range 40 {
		for range 20 + 7*a%90 {
			n := len(entries)
			entries = append(entries, dueEntry{Expiry: encoding.Expiry{Account: fmt.Sprint(a), ID: fmt.Sprint(n)}})
			numbers = append(numbers, 2*n)
		}
	}
	lanes := spread(entries, numbers)
	require.Len(t, lanes, sharedLanes)
	laneOf, all := map[string]int{}, 0
	for i, l := range lanes {
		require.Len(t, l.numbers, len(l.entries))
		require.IsIncreasing(t, l.numbers)
		require.InDelta(t, len(entries)/sharedLanes, len(l.entries), 60)
		for j, e := range l.entries {
			require.Equal(t, fmt.Sprint(l.numbers[j]/2), e.ID)
			before, ok := laneOf[e.Account]
			require.True(t, !ok || before == i, "account %s", e.Account)
			laneOf[e.Account] = i
		}
		all += len(l.entries)
	}
	require.Equal(t, len(entries), all)
}
