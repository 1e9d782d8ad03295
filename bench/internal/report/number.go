package report

import (
	"math"
	"strconv"
)

// number writes a figure with three digits: "1.23M", "45.6k", "7.89".
func number(v float64) string {
	switch abs := math.Abs(v); {
	case math.IsNaN(v):
		return "-"
	case abs >= 999.5e6:
		return digits(v/1e9) + "G"
	case abs >= 999.5e3:
		return digits(v/1e6) + "M"
	case abs >= 9995:
		return digits(v/1e3) + "k"
	}
	return digits(v)
}

func digits(v float64) string {
	abs := math.Abs(v)
	switch {
	case abs >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case abs >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
