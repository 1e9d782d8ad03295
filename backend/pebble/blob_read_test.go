package pebble

import (
	"context"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// TestUnreadableSeparatedValue: a value that is stored apart from its key and
// can't be fetched is an error, not an empty value, for every kind of read.
func TestUnreadableSeparatedValue(t *testing.T) {
	mem := vfs.NewMem()
	s := openSeparated(t, mem)
	require.NoError(t, putSeparated(t.Context(), s, 0))
	require.NoError(t, s.Close())

	var fail atomic.Bool
	s = openSeparated(t, errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if fail.Load() && strings.HasSuffix(op.Path, ".blob") && op.Kind.ReadOrWrite() == errorfs.OpIsRead {
			return syscall.EIO
		}
		return nil
	})))
	snapshot, err := s.Snapshot(t.Context())
	require.NoError(t, err)
	fail.Store(true)
	key := separatedKey(0, 0)
	never := func([]byte) error { t.Error("called with a value"); return nil }
	readers := map[string]func(func(backend.Reader) error) error{
		"store":    func(read func(backend.Reader) error) error { return read(s) },
		"snapshot": func(read func(backend.Reader) error) error { return read(snapshot) },
		"update": func(read func(backend.Reader) error) error {
			return s.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error { return read(x) })
		},
	}
	for name, with := range readers {
		require.ErrorIs(t, with(func(r backend.Reader) error {
			_, err := r.Get(t.Context(), key, never)
			return err
		}), syscall.EIO, name)
		require.ErrorIs(t, with(func(r backend.Reader) error {
			return r.GetMany(t.Context(), [][]byte{key, separatedKey(0, 1)}, func(int, []byte) error { return never(nil) })
		}), syscall.EIO, name)
		require.ErrorIs(t, with(func(r backend.Reader) error {
			for _, err := range r.Scan(t.Context(), backend.Range{}, backend.ScanOptions{}) {
				if err != nil {
					return err
				}
			}
			return nil
		}), syscall.EIO, name)
	}
	require.NoError(t, snapshot.Close())

	// The disk works again: so does the store.
	fail.Store(false)
	requireSeparated(t, s, 1)
	require.NoError(t, s.Close())
}
