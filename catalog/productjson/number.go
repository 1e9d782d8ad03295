package productjson

import (
	"math"
	"strconv"
	"strings"
)

// integerOf returns the integer that a valid JSON number stands for, in exact
// decimal arithmetic: 15.0 and 1.5e1 are 15. ok is false where the number has
// a fraction. Integers of more than nine digits become the nearest of
// ±math.MaxInt32. Its cost depends on the length of the text alone, whatever
// the exponent.
func integerOf(number string) (n int, ok bool) {
	number, negative := strings.CutPrefix(number, "-")
	mantissa, exponent := number, int64(0)
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		mantissa, exponent = number[:i], clampedInt(number[i+1:])
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	exponent -= int64(len(fraction))
	significant := strings.TrimRight(digits, "0")
	exponent += int64(len(digits) - len(significant))
	switch {
	case significant == "":
		return 0, true
	case exponent < 0:
		return 0, false
	case int64(len(significant))+exponent > 9:
		n = math.MaxInt32
	default:
		// At most nine digits.
		n, _ = strconv.Atoi(significant + strings.Repeat("0", int(exponent)))
	}
	if negative {
		n = -n
	}
	return n, true
}

// clampedInt reads the exponent of a JSON number. Beyond 17 digits it is cut
// off at a value that no mantissa can make up for.
func clampedInt(s string) int64 {
	s, negative := strings.CutPrefix(s, "-")
	s = strings.TrimLeft(strings.TrimPrefix(s, "+"), "0")
	const most = int64(1e17)
	n := most
	if len(s) <= 17 {
		n = 0
		for _, c := range []byte(s) {
			n = n*10 + int64(c-'0')
		}
	}
	if negative {
		return -n
	}
	return n
}
