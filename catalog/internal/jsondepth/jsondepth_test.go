package jsondepth_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog/internal/jsondepth"
)

func TestExceeds(t *testing.T) {
	for _, c := range []struct {
		raw   string
		depth int
	}{
		{``, 0},
		{`1`, 0},
		{`"[[{{"`, 0},
		{`"\"[[{{"`, 0},
		{`"\\"[[]]`, 2},
		{`[]`, 1},
		{`[],[]`, 1},
		{`{"a":[{},[]],"[":[[]]}`, 3},
		{`[` + strings.Repeat(`[],{},`, 100) + `0]`, 2},
		{strings.Repeat(`[`, 1000), 1000},
		{`]]][[`, 0}, // not valid: closed before they were opened
		{`"[`, 0},
		{`"\`, 0},
	} {
		for _, limit := range []int{-1, c.depth - 1, c.depth, c.depth + 1, 1 << 20} {
			require.Equal(t, c.depth > limit, jsondepth.Exceeds([]byte(c.raw), limit), "%q, %d", c.raw, limit)
		}
	}
}
