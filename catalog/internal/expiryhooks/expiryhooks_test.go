package expiryhooks

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// Everything queued is reported once, in order, before Run ends.
func TestRunReportsInOrder(t *testing.T) {
	var got []int
	h := New(func(e int) { got = append(got, e) })
	h.Add([]int{1, 2}, nil)
	h.Add([]int{3}, nil)
	h.Stop()
	h.Run()
	require.Equal(t, []int{1, 2, 3}, got)
}

// What was not durable when its Update ended is reported when it is, and not at
// all where that can't be known.
func TestReportsWaitUntilDurable(t *testing.T) {
	var asked []string
	durable := func(name string, err error) func(context.Context) error {
		return func(context.Context) error {
			asked = append(asked, name)
			return err
		}
	}
	var got []int
	h := New(func(e int) { got = append(got, e) })
	h.Add([]int{1}, durable("kept", nil))
	h.Add([]int{2}, durable("lost", errors.New("the engine has stopped")))
	h.Add([]int{3}, nil)
	h.Stop()
	h.Run()
	require.Equal(t, []int{1, 3}, got)
	require.Equal(t, []string{"kept", "lost"}, asked)
}

// A full queue holds up AwaitRoom, and nothing else.
func TestAwaitRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := New(func(int) { <-release })
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
