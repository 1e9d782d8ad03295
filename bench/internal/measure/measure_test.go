package measure

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSpread(t *testing.T) {
	for _, tc := range []struct {
		values []float64
		want   Spread
	}{
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{5, 1, 3}, Spread{3, 1, 5}},
		{[]float64{4, 1, 2, 9}, Spread{3, 1, 9}},
	} {
		require.Equal(t, tc.want, SpreadOf(tc.values))
	}
	require.True(t, math.IsNaN(SpreadOf(nil).Median))
	require.InDelta(t, 0.5, Spread{Median: 4, Min: 2, Max: 6}.Relative(), 1e-9)
}

func TestSpreadLeavesItsInputAlone(t *testing.T) {
	values := []float64{3, 1, 2}
	SpreadOf(values)
	require.Equal(t, []float64{3, 1, 2}, values)
}

func TestSegmentSpendsItsBudget(t *testing.T) {
	var calls atomic.Int64
	sample, err := Segment{Workers: 4, Duration: time.Hour, MaxOps: 1000}.Run(t.Context(), func(context.Context, int, int) error {
		calls.Add(1)
		return nil
	})
	require.NoError(t, err)
	require.EqualValues(t, 1000, calls.Load())
	require.Equal(t, 1000, sample.Total())
	require.Len(t, sample.Ops, 4)
	require.Positive(t, sample.Rate())
}

func TestSegmentNumbersTheOperationsOfAWorker(t *testing.T) {
	var seen []int
	_, err := Segment{Workers: 1, Duration: time.Hour, MaxOps: 5}.Run(t.Context(), func(_ context.Context, _, n int) error {
		seen = append(seen, n)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 2, 3, 4}, seen)
}

func TestSegmentTimesSome(t *testing.T) {
	var calls atomic.Int64
	for _, every := range []int{1, 8, 1000} {
		calls.Store(0)
		sample, err := Segment{Workers: 2, Duration: time.Hour, MaxOps: 100, TimeEvery: every}.Run(t.Context(), func(context.Context, int, int) error {
			calls.Add(1)
			return nil
		})
		require.NoError(t, err)
		require.EqualValues(t, 100, calls.Load())
		require.Equal(t, 100, sample.Total())
		require.Positive(t, sample.P50)
	}
}

func TestSegmentEndsWhenTold(t *testing.T) {
	until := make(chan struct{})
	sample, err := Segment{Workers: 2, Duration: time.Hour, Until: until}.Run(t.Context(), func(_ context.Context, w, n int) error {
		if w == 0 && n == 10 {
			close(until)
		}
		return nil
	})
	require.NoError(t, err)
	require.GreaterOrEqual(t, sample.Total(), 11)
}

func TestSegmentEndsInTime(t *testing.T) {
	sample, err := Segment{Workers: 2, Duration: time.Millisecond}.Run(t.Context(), func(context.Context, int, int) error { return nil })
	require.NoError(t, err)
	require.GreaterOrEqual(t, sample.Elapsed, time.Millisecond)
}

func TestSegmentEndsWithTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	_, err := Segment{Workers: 3, Duration: time.Hour}.Run(t.Context(), func(_ context.Context, w, n int) error {
		if w == 1 && n == 7 {
			return broken
		}
		return nil
	})
	require.ErrorIs(t, err, broken)
}

func TestSegmentCountsAllocations(t *testing.T) {
	var keep [][]byte
	sample, err := Segment{Workers: 1, Duration: time.Hour, MaxOps: 2000}.Run(t.Context(), func(context.Context, int, int) error {
		keep = append(keep[:0], make([]byte, 1000))
		return nil
	})
	require.NoError(t, err)
	require.GreaterOrEqual(t, sample.Allocs, 1.0)
	require.GreaterOrEqual(t, sample.AllocBytes, 1000.0)
}
