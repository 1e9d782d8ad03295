package pebble_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
)

// mount mounts something on a new directory, for as long as the test runs. Where
// that is not allowed the test is skipped; with SHELFLIFE_TEST_MOUNTS, as in CI,
// it fails.
func mount(t *testing.T, source, kind string, flags uintptr, data string) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "volume")
	require.NoError(t, os.Mkdir(at, 0o700))
	err := unix.Mount(source, at, kind, flags, data)
	if errors.Is(err, os.ErrPermission) && os.Getenv("SHELFLIFE_TEST_MOUNTS") == "" {
		t.Skip("needs to be allowed to mount: run as root, as CI does")
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Unmount(at, unix.MNT_DETACH)) })
	return at
}

// TestReadOnlyMount: a store on a volume that is mounted read-only is read,
// whether that was asked for or not.
func TestReadOnlyMount(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	before := onDisk(t, path)
	at := mount(t, path, "", unix.MS_BIND, "")
	require.NoError(t, unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	for _, o := range []*pebble.Options{{ReadOnly: true}, nil, {MustExist: true}} {
		s, err := pebble.Open(t.Context(), at, o)
		require.NoError(t, err)
		var because error = syscall.EROFS
		if o != nil && o.ReadOnly {
			because = nil
		}
		requireReads(t, s, because)
	}
	require.Equal(t, before, contents(t, vfs.Default, path))
}

// TestFullVolume: with no byte left a store is read, and can be written as soon
// as there is room.
func TestFullVolume(t *testing.T) {
	at := mount(t, "tmpfs", "tmpfs", 0, "size=8m,mode=0700")
	path := filepath.Join(at, "store")
	before := onDisk(t, path)
	fill, err := os.Create(filepath.Join(at, "fill"))
	require.NoError(t, err)
	for size := 64 << 10; size > 0; {
		if _, err := fill.Write(bytes.Repeat([]byte("x"), size)); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			size /= 2
		}
	}
	require.NoError(t, fill.Close())

	small := func() *pebble.Options {
		return &pebble.Options{MemTableSize: 256 << 10, CacheSize: 2 << 20, DiskReserve: -1}
	}
	o := small()
	o.ReadOnly = true
	s, err := pebble.Open(t.Context(), path, o)
	require.NoError(t, err)
	requireReads(t, s, nil)
	require.Equal(t, before, contents(t, vfs.Default, path))

	s, err = pebble.Open(t.Context(), path, small())
	require.NoError(t, err)
	requireReads(t, s, syscall.ENOSPC)
	require.NoError(t, os.Remove(fill.Name()))
	s, err = pebble.Open(t.Context(), path, small())
	require.NoError(t, err)
	require.True(t, has(t, s, 1, 99))
	require.NoError(t, put(t.Context(), s, 2, 0, backend.UpdateOptions{}))
	require.NoError(t, s.Close())
}
