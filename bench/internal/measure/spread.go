package measure

import (
	"math"
	"slices"
)

// A Spread summarizes what the rounds of one workload measured.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// SpreadOf returns the spread of values; that of none is not a number.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{math.NaN(), math.NaN(), math.NaN()}
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	median := sorted[mid]
	if len(sorted)%2 == 0 {
		median = sorted[mid-1]/2 + sorted[mid]/2
	}
	return Spread{median, sorted[0], sorted[len(sorted)-1]}
}

// Relative returns half the distance from Min to Max as a share of the median.
func (s Spread) Relative() float64 {
	if s.Median == 0 {
		return 0
	}
	return (s.Max - s.Min) / 2 / math.Abs(s.Median)
}
