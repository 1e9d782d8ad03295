package pebble_test

import (
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/pebble"
)

func TestBackend(t *testing.T) {
	var mu sync.Mutex
	disks := map[backend.Backend]*vfs.MemFS{}
	on := func(t *testing.T, fs *vfs.MemFS) backend.Backend {
		s := open(t, fs)
		mu.Lock()
		defer mu.Unlock()
		disks[s] = fs
		return s
	}
	disk := func(b backend.Backend) *vfs.MemFS {
		mu.Lock()
		defer mu.Unlock()
		return disks[b]
	}
	backendtest.Run(t, backendtest.Harness{
		Open: func(t *testing.T) backend.Backend { return on(t, vfs.NewCrashableMem()) },
		Reopen: func(t *testing.T, b backend.Backend) backend.Backend {
			require.NoError(t, b.Close())
			return on(t, disk(b))
		},
		Crash: func(t *testing.T, b backend.Backend) backend.Backend {
			after := disk(b).CrashClone(vfs.CrashCloneCfg{})
			require.NoError(t, b.Close())
			return on(t, after)
		},
		Exceptions: []backendtest.Exception{backendtest.SingleHandle, backendtest.NoStall},
		Seed:       *seedFlag,
	})
}

func BenchmarkBackend(b *testing.B) {
	backendtest.Benchmark(b, func(b *testing.B) backend.Backend {
		s, err := pebble.Open(b.Context(), b.TempDir(), nil)
		require.NoError(b, err)
		return s
	})
}
