package pebble_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
)

// markers looks at how markers are made: what preceded each, and what a crash
// right behind it leaves.
type markers struct {
	disk *vfs.MemFS
	rng  *rand.Rand

	mu       sync.Mutex // guards the rest
	last     errorfs.Op // that changed something
	unsynced []string   // markers that were not made behind a sync of their directory
	crashes  []*vfs.MemFS
}

func isMarker(op errorfs.Op) bool {
	return op.Kind == errorfs.OpCreate && strings.Contains(op.Path, "/marker.")
}

func (m *markers) String() string { return "markers" }

func (m *markers) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if isMarker(op) && !(m.last.Path == dir && slices.Contains(syncs, m.last.Kind)) {
		m.unsynced = append(m.unsynced, op.Path)
	}
	if isMarker(m.last) {
		m.crashes = append(m.crashes, m.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: m.rng}))
	}
	m.last = op
	return nil
}

// TestMarkersFollowTheirFiles: a marker is made when the name of the file that
// it points to is durable, so that a crash which keeps some of what was not
// synced can't keep the marker alone.
func TestMarkersFollowTheirFiles(t *testing.T) {
	rng := newRand(t)
	for range 20 {
		disk := vfs.NewCrashableMem()
		acked := false
		for range 2 { // the store's creation, and a later opening
			m := &markers{disk: disk, rng: rng}
			s := open(t, errorfs.Wrap(disk, m))
			m.mu.Lock()
			require.Empty(t, m.unsynced, "made before the directory was synced")
			require.NotEmpty(t, m.crashes)
			crashes := m.crashes
			m.mu.Unlock()
			for n, crashed := range crashes {
				after, err := pebble.Open(t.Context(), dir, options(crashed))
				require.NoError(t, err, "after marker %d", n)
				if acked {
					require.True(t, has(t, after, 0, 0))
				}
				require.NoError(t, after.Close())
			}
			require.NoError(t, put(t.Context(), s, 0, 0, backend.UpdateOptions{}))
			require.NoError(t, s.Close())
			acked = true
		}
	}
}
