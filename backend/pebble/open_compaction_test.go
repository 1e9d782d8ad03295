package pebble

import (
	"context"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// noCompactions is a file system with no room for what compactions write, nor for
// the options that Pebble writes when it opens.
type noCompactions struct {
	vfs.FS
	on, options atomic.Bool
}

// Create implements vfs.FS.
func (f *noCompactions) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if f.options.Load() && strings.HasSuffix(name, ".dbtmp") {
		return nil, syscall.ENOSPC
	}
	if f.on.Load() && c == "pebble-compaction" && strings.HasSuffix(name, ".sst") {
		return nil, syscall.ENOSPC
	}
	return f.FS.Create(name, c)
}

// TestOpenWithoutRoomForCompactions: Open ends on a full disk, though Pebble begins
// compactions while it recovers, and waits for them.
func TestOpenWithoutRoomForCompactions(t *testing.T) {
	mem := vfs.NewCrashableMem()
	disk := &noCompactions{FS: mem}
	disk.on.Store(true)
	ticks := make(chan time.Time)
	o := &Options{FS: disk, MemTableSize: minMemTableSize, CacheSize: 4 << 20, tick: ticks}
	s, err := Open(t.Context(), "d", o)
	require.NoError(t, err)
	overwrite := func() {
		require.NoError(t, s.Update(t.Context(), []backend.Scope{{Group: "g"}}, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
			for n := range 10 {
				if err := x.Put(healKey(0, n), make([]byte, 100)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	for range 10 { // overlapping tables
		overwrite()
		require.NoError(t, s.turn.Load().flush())
	}
	overwrite() // for recovery to write out
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, s.Close())

	disk = &noCompactions{FS: crashed}
	disk.on.Store(true)
	disk.options.Store(true)
	o.FS = disk
	s, err = Open(t.Context(), "d", o)
	require.NoError(t, err)
	require.ErrorIs(t, s.Ready(), syscall.ENOSPC)
	require.True(t, s.Properties().ReadOnly)
	require.Equal(t, 10, countOf(t, s, 0))
	require.NoError(t, s.Close())

	disk.options.Store(false)
	s, err = Open(t.Context(), "d", o)
	require.NoError(t, err)
	require.NoError(t, s.Ready())
	disk.on.Store(false)
	ticks <- time.Unix(1e9, 0)
	require.Equal(t, 10, countOf(t, s, 0))
	require.NoError(t, s.Close())
}
