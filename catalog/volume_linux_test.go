package catalog_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// TestResumesOnARealVolume is TestResumesWhenEmptied on a file system of the
// operating system's.
func TestResumesOnARealVolume(t *testing.T) {
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("no volume can be mounted: %v", err)
	}
	defer func() { require.NoError(t, syscall.Unmount(mount, 0)) }()
	fillAndEmpty(t, &pebble.Options{}, filepath.Join(mount, "db"), func(t *testing.T, c *catalog.Catalog, _ *ttl.ManualClock, _ int) {
		admitted(t, func() error { _, err := c.DeleteAccount(t.Context(), acme); return err })
	})
}
