package imagegrace

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func sizes(blobs []Blob) (sizes []int64) {
	for _, b := range blobs {
		sizes = append(sizes, b.Size)
	}
	return sizes
}

func isOver(q *Queue) bool {
	select {
	case <-q.Over():
		return true
	default:
		return false
	}
}

func TestQueue(t *testing.T) {
	const budget = 100<<10 + 3*overhead
	q := New(budget)
	require.Empty(t, q.Excess(0, 10))
	q.Add(Blob{Size: 50 << 10, Deadline: 10})
	q.Add(Blob{Size: 40 << 10, Deadline: 20})
	q.Add(Blob{Size: 10 << 10, Deadline: 30})
	require.False(t, isOver(q), "the budget is met")
	require.Empty(t, q.Excess(0, 10))

	q.Add(Blob{Size: 1, Deadline: 40})
	require.True(t, isOver(q))
	require.Equal(t, []int64{50 << 10}, sizes(q.Excess(0, 10)), "the oldest, and no more than needed")
	require.Empty(t, q.Excess(0, 10))

	// What the sweeper removes is not in the excess.
	require.Empty(t, q.Excess(20, 10))
	q.Add(Blob{Size: 85 << 10, Deadline: 50})
	require.False(t, isOver(q))
	require.Empty(t, q.Excess(20, 10))

	// More at once than a call takes, and all of it put back.
	for i := range int64(5) {
		q.Add(Blob{Size: 50<<10 + i, Deadline: 60 + i})
	}
	require.True(t, isOver(q))
	first := q.Excess(20, 2)
	require.Equal(t, []int64{10 << 10, 1}, sizes(first))
	q.Return(first)
	require.Equal(t, []int64{10 << 10, 1, 85 << 10, 50 << 10, 50<<10 + 1, 50<<10 + 2}, sizes(q.Excess(20, 100)))

	// One that is larger than the budget does not wait.
	q = New(10)
	q.Add(Blob{Size: 11, Deadline: 1000})
	require.True(t, isOver(q))
	require.Equal(t, []int64{11}, sizes(q.Excess(0, 10)))
	require.Empty(t, q.Excess(0, 10))

	q = New(-1)
	q.Add(Blob{Size: 1 << 50, Deadline: 1000})
	require.False(t, isOver(q))
	require.Empty(t, q.Excess(0, 10))

	// Many small ones count too.
	q = New(10 * overhead)
	for range 11 {
		q.Add(Blob{Deadline: 1000})
	}
	require.True(t, isOver(q))
	require.Len(t, q.Excess(0, 10), 1)
}
