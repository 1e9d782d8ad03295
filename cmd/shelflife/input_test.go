package main

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// withoutEndOf is an input that goes on for as long as it is read.
type withoutEndOf struct{ text string }

func (w withoutEndOf) Read(p []byte) (int, error) { return copy(p, w.text), nil }

func opened(r io.Reader) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(r), nil }
}

// TestInterruptedInputHasNoEnd: an import that is told to stop must never hear that
// the input has ended, however the two meet.
func TestInterruptedInputHasNoEnd(t *testing.T) {
	for round := range 2000 {
		ctx, interrupt := context.WithCancel(t.Context())
		in, err := openInput(ctx, opened(withoutEndOf{"{}\n"}))
		require.NoError(t, err)
		_, err = in.next(ctx)
		require.NoError(t, err)
		interrupt()
		for err == nil {
			_, err = in.next(ctx)
		}
		require.Equal(t, errInterrupted, err, "round %d", round)
		in.close()
	}
}

// TestInputIsNotWaitedFor: of a stream that stands still what has come is read.
func TestInputIsNotWaitedFor(t *testing.T) {
	out, in := io.Pipe()
	defer in.Close()
	go func() { _, _ = fmt.Fprint(in, "{}\n{}\n{") }()
	source, err := openInput(t.Context(), opened(out))
	require.NoError(t, err)
	defer source.close()
	for want := 1; want <= 2; want++ {
		e, err := source.next(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, e.Number)
	}
}
