package httpadapter_test

import (
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/httpadapter"
)

func ready() error { return nil }

func TestClaims(t *testing.T) {
	b, err := httpadapter.NewBudget(&httpadapter.BudgetOptions{Memory: 20 << 20, AccountMemory: 12 << 20, AccountRequests: 2, AccountUploads: 1, Wait: time.Millisecond})
	require.NoError(t, err)
	claim := func(account string) *httpadapter.Claim {
		t.Helper()
		c, err := b.Claim(account)
		require.NoError(t, err)
		t.Cleanup(c.Close)
		return c
	}
	one, two := claim("a"), claim("a")
	_, err = b.Claim("a")
	require.ErrorIs(t, err, httpadapter.ErrRateLimited, "of the account's requests")
	require.NotErrorIs(t, err, httpadapter.ErrOverloaded)
	require.NoError(t, one.Await(t.Context(), true, 4<<20))
	require.ErrorIs(t, two.Await(t.Context(), true, 1), httpadapter.ErrRateLimited, "one upload at a time")
	require.NoError(t, two.Await(t.Context(), false, 4<<20))
	require.ErrorIs(t, one.Grow(5<<20), httpadapter.ErrRateLimited)
	require.NoError(t, one.Grow(4<<20))
	other := claim("b")
	require.ErrorIs(t, other.Await(t.Context(), false, 9<<20), httpadapter.ErrOverloaded)
	require.Equal(t, httpadapter.BudgetStats{Memory: 12 << 20, Requests: 3, Uploads: 1}, b.Stats())
	one.Close()
	one.Close()
	require.NoError(t, other.Await(t.Context(), true, 9<<20))
}

func TestSpoolFiles(t *testing.T) {
	b, err := httpadapter.NewBudget(&httpadapter.BudgetOptions{Spool: 100, AccountSpool: 60})
	require.NoError(t, err)
	dir := t.TempDir()
	f := b.NewSpoolFile("a", dir, ready)
	n, err := f.Reader().ReadAt(make([]byte, 1), 0)
	require.Zero(t, n)
	require.Equal(t, io.EOF, err, "nothing is there yet")
	_, err = f.Write(make([]byte, 50))
	require.NoError(t, err)
	_, err = f.Write(make([]byte, 11))
	require.ErrorIs(t, err, httpadapter.ErrRateLimited)
	_, err = b.NewSpoolFile("b", dir, ready).Write(make([]byte, 51))
	require.ErrorIs(t, err, httpadapter.ErrOverloaded)
	_, err = b.NewSpoolFile("b", dir, func() error { return os.ErrPermission }).Write([]byte{1})
	require.ErrorIs(t, err, os.ErrPermission)
	require.EqualValues(t, 50, f.Size())
	r := f.Reader()
	_, err = r.ReadAt(make([]byte, 50), 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, f.Close())
	_, err = r.ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, os.ErrClosed)
	require.Zero(t, b.Stats().Spool)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
