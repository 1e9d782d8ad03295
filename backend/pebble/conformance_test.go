package pebble_test

import (
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/pebble"
)

func TestBackend(t *testing.T) { testBackend(t, false) }

// TestBackendInBulk has Updates of any size be ingested.
func TestBackendInBulk(t *testing.T) { testBackend(t, true) }

func testBackend(t *testing.T, bulk bool) {
	type disk struct {
		*vfs.MemFS
		full  atomic.Bool
		ticks chan time.Time
	}
	var mu sync.Mutex
	disks := map[backend.Backend]*disk{}
	on := func(t *testing.T, fs *vfs.MemFS) backend.Backend {
		d := &disk{MemFS: fs, ticks: make(chan time.Time)}
		o := options(pebble.ReusingFS{FS: errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if d.full.Load() && op.Kind == errorfs.OpFileWrite {
				return syscall.ENOSPC
			}
			return nil
		}))})
		o.SetTick(d.ticks)
		s, err := pebble.Open(t.Context(), dir, o)
		require.NoError(t, err)
		mu.Lock()
		defer mu.Unlock()
		disks[s] = d
		return s
	}
	diskOf := func(b backend.Backend) *disk {
		mu.Lock()
		defer mu.Unlock()
		return disks[b]
	}
	backendtest.Run(t, backendtest.Harness{
		Open: func(t *testing.T) backend.Backend { return on(t, vfs.NewCrashableMem()) },
		Reopen: func(t *testing.T, b backend.Backend) backend.Backend {
			require.NoError(t, b.Close())
			return on(t, diskOf(b).MemFS)
		},
		Crash: func(t *testing.T, b backend.Backend) backend.Backend {
			after := diskOf(b).CrashClone(vfs.CrashCloneCfg{})
			require.NoError(t, b.Close())
			return on(t, after)
		},
		Heal: func(t *testing.T, b backend.Backend) {
			d, before := diskOf(b), backend.Generation(b)
			d.full.Store(true)
			for n := 0; b.Ready() == nil; n++ {
				if err := put(t.Context(), b, 0, n, backend.UpdateOptions{}); err == nil {
					t.Error("it writes to a full disk")
				}
			}
			d.full.Store(false)
			for backend.Generation(b) == before || b.Ready() != nil {
				d.ticks <- time.Time{}
			}
		},
		Bulk:       bulk,
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
