package pebble

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// openFilesFS counts the tables and blob files that are open for reading.
type openFilesFS struct {
	vfs.FS
	open atomic.Int64
}

type countedFile struct {
	vfs.File
	fs   *openFilesFS
	once sync.Once
}

func (f *openFilesFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, opts...)
	if err != nil || !strings.HasSuffix(name, ".sst") && !strings.HasSuffix(name, ".blob") {
		return file, err
	}
	f.open.Add(1)
	return &countedFile{File: file, fs: f}, nil
}

func (f *countedFile) Close() error {
	f.once.Do(func() { f.fs.open.Add(-1) })
	return f.File.Close()
}

func sharedValue(store, i int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%d/%d;", store, i), 5000) // a blob file's
}

// openSharing opens n stores with values in tables and blob files.
func openSharing(t *testing.T, fs vfs.FS, r *Resources, n int) (stores []*Store) {
	t.Helper()
	for i := range n {
		s, err := Open(t.Context(), fmt.Sprint("tenant", i), &Options{FS: fs, Resources: r, DiskReserve: -1})
		require.NoError(t, err)
		stores = append(stores, s)
		for k := range 3 {
			require.NoError(t, s.Update(t.Context(), []backend.Scope{{Group: "g"}}, backend.UpdateOptions{Buffered: true}, func(_ context.Context, x backend.Txn) error {
				return x.Put(fmt.Append(nil, k), sharedValue(i, k))
			}))
		}
		require.NoError(t, s.turn.Load().db.Flush())
	}
	return stores
}

func requireShared(t *testing.T, s *Store, i int) {
	t.Helper()
	for k := range 3 {
		found, err := s.Get(t.Context(), fmt.Append(nil, k), func(v []byte) error {
			require.True(t, bytes.Equal(sharedValue(i, k), v), "that of store %d", i)
			return nil
		})
		require.NoError(t, err)
		require.True(t, found)
	}
}

// TestStoresShareResources: what one store reads takes room in the cache of all,
// and no store reads another's blocks, though their files have the same numbers.
func TestStoresShareResources(t *testing.T) {
	r, err := NewResources(nil)
	require.NoError(t, err)
	stores := openSharing(t, vfs.NewMem(), r, 4)
	before := stores[0].Metrics().BlockCache.Size
	for i, s := range stores {
		requireShared(t, s, i)
		require.Equal(t, r.cache.Size(), s.Metrics().BlockCache.Size)
	}
	require.Greater(t, stores[0].Metrics().BlockCache.Size, before+4*3*20_000)
	for _, s := range stores {
		require.NoError(t, s.Close())
	}
	require.NoError(t, r.Close())
}

// TestOpenFilesOfAllStores: the budget of open files holds for all stores
// together, and each goes on reading all of its own.
func TestOpenFilesOfAllStores(t *testing.T) {
	const budget, n = 16, 40
	fs := &openFilesFS{FS: vfs.NewMem()}
	r, err := NewResources(&ResourcesOptions{CacheSize: 1 << 20, MaxOpenFiles: budget})
	require.NoError(t, err)
	stores := openSharing(t, fs, r, n)
	for range 2 {
		for i, s := range stores {
			requireShared(t, s, i)
		}
	}
	// Those that made place for others are closed by a goroutine of Pebble.
	require.Eventually(t, func() bool { return fs.open.Load() <= budget }, time.Minute, time.Millisecond)
	require.Greater(t, fs.open.Load(), int64(budget/2), "they are kept open")
	for _, s := range stores {
		require.NoError(t, s.Close())
	}
	require.NoError(t, r.Close())
	require.Zero(t, fs.open.Load())
}

// TestResourcesAreClosedInAnyOrder: a store that is closed leaves the others what
// they share, and so do the resources.
func TestResourcesAreClosedInAnyOrder(t *testing.T) {
	fs := &openFilesFS{FS: vfs.NewMem()}
	r, err := NewResources(nil)
	require.NoError(t, err)
	stores := openSharing(t, fs, r, 3)
	require.NoError(t, stores[0].Close())
	requireShared(t, stores[1], 1)
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())
	requireShared(t, stores[1], 1)
	require.NoError(t, stores[1].Close())
	requireShared(t, stores[2], 2)

	_, err = Open(t.Context(), "late", &Options{FS: fs, Resources: r})
	require.ErrorIs(t, err, errResourcesClosed)
	_, err = fs.Stat("late")
	require.Error(t, err, "nothing is made")
	require.NoError(t, stores[2].Close())
	require.Zero(t, fs.open.Load())
}

// TestResourcesOfStoresThatDoNotOpen: a failed Open leaves nothing counted in.
func TestResourcesOfStoresThatDoNotOpen(t *testing.T) {
	r, err := NewResources(nil)
	require.NoError(t, err)
	_, err = Open(t.Context(), "none", &Options{FS: vfs.NewMem(), Resources: r, MustExist: true})
	require.ErrorIs(t, err, ErrNoStore)
	require.Zero(t, r.stores)
	require.NoError(t, r.Close())
}

func TestResourcesOptions(t *testing.T) {
	for name, o := range map[string]ResourcesOptions{
		"small cache":    {CacheSize: 1},
		"negative cache": {CacheSize: -1},
		"few files":      {MaxOpenFiles: 15},
		"negative files": {MaxOpenFiles: -1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewResources(&o)
			require.ErrorContains(t, err, "ResourcesOptions.")
		})
	}
	r, err := NewResources(&ResourcesOptions{CacheSize: 1 << 20})
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	for name, o := range map[string]Options{
		"CacheSize":    {CacheSize: 1 << 30},
		"MaxOpenFiles": {MaxOpenFiles: 100},
		"MemTableSize": {MemTableSize: 1 << 20}, // more than a third of the cache
	} {
		o.Resources = r
		_, err := o.withDefaults()
		require.ErrorContains(t, err, name)
	}
	o, err := (&Options{Resources: r}).withDefaults()
	require.NoError(t, err)
	require.EqualValues(t, minMemTableSize, o.MemTableSize)
}
