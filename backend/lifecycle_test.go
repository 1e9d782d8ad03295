package backend_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

func TestLifecycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var life backend.Lifecycle
		require.NoError(t, life.Enter())
		require.NoError(t, life.Enter())
		require.False(t, life.Closed())

		want := errors.New("result")
		released := 0
		results := make(chan error, 1)
		go func() {
			results <- life.Close(func() error {
				released++
				return want
			})
		}()
		synctest.Wait()
		require.True(t, life.Closed())
		<-life.Closing()
		require.ErrorIs(t, life.Enter(), backend.ErrClosed)
		require.Empty(t, results, "Close returned while calls ran")

		life.Exit()
		synctest.Wait()
		require.Zero(t, released)
		life.Exit()
		require.Equal(t, want, <-results)
		require.Equal(t, 1, released)
		require.Equal(t, want, life.Close(nil))
	})
}

func TestInUpdate(t *testing.T) {
	a, b := new(int), new(int)
	ctx := backend.MarkUpdate(t.Context(), a)
	require.False(t, backend.InUpdate(t.Context(), a))
	require.True(t, backend.InUpdate(ctx, a))
	require.False(t, backend.InUpdate(ctx, b))
	require.True(t, backend.InUpdate(backend.MarkUpdate(ctx, b), a))
}
