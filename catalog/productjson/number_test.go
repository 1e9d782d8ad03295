package productjson

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIntegerOf(t *testing.T) {
	zeros := strings.Repeat("0", 100_000)
	for number, want := range map[string]int{
		"0": 0, "-0": 0, "0.0": 0, "0e999999999999999999999": 0, "15": 15, "15.0": 15, "1.5e1": 15, "1.5E+1": 15,
		"150e-1": 15, "0.015e3": 15, "-3": -3, "999999999": 999_999_999,
		"1000000000": math.MaxInt32, "1e400": math.MaxInt32, "-1e99999999999999999999999": -math.MaxInt32,
		"1" + zeros + "e-100000": 1, "0." + zeros + "1e100001": 1, "1e00000000000000000000001": 10,
	} {
		n, ok := integerOf(number)
		require.True(t, ok, "%.30s", number)
		require.Equal(t, want, n, "%.30s", number)
	}
	for _, number := range []string{"1.5", "0.1", "1e-1", "15.00000000000000000000000000001", "1e-99999999999999999999999", "-1.5e0", "10e-2"} {
		_, ok := integerOf(number)
		require.False(t, ok, number)
	}
}
