package pebble

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// blobFiles returns the paths of a store's files of separated values.
func blobFiles(t *testing.T, fs vfs.FS) (paths []string) {
	names, err := fs.List("d")
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, ".blob") {
			paths = append(paths, fs.PathJoin("d", name))
		}
	}
	require.NotEmpty(t, paths)
	return paths
}

// rewrite puts what change makes of a file's bytes into it.
func rewrite(t *testing.T, fs vfs.FS, path string, change func([]byte) []byte) {
	f, err := fs.Open(path)
	require.NoError(t, err)
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	f, err = fs.Create(path, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write(change(bytes.Clone(data)))
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// footerDamage is what can be wrong with the end of a file.
var footerDamage = map[string]func([]byte) []byte{
	"cut off": func(b []byte) []byte { return b[:len(b)-1] },
	"empty":   func(b []byte) []byte { return b[:0] },
	"bit":     func(b []byte) []byte { b[len(b)-20] ^= 1; return b },
}

// damageValues changes bits of the values in a blob file, not of its footer.
func damageValues(data []byte) []byte {
	const footer = 38
	for i := 50; i < len(data)-footer; i += 50 {
		data[i] ^= 4
	}
	return data
}

// TestDamagedBlobFile: reading from a file without a sound footer is an error
// that names the file.
func TestDamagedBlobFile(t *testing.T) {
	for name, damage := range footerDamage {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := openSeparated(t, fs)
			require.NoError(t, putSeparated(t.Context(), s, 0))
			require.NoError(t, s.Close())
			path := blobFiles(t, fs)[0]
			rewrite(t, fs, path, damage)

			s = openSeparated(t, fs)
			_, err := s.Get(t.Context(), separatedKey(0, 1), func([]byte) error { t.Error("called"); return nil })
			require.ErrorContains(t, err, path)
			for _, err = range s.Scan(t.Context(), backend.Range{}, backend.ScanOptions{}) {
			}
			require.ErrorContains(t, err, path)
			require.NoError(t, s.Ready())
			require.NoError(t, putSeparated(t.Context(), s, 1))
			require.NoError(t, s.Close())
		})
	}
}

// TestDamagedBlobFileInRewrite: a file that Pebble would write anew, for much
// of it is deleted, is damaged. Once that is known Pebble leaves it alone.
func TestDamagedBlobFileInRewrite(t *testing.T) {
	for name, damage := range footerDamage {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fs := vfs.NewMem()
				s := openSeparated(t, fs)
				const rounds, kept = 4, 2
				fillSeparated(t, s, rounds)
				require.NoError(t, s.Close())
				for _, path := range blobFiles(t, fs) {
					rewrite(t, fs, path, damage)
				}

				s = openSeparated(t, fs)
				_, err := s.Get(t.Context(), separatedKey(0, 1), func([]byte) error { return nil })
				require.Error(t, err)
				deleteSeparated(t, s, kept, rounds)
				require.NoError(t, s.turn.Load().db.Flush())
				_ = s.turn.Load().db.Compact(t.Context(), []byte("0"), []byte("9"), false)
				time.Sleep(time.Hour) // of the bubble: only an old file is written anew
				require.NoError(t, s.turn.Load().db.Set([]byte("z"), nil, nil))
				require.NoError(t, s.turn.Load().db.Flush())
				synctest.Wait()
				require.NoError(t, s.Ready())
				require.NoError(t, s.Close())
			})
		})
	}
}

// TestMissingManifestMarker: without it Pebble would take the store for a new
// one and remove its tables.
func TestMissingManifestMarker(t *testing.T) {
	fs := vfs.NewMem()
	s := openSeparated(t, fs)
	require.NoError(t, putSeparated(t.Context(), s, 0))
	require.NoError(t, s.Close())
	names, err := fs.List("d")
	require.NoError(t, err)
	var marker string
	for _, name := range names {
		if strings.HasPrefix(name, "marker.manifest.") {
			marker = fs.PathJoin("d", name)
		}
	}
	require.NoError(t, fs.Remove(marker))
	for range 2 {
		_, err = Open(t.Context(), "d", &Options{FS: fs})
		require.ErrorContains(t, err, "marker.manifest")
	}
	f, err := fs.Create(marker, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	s = openSeparated(t, fs)
	requireSeparated(t, s, 1)
	require.NoError(t, s.Close())
}

// TestDamagedValuesInRewrite: bits of the values themselves have changed in
// files that Pebble writes anew. It would panic; so its goroutine is kept, and
// the rest of the store goes on.
func TestDamagedValuesInRewrite(t *testing.T) {
	fs := vfs.NewMem()
	s := openSeparated(t, fs)
	const rounds, kept = 4, 2
	fillSeparated(t, s, rounds)
	require.NoError(t, s.Close())
	for _, path := range blobFiles(t, fs) {
		rewrite(t, fs, path, damageValues)
	}

	s, err := Open(t.Context(), "d", &Options{FS: fs, MemTableSize: 4 << 20, tick: make(chan time.Time)})
	require.NoError(t, err)
	s.turn.Load().blobs.aim(garbageShare, false)
	deleteSeparated(t, s, kept, rounds)
	compactSeparated(t, s)
	<-s.turn.Load().guard.Parking()

	require.NoError(t, s.Ready())
	_, err = s.Get(t.Context(), separatedKey(0, 1), func([]byte) error { return nil })
	require.Error(t, err)
	for n := range 5 {
		require.NoError(t, s.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
			return x.Put([]byte("z"), []byte{byte(n)})
		}))
		require.NoError(t, s.turn.Load().db.Flush())
	}
	require.NoError(t, s.turn.Load().db.Compact(t.Context(), []byte("y"), []byte("zz"), false), "others are compacted")
	err = s.Close()
	require.ErrorIs(t, err, backend.ErrUnavailable)
	require.ErrorContains(t, err, "can't be written anew")

	s = openSeparated(t, fs)
	found, err := s.Get(t.Context(), []byte("z"), func(v []byte) error { require.Equal(t, []byte{4}, v); return nil })
	require.NoError(t, err)
	require.True(t, found)
	require.NoError(t, s.Close())
}
