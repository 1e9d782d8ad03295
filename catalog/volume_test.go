package catalog_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// volume is a file system of a size, on which a store is all that there is.
type volume struct {
	*vfs.MemFS
	dir  string
	size uint64
}

func (v *volume) used() (n uint64) {
	names, err := v.List(v.dir)
	if err != nil {
		return 0
	}
	for _, name := range names {
		if info, err := v.Stat(v.PathJoin(v.dir, name)); err == nil {
			n += uint64(info.Size())
		}
	}
	return n
}

func (v *volume) GetDiskUsage(string) (vfs.DiskUsage, error) {
	used := v.used()
	return vfs.DiskUsage{AvailBytes: v.size - min(used, v.size), TotalBytes: v.size, UsedBytes: used}, nil
}

// noise is an image that can't be compressed.
func noise(i, size int) []byte {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(i))
	text := make([]byte, size/2)
	_, _ = rand.NewChaCha8(seed).Read(text) // which never fails
	data := pngOf(uint64(i), 8, 8)
	return append(data, hex.AppendEncode(nil, text)...)
}

// TestResumesWhenEmptied: a store that has filled its volume up to the reserve
// takes writes again when enough was deleted, or has expired, without anything
// from outside. It says meanwhile how much there is and how much is needed.
func TestResumesWhenEmptied(t *testing.T) {
	for name, empty := range map[string]func(t *testing.T, c *catalog.Catalog, clock *ttl.ManualClock, n int){
		"deleted": func(t *testing.T, c *catalog.Catalog, _ *ttl.ManualClock, n int) {
			for i := range n {
				admitted(t, func() error { return ignore(c.Delete(t.Context(), acme, fmt.Sprint(i)), catalog.ErrNotFound) })
			}
		},
		"account deleted": func(t *testing.T, c *catalog.Catalog, _ *ttl.ManualClock, n int) {
			admitted(t, func() error { _, err := c.DeleteAccount(t.Context(), acme); return err })
		},
		"expired": func(t *testing.T, c *catalog.Catalog, clock *ttl.ManualClock, _ int) {
			clock.Advance(25 * time.Hour)
			admitted(t, func() error { _, err := c.Sweep(t.Context()); return err })
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := &volume{MemFS: vfs.NewMem(), dir: "db", size: 24 << 20}
			fillAndEmpty(t, &pebble.Options{FS: fs}, fs.dir, empty)
			require.Less(t, fs.used(), fs.size/2)
		})
	}
}

// admitted repeats a call until there is room for it: while Pebble writes files
// anew there may be little.
func admitted(t *testing.T, call func() error) {
	t.Helper()
	require.Eventually(t, func() bool {
		err := call()
		require.True(t, err == nil || errors.Is(err, catalog.ErrUnavailable) && !errors.Is(err, backend.ErrStopped), "%v", err)
		return err == nil
	}, 2*time.Minute, 10*time.Millisecond)
}

func fillAndEmpty(t *testing.T, o *pebble.Options, dir string, empty func(*testing.T, *catalog.Catalog, *ttl.ManualClock, int)) {
	clock := ttl.NewManualClock(epoch)
	b, err := pebble.Open(t.Context(), dir, o)
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), b, &catalog.Options{Clock: clock})
	require.NoError(t, err)
	upsert := func(i int) error {
		_, err := c.Upsert(t.Context(), acme, fmt.Sprint(i), catalog.Patch{
			Images: catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(bytes.NewReader(noise(i, 100_000)))}}), ValidForDays: catalog.Set(1),
		})
		return err
	}
	n := 0
	for ; ; n++ {
		if err = upsert(n); err != nil {
			break
		}
		require.Less(t, n, 10_000)
	}
	var reserve *pebble.ReserveError
	require.ErrorIs(t, err, catalog.ErrUnavailable)
	require.ErrorAs(t, err, &reserve)
	require.Less(t, reserve.Free, reserve.Reserve)
	require.Greater(t, n, 50, "most of the volume")

	empty(t, c, clock, n)
	clock.Advance(time.Hour) // the images' grace
	for range 3 {
		admitted(t, func() error { _, err := c.Sweep(t.Context()); return err })
	}
	again := n
	for range n / 2 { // more than was left, so that much must have been given back
		again++
		admitted(t, func() error { return upsert(again) })
	}
	report, err := c.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	admitted(t, func() error { _, err := c.DeleteAccount(t.Context(), acme); return err })
	clock.Advance(time.Hour)
	admitted(t, func() error { return c.Reclaim(t.Context()) })
	require.NoError(t, c.Close())
}
