package catalog_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// smallDisk is a file system with so much room left.
type smallDisk struct {
	vfs.FS
	free atomic.Int64
}

func (d *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: uint64(max(d.free.Load(), 0)), TotalBytes: 1 << 40}, nil
}

func (d *smallDisk) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return roomyFile{f, d}, nil
}

func (d *smallDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.wrap(d.FS.Create(name, c))
}

func (d *smallDisk) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.wrap(d.FS.ReuseForWrite(oldname, newname, c))
}

type roomyFile struct {
	vfs.File
	disk *smallDisk
}

// Write writes what there is room for, as an operating system does.
func (f roomyFile) Write(p []byte) (int, error) {
	left := f.disk.free.Add(-int64(len(p)))
	if left >= 0 {
		return f.File.Write(p)
	}
	n, err := f.File.Write(p[:max(0, int64(len(p))+left)])
	return n, errors.Join(err, syscall.ENOSPC)
}

func openOnDisk(t *testing.T, disk *smallDisk, reserve int64) *catalog.Catalog {
	t.Helper()
	b, err := pebble.Open(t.Context(), "db", &pebble.Options{FS: disk, CacheSize: 1 << 20, MemTableSize: 256 << 10, DiskReserve: reserve})
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), b, &catalog.Options{Clock: ttl.NewManualClock(epoch)})
	require.NoError(t, err)
	return c
}

const plenty = 1 << 40

// TestOutOfDisk: below the reserve, writes are refused, deletes and reads go
// on, and everything works again when there is room, without a restart.
func TestOutOfDisk(t *testing.T) {
	disk := &smallDisk{FS: vfs.NewMem()}
	disk.free.Store(plenty)
	const reserve = 64 << 20
	c := openOnDisk(t, disk, reserve)
	write := func(id string) error {
		_, err := c.Upsert(t.Context(), acme, id, withImage(catalog.Patch{}))
		return err
	}
	for i := range 3 {
		require.NoError(t, write(fmt.Sprint(i)))
	}
	disk.free.Store(reserve - 1)
	require.Eventually(t, func() bool { return write("refused") != nil }, time.Minute, 10*time.Millisecond)
	require.NoError(t, ignore(c.Delete(t.Context(), acme, "refused"), catalog.ErrNotFound))
	err := write("refused")
	require.ErrorIs(t, err, catalog.ErrUnavailable)
	require.NotErrorIs(t, err, catalog.ErrUnknownOutcome)
	require.ErrorIs(t, c.Ready(), catalog.ErrUnavailable)
	_, err = c.Use(t.Context(), acme, "0")
	require.ErrorIs(t, err, catalog.ErrUnavailable)
	_, err = c.Get(t.Context(), acme, "refused")
	require.ErrorIs(t, err, catalog.ErrNotFound)
	page, err := c.List(t.Context(), acme, catalog.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1", "2"}, ids(page.Products))
	require.NoError(t, c.Delete(t.Context(), acme, "1"), "frees space")
	_, err = c.Sweep(t.Context())
	require.NoError(t, err)

	disk.free.Store(plenty)
	require.Eventually(t, func() bool { return write("again") == nil }, time.Minute, 10*time.Millisecond)
	_, err = c.Use(t.Context(), acme, "0")
	require.NoError(t, err)
	report, err := c.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	require.NoError(t, c.Close())
}

// TestOpenOutOfDisk: a store that exists can be opened below the reserve and
// below what deletes need, to be read and checked, and emptied where that is
// admitted.
func TestOpenOutOfDisk(t *testing.T) {
	const reserve = 64 << 20
	for _, free := range []int64{reserve - 1, reserve/2 - 1, 1 << 20} {
		t.Run(fmt.Sprint(free), func(t *testing.T) {
			disk := &smallDisk{FS: vfs.NewMem()}
			disk.free.Store(plenty)
			c := openOnDisk(t, disk, reserve)
			for i := range 3 {
				_, err := c.Upsert(t.Context(), acme, fmt.Sprint(i), withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
				require.NoError(t, err)
			}
			require.NoError(t, c.Close())

			disk.free.Store(free)
			c = openOnDisk(t, disk, reserve)
			page, err := c.List(t.Context(), acme, catalog.ListOptions{})
			require.NoError(t, err)
			require.Equal(t, []string{"0", "1", "2"}, ids(page.Products))
			report, err := c.Check(t.Context())
			require.NoError(t, err)
			require.Empty(t, report.Problems)
			_, err = c.Upsert(t.Context(), acme, "refused", withImage(catalog.Patch{}))
			require.ErrorIs(t, err, catalog.ErrUnavailable)
			err = c.Delete(t.Context(), acme, "1")
			if free > 1<<20 {
				require.NoError(t, err, "frees space")
			} else {
				require.ErrorIs(t, err, catalog.ErrUnavailable)
			}
			require.NoError(t, c.Close())

			// One that is new can't be made.
			b, err := pebble.Open(t.Context(), "other", &pebble.Options{FS: disk, DiskReserve: reserve})
			require.NoError(t, err)
			_, err = catalog.Open(t.Context(), b, nil)
			require.ErrorIs(t, err, catalog.ErrUnavailable)
			require.NoError(t, b.Close())
		})
	}
}

// TestOutOfUnwatchedDisk: a disk that is full in the middle of a write stops
// the store, which heals by itself when there is room again.
func TestOutOfUnwatchedDisk(t *testing.T) {
	for room := int64(10_000); room < 2<<20; room = room*3/2 + 1 {
		synctest.Test(t, func(t *testing.T) { testOutOfUnwatchedDisk(t, room) })
	}
}

func testOutOfUnwatchedDisk(t *testing.T, room int64) {
	disk := &smallDisk{FS: vfs.NewMem()}
	disk.free.Store(plenty)
	c := openOnDisk(t, disk, -1)
	disk.free.Store(room)
	acked, unsure := 0, false
	for {
		_, err := c.Upsert(t.Context(), acme, fmt.Sprintf("%06d", acked), catalog.Patch{Images: imagesOf(pngOf(uint64(acked), 40, 40))})
		if err == nil {
			acked++
			continue
		}
		unsure = errors.Is(err, catalog.ErrUnknownOutcome)
		require.True(t, unsure || errors.Is(err, catalog.ErrUnavailable), "%v", err)
		break
	}
	requireThere := func() {
		var found []string
		for p, err := range c.All(t.Context(), acme, catalog.AllOptions{}) {
			require.NoError(t, err)
			found = append(found, p.ExternalID)
		}
		want := []string{}
		for i := range acked {
			want = append(want, fmt.Sprintf("%06d", i))
		}
		require.Equal(t, want, append([]string{}, found[:acked]...))
		require.True(t, len(found) == acked || unsure && len(found) == acked+1)
	}
	disk.free.Store(plenty)
	awaitHealed(t, c)
	requireThere()
	require.NoError(t, c.Close())

	c = openOnDisk(t, disk, -1)
	requireThere()
	_, err := c.Upsert(t.Context(), acme, "x", withImage(catalog.Patch{}))
	require.NoError(t, err)
	report, err := c.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	require.NoError(t, c.Close())
}
