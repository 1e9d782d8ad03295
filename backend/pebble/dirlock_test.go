package pebble_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
)

// A store is open once, whatever its directory is called, by another process
// too, and though the file of the lock was read and closed meanwhile.
func TestLockedByAnyName(t *testing.T) {
	base := t.TempDir()
	t.Chdir(base)
	s, err := pebble.Open(t.Context(), "store", nil)
	require.NoError(t, err)
	require.NoError(t, os.Symlink("store", "link"))
	put := func(key string) {
		require.NoError(t, s.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
			return txn.Put([]byte(key), nil)
		}))
	}
	put("a")
	for _, dir := range []string{"store", "./store", "store/", "link", filepath.Join(base, "store"), filepath.Join(base, "link")} {
		_, err := pebble.Open(t.Context(), dir, nil)
		require.ErrorIs(t, err, pebble.ErrLocked, dir)
	}
	_, err = os.ReadFile("store/LOCK")
	require.NoError(t, err)
	requireLockedForOthers(t, filepath.Join(base, "store"))
	put("b")
	require.NoError(t, s.Close())
	for _, dir := range []string{"link", "store"} {
		s, err = pebble.Open(t.Context(), dir, nil)
		require.NoError(t, err)
		for _, key := range []string{"a", "b"} {
			found, err := s.Get(t.Context(), []byte(key), func([]byte) error { return nil })
			require.NoError(t, err)
			require.True(t, found, key)
		}
		require.NoError(t, s.Close())
	}
}

// Damage in the middle of the first log of a store is found, as in any other.
func TestDamagedFirstLog(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "store")
	s, err := pebble.Open(t.Context(), dir, nil)
	require.NoError(t, err)
	defer s.Close()
	for i := range 1000 {
		require.NoError(t, s.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
			return txn.Put([]byte{byte(i >> 8), byte(i)}, make([]byte, 100))
		}))
	}
	crash := filepath.Join(base, "crash")
	require.NoError(t, os.CopyFS(crash, os.DirFS(dir)))
	logs, err := filepath.Glob(filepath.Join(crash, "*.log"))
	require.NoError(t, err)
	damaged := false
	for _, name := range logs {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		if len(data) > 10_000 {
			data[10_000] ^= 1
			require.NoError(t, os.WriteFile(name, data, 0o600))
			damaged = true
		}
	}
	require.True(t, damaged)
	_, err = pebble.Open(t.Context(), crash, nil)
	require.ErrorContains(t, err, "invalid chunk")
}
