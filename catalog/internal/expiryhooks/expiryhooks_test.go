package expiryhooks

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// Everything queued is reported once, in order, before Run ends.
func TestRunReportsInOrder(t *testing.T) {
	var got []int
	h := New(func(e int) { got = append(got, e) }, nil)
	h.Add([]int{1, 2}, nil)
	h.Add([]int{3}, nil)
	h.Stop()
	h.Run()
	require.Equal(t, []int{1, 2, 3}, got)
}

// What was not durable when its Update ended is reported when it is, and not at
// all where nobody can know.
func TestReportsWaitUntilDurable(t *testing.T) {
	lost := backend.Scope{Group: "lost"}
	var asked []backend.Scope
	durable := func(_ context.Context, scopes []backend.Scope) error {
		asked = append(asked, scopes...)
		if scopes[0] == lost {
			return errors.New("the engine has stopped")
		}
		return nil
	}
	var got []int
	h := New(func(e int) { got = append(got, e) }, durable)
	kept := backend.Scope{Group: "kept"}
	h.Add([]int{1}, []backend.Scope{kept})
	h.Add([]int{2}, []backend.Scope{lost})
	h.Add([]int{3}, nil)
	h.Stop()
	h.Run()
	require.Equal(t, []int{1, 3}, got)
	require.Equal(t, []backend.Scope{kept, lost}, asked)
}

// A full queue holds up AwaitRoom, and nobody else.
func TestAwaitRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := New(func(int) { <-release }, nil)
		require.NoError(t, h.AwaitRoom(t.Context()))
		h.Add(make([]int, queueLength), nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.AwaitRoom(ctx) }()
		synctest.Wait()
		require.Empty(t, done)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)

		go func() { done <- h.AwaitRoom(t.Context()) }()
		synctest.Wait()
		require.Empty(t, done)
		h.Add([]int{1}, nil) // never waits
		go h.Run()
		require.NoError(t, <-done)
		close(release)
		h.Stop()
		synctest.Wait()
	})
}
