package catalog

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// TestErrorsSayItOnce: the class of an error is not there twice, once in our words and
// once in the engine's.
func TestErrorsSayItOnce(t *testing.T) {
	for want, cause := range map[string]error{
		"shelflife: get \"p\": store is unavailable":                                           backend.ErrUnavailable,
		"shelflife: get \"p\": store is unavailable: disk full":                                fmt.Errorf("%w: disk full", backend.ErrUnavailable),
		"shelflife: get \"p\": store is unavailable: opened for reading":                       backend.ErrReadOnly,
		"shelflife: get \"p\": catalog is closed":                                              backend.ErrClosed,
		"shelflife: get \"p\": may or may not have happened: read before repeating: no answer": fmt.Errorf("%w: no answer", backend.ErrUnknownOutcome),
		"shelflife: get \"p\": store is unavailable: pebble: backend: unavailable":             fmt.Errorf("pebble: %w", backend.ErrUnavailable),
		"shelflife: get \"p\": backend: unavailable, it seems":                                 errors.New("backend: unavailable, it seems"),
	} {
		err := wrap("get", "p", cause)
		require.EqualError(t, err, want)
		require.ErrorIs(t, err, cause)
	}
}
