package catalog

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPieces: copies are equal to what was copied and keep it, whatever is done to the
// original and to other copies.
func TestPieces(t *testing.T) {
	p := pieces{size: 8}
	var copies [][]byte
	want := []string{"", "abc", "defg", "h", "longer than a piece", "", "i"}
	for _, s := range want {
		b := []byte(s)
		copies = append(copies, p.copy(b))
		clear(b)
	}
	for i, s := range want {
		require.NotNil(t, copies[i])
		require.Equal(t, s, string(copies[i]))
		_ = append(copies[i], "written behind it"...)
	}
	for i, s := range want {
		require.Equal(t, s, string(copies[i]))
	}
}
