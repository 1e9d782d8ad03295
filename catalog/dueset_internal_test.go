package catalog

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/encoding"
)

// TestDueSet: whatever the order in which names come and are asked for, those that
// were added are in the set, and no other.
func TestDueSet(t *testing.T) {
	head, _ := encoding.ListedRange("a")
	name := func(i int) []byte {
		id := binary.BigEndian.AppendUint32(nil, uint32(i))
		for range i % 7 {
			id = append(id, 0, 1)
		}
		return encoding.AppendListedKey(nil, "a", string(id))[len(head):]
	}
	for _, order := range []string{"sorted", "in two runs", "any"} {
		const n = 70_000 // more than a chunk has room for
		numbers := make([]int, n)
		for i := range numbers {
			numbers[i] = 2 * i
		}
		switch order {
		case "in two runs":
			numbers = slices.Concat(numbers[n/2:], numbers[:n/2])
		case "any":
			rand.Shuffle(n, func(i, j int) { numbers[i], numbers[j] = numbers[j], numbers[i] })
		}
		s := new(dueSet)
		for _, i := range numbers {
			s.add(name(i))
		}
		require.Greater(t, len(s.chunks), 1)
		require.Equal(t, order != "sorted", s.unsorted)
		for i := range 2 * n {
			if s.has(name(i)) != (i%2 == 0) {
				t.Fatalf("%s: %d", order, i)
			}
		}
		for range 1000 {
			i := rand.IntN(2*n + 10)
			require.Equal(t, i%2 == 0 && i < 2*n, s.has(name(i)), "%s: %d", order, i)
		}
	}
	require.False(t, new(dueSet).has(name(1)))
}
