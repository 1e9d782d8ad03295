package backend_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

func TestScopeOverlaps(t *testing.T) {
	for _, c := range []struct {
		s, t backend.Scope
		want bool
	}{
		{backend.Scope{Group: "g", Item: "i"}, backend.Scope{Group: "g", Item: "i"}, true},
		{backend.Scope{Group: "g", Item: "i"}, backend.Scope{Group: "g", Item: "j"}, false},
		{backend.Scope{Group: "g", Item: "i"}, backend.Scope{Group: "h", Item: "i"}, false},
		{backend.Scope{Group: "g"}, backend.Scope{Group: "g", Item: "j"}, true},
		{backend.Scope{Group: "g"}, backend.Scope{Group: "g"}, true},
		{backend.Scope{Group: "g"}, backend.Scope{Group: "h"}, false},
		{backend.Scope{}, backend.Scope{Item: "i"}, true},
		{backend.Scope{}, backend.Scope{Group: "g"}, false},
	} {
		require.Equal(t, c.want, c.s.Overlaps(c.t), "%+v and %+v", c.s, c.t)
		require.Equal(t, c.want, c.t.Overlaps(c.s), "%+v and %+v", c.t, c.s)
	}
}
