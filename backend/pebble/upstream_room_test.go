package pebble

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// For reclaimer.force: a compaction that is asked for leaves a table in the lowest
// level as it is, although it holds what was deleted.
func TestPebbleLeavesTheLowestTables(t *testing.T) {
	mem := vfs.NewMem()
	o, err := (&Options{MemTableSize: minMemTableSize, FS: mem}).withDefaults()
	require.NoError(t, err)
	e := engineOptions(o)
	e.FS, e.Logger, e.DisableAutomaticCompactions = mem, bareLogger{}, true
	db, err := crdb.Open("d", e)
	require.NoError(t, err)
	everything := func() { require.NoError(t, db.Compact(t.Context(), []byte("0"), []byte("9"), false)) }
	secret := []byte("secret")
	for i := range 100 {
		require.NoError(t, db.Set(fmt.Append(nil, i), secret, crdb.NoSync))
	}
	require.NoError(t, db.Flush())
	everything()
	snap := db.NewSnapshot()
	for i := range 10 {
		require.NoError(t, db.Delete(fmt.Append(nil, i), crdb.NoSync))
	}
	require.NoError(t, db.Flush())
	everything()
	require.NoError(t, snap.Close())
	everything()
	levels, err := db.SSTables(crdb.WithProperties())
	require.NoError(t, err)
	held := uint64(0)
	for _, table := range levels[len(levels)-1] {
		held += table.Properties.NumDeletions
	}
	require.EqualValues(t, 10, held)
	require.NoError(t, db.Close())
}

// For reclaimer.wake, and for blobRewrites: Pebble writes files of separated values
// anew by a share of garbage that it is told, and where that has changed does
// nothing until something else happens.
func TestPebbleSleepsOnGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		o, err := (&Options{MemTableSize: minMemTableSize, FS: mem}).withDefaults()
		require.NoError(t, err)
		e := engineOptions(o)
		e.FS, e.Logger = mem, bareLogger{}
		var all atomic.Bool
		var rewritten atomic.Int32
		e.Experimental.ValueSeparationPolicy = func() crdb.ValueSeparationPolicy {
			p := alwaysOld()
			if p.TargetGarbageRatio = 1; all.Load() {
				p.TargetGarbageRatio = 0
			}
			return p
		}
		e.EventListener = &crdb.EventListener{BlobFileRewriteEnd: func(crdb.BlobFileRewriteInfo) { rewritten.Add(1) }}
		db, err := crdb.Open("d", e)
		require.NoError(t, err)
		for round := range 4 {
			for i := range separated {
				require.NoError(t, db.Set(separatedKey(round, i), separatedValue(round, i), crdb.NoSync))
			}
		}
		require.NoError(t, db.Flush())
		deleteBare(t, db, 2, 4)
		synctest.Wait()
		m := db.Metrics()
		require.Greater(t, m.BlobFiles.ValueSize, m.BlobFiles.ReferencedValueSize, "garbage")
		all.Store(true)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Zero(t, rewritten.Load(), "it looks by itself")
		require.NoError(t, db.NewSnapshot().Close())
		time.Sleep(time.Second)
		synctest.Wait()
		require.Positive(t, rewritten.Load())
		require.NoError(t, db.Close())
	})
}

// For diskguard's logs: Pebble keeps logs that it needs no more, with what is in
// them.
func TestPebbleKeepsLogs(t *testing.T) {
	mem := vfs.NewMem()
	db, err := openBare(t, mem)
	require.NoError(t, err)
	require.NoError(t, db.Flush()) // the first log is not kept
	secret := []byte("a secret that was deleted")
	require.NoError(t, db.Set([]byte("k"), secret, crdb.Sync))
	require.NoError(t, db.Delete([]byte("k"), crdb.Sync))
	require.NoError(t, db.Flush())
	names, err := mem.List("d")
	require.NoError(t, err)
	found := 0
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		f, err := mem.Open(mem.PathJoin("d", name))
		require.NoError(t, err)
		content, err := io.ReadAll(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		if bytes.Contains(content, secret) {
			found++
		}
	}
	require.Positive(t, found)
	require.NoError(t, db.Close())
}

// preallocatedFS notes how much room is asked for logs at a time.
type preallocatedFS struct {
	vfs.FS
	most atomic.Int64
}

type preallocatedFile struct {
	vfs.File
	fs *preallocatedFS
}

func (f *preallocatedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	if err == nil && strings.HasSuffix(name, ".log") {
		file = &preallocatedFile{file, f}
	}
	return file, err
}

func (f *preallocatedFile) Preallocate(offset, length int64) error {
	f.fs.most.Store(max(length, f.fs.most.Load()))
	return nil
}

// For diskguard's logRoom: Pebble has more than a memtable's room given to a log
// in which there is hardly anything.
func TestPebblePreallocatesLogs(t *testing.T) {
	fs := &preallocatedFS{FS: vfs.Default} // it asks no other
	o, err := (&Options{MemTableSize: 64 << 20, FS: fs}).withDefaults()
	require.NoError(t, err)
	e := engineOptions(o)
	e.FS, e.Logger = fs, bareLogger{}
	db, err := crdb.Open(t.TempDir(), e)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, db.Set([]byte("k"), nil, crdb.Sync))
	}
	require.Greater(t, fs.most.Load(), int64(o.MemTableSize))
	require.NoError(t, db.Close())
}
