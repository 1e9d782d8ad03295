package httpadapter

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUntilDrainedOfADrainedHandler: a bulk upsert that comes after Drain finds its
// context ended at once, not when a goroutine came to end it.
func TestUntilDrainedOfADrainedHandler(t *testing.T) {
	h := &Handler{}
	h.draining, h.drain = context.WithCancelCause(t.Context())
	h.Drain()
	for range 100 {
		waiting, stop := h.untilDrained(t.Context())
		require.Equal(t, errDraining, context.Cause(waiting))
		stop()
	}
}
