package pebble_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
)

// loadOp has fn see the operations on tables that are about to be ingested, before
// they are done.
func loadOp(fs vfs.FS, fn func(op errorfs.Op) error) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !strings.Contains(op.Path, "loads/") {
			return nil
		}
		return fn(op)
	}))
}

// bulkPut puts n keys of a group in bulk, in two regions.
func bulkPut(ctx context.Context, s backend.Backend, group string, n int) error {
	o := backend.UpdateOptions{Buffered: true, Bulk: true}
	return s.Update(ctx, []backend.Scope{{Group: group}}, o, func(_ context.Context, t backend.Txn) error {
		for _, region := range "ab" {
			for i := range n {
				if err := t.Put(fmt.Appendf(nil, "%c/%s/%05d", region, group, i), []byte(group)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// requireGroup checks that all of what bulkPut has put is there, or nothing of it.
func requireGroup(t *testing.T, s backend.Backend, group string, n int) {
	t.Helper()
	for _, region := range "ab" {
		found := 0
		prefix := fmt.Sprintf("%c/%s/", region, group)
		for e, err := range s.Scan(t.Context(), backend.Range{Start: []byte(prefix), End: []byte(prefix + "\xff")}, backend.ScanOptions{}) {
			require.NoError(t, err)
			require.Equal(t, group, string(e.Value))
			found++
		}
		require.Equal(t, n, found, prefix)
	}
}

func loadsLeft(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	names, err := fs.List(fs.PathJoin(dir, "loads"))
	if err != nil {
		return nil // there is no such directory
	}
	return names
}

// What is committed in bulk is ingested, and durable at once, though it is Buffered.
func TestBulkIsIngested(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s, err := pebble.Open(t.Context(), dir, options(pebble.ReusingFS{FS: fs}))
	require.NoError(t, err)
	before := s.Metrics()
	require.NoError(t, bulkPut(t.Context(), s, "g", 1000))
	after := s.Metrics()
	require.Equal(t, uint64(1), after.Ingest.Count-before.Ingest.Count)
	require.Less(t, after.WAL.BytesIn-before.WAL.BytesIn, uint64(1000))
	require.Empty(t, loadsLeft(t, fs))
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, s.Close())
	s, err = pebble.Open(t.Context(), dir, options(pebble.ReusingFS{FS: crashed}))
	require.NoError(t, err)
	requireGroup(t, s, "g", 1000)
	require.NoError(t, s.Close())
}

// Keys come in any order, and the last value of each counts.
func TestBulkInAnyOrder(t *testing.T) {
	s, err := pebble.Open(t.Context(), dir, options(pebble.ReusingFS{FS: vfs.NewMem()}))
	require.NoError(t, err)
	want := map[string]string{}
	rng := newRand(t)
	err = s.Update(t.Context(), []backend.Scope{{Group: "g"}}, backend.UpdateOptions{Bulk: true}, func(ctx context.Context, x backend.Txn) error {
		for i := range 2000 {
			k, v := fmt.Sprintf("%c%03d", 'a'+rng.IntN(3), rng.IntN(300)), fmt.Sprint(i)
			want[k] = v
			if err := x.Put([]byte(k), []byte(v)); err != nil {
				return err
			}
			if i%100 == 0 { // it sees what it has written
				_, err := x.Get(ctx, []byte(k), func(got []byte) error {
					require.Equal(t, v, string(got))
					return nil
				})
				require.NoError(t, err)
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, uint64(1), s.Metrics().Ingest.Count)
	got := map[string]string{}
	for e, err := range s.Scan(t.Context(), backend.Range{}, backend.ScanOptions{}) {
		require.NoError(t, err)
		got[string(e.Key)] = string(e.Value)
	}
	require.Equal(t, want, got)
	require.NoError(t, s.Close())
}

// TestBulkOfManyTables: a region of megabytes is several tables, written at once, and
// they hold each key once.
func TestBulkOfManyTables(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	var begun atomic.Int64
	fs := loadOp(vfs.NewMem(), func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate {
			begun.Add(1)
		}
		return nil
	})
	s, err := pebble.Open(t.Context(), dir, options(pebble.ReusingFS{FS: fs}))
	require.NoError(t, err)
	rng := newRand(t)
	filler := strings.Repeat("v", 1000)
	for round, size := range []int{500, 900, 1200, 2000, 4000, 6000, 9001} { // of a megabyte and more
		want := map[string]string{}
		begun.Store(0)
		group := fmt.Sprint("g", round)
		err = s.Update(t.Context(), []backend.Scope{{Group: group}}, backend.UpdateOptions{Bulk: true}, func(_ context.Context, x backend.Txn) error {
			for i := range size {
				k, v := fmt.Sprintf("a/%s/%05d", group, rng.IntN(size)), fmt.Sprint(i, filler)
				if i%10 == 0 {
					k, v = fmt.Sprintf("b/%s/%05d", group, rng.IntN(size)), fmt.Sprint(i)
				}
				want[k] = v
				if err := x.Put([]byte(k), []byte(v)); err != nil {
					return err
				}
			}
			return nil
		})
		require.NoError(t, err)
		got := map[string]string{}
		for _, region := range "ab" {
			prefix := fmt.Sprintf("%c/%s/", region, group)
			for e, err := range s.Scan(t.Context(), backend.Range{Start: []byte(prefix), End: []byte(prefix + "\xff")}, backend.ScanOptions{}) {
				require.NoError(t, err)
				got[string(e.Key)] = string(e.Value)
			}
		}
		require.Equal(t, want, got)
		// Six in ten of the keys are there, as it is with random ones.
		tables := map[bool]int64{size < 1500: 1 + 1, size == 2000: 1 + 2, size >= 4000: 1 + 3}
		require.Equal(t, tables[true], begun.Load(), "%d keys", size)
	}
	require.Empty(t, loadsLeft(t, fs))
	require.NoError(t, s.Close())
}

// A buffered commit of another group, at whatever step of an ingestion it was made,
// survives a crash that the ingestion survives and that came after both, unless it came
// after the ingestion itself.
func TestBulkLosesNoCommitBefore(t *testing.T) {
	const steps = 24 // more than an ingestion has
	reached := 0
	for at := range int64(steps) {
		mem := vfs.NewCrashableMem()
		var armed atomic.Bool
		var seen atomic.Int64
		var s *pebble.Store
		var writer sync.WaitGroup
		var before, hit bool
		o := options(errorfs.Wrap(pebble.ReusingFS{FS: mem}, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if !armed.Load() || op.Kind.ReadOrWrite() != errorfs.OpIsWrite || seen.Add(1) != at+1 {
				return nil
			}
			armed.Store(false)
			done := make(chan struct{})
			writer.Go(func() {
				defer close(done)
				if err := put(t.Context(), s, 7, 1, backend.UpdateOptions{Buffered: true}); err != nil {
					t.Error(err)
				}
			})
			// With the gate closed it waits until the ingestion has ended, which does not
			// wait for it.
			select {
			case <-done:
				before = true
			case <-time.After(20 * time.Millisecond):
			}
			hit = true
			return nil
		})))
		var err error
		s, err = pebble.Open(t.Context(), dir, o)
		require.NoError(t, err)
		armed.Store(true)
		require.NoError(t, bulkPut(t.Context(), s, "bulk", 50))
		crashed := mem.CrashClone(vfs.CrashCloneCfg{})
		armed.Store(false)
		writer.Wait()
		require.NoError(t, s.Close())

		after, err := pebble.Open(t.Context(), dir, options(pebble.ReusingFS{FS: crashed}))
		require.NoError(t, err)
		requireGroup(t, after, "bulk", 50)
		if hit {
			reached++
		}
		if before {
			found := false
			for e, err := range after.Scan(t.Context(), backend.Range{}, backend.ScanOptions{KeysOnly: true}) {
				require.NoError(t, err)
				found = found || e.Key[0] != 'a' && e.Key[0] != 'b'
			}
			require.True(t, found, "the commit at step %d was before the ingestion, which has survived, and is lost", at)
		}
		require.NoError(t, after.Close())
	}
	require.Greater(t, reached, 8)
	require.Less(t, reached, steps)
}

// A disk that is full while the tables are written does not stop the store.
func TestBulkOnAFullDisk(t *testing.T) {
	for _, kind := range []errorfs.OpKind{errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpLink} {
		mem := vfs.NewMem()
		var full atomic.Bool
		s, err := pebble.Open(t.Context(), dir, options(loadOp(pebble.ReusingFS{FS: mem}, func(op errorfs.Op) error {
			if full.Load() && op.Kind == kind {
				return syscall.ENOSPC
			}
			return nil
		})))
		require.NoError(t, err)
		full.Store(true)
		err = bulkPut(t.Context(), s, "g", 5000)
		require.ErrorIs(t, err, backend.ErrUnavailable, kind)
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.NoError(t, s.Ready())
		require.Empty(t, loadsLeft(t, mem))
		requireGroup(t, s, "g", 0)
		// Nobody is kept from what the ingestion has begun: it holds no scope and no gate.
		require.NoError(t, s.Durable(t.Context(), []backend.Scope{{Group: "g"}}))
		require.NoError(t, put(t.Context(), s, 1, 1, backend.UpdateOptions{}))
		full.Store(false)
		require.NoError(t, bulkPut(t.Context(), s, "g", 5000))
		requireGroup(t, s, "g", 5000)
		require.NoError(t, s.Close())
	}
}

// On a file system that has no links, and where tables can't be written for another
// reason, the commit goes through the log.
func TestBulkWithoutLinks(t *testing.T) {
	for _, kind := range []errorfs.OpKind{errorfs.OpLink, errorfs.OpFileSync} {
		mem := vfs.NewMem()
		s, err := pebble.Open(t.Context(), dir, options(loadOp(pebble.ReusingFS{FS: mem}, func(op errorfs.Op) error {
			if op.Kind == kind {
				return syscall.EPERM
			}
			return nil
		})))
		require.NoError(t, err)
		for _, group := range []string{"g", "h"} {
			require.NoError(t, bulkPut(t.Context(), s, group, 100))
			requireGroup(t, s, group, 100)
		}
		require.Zero(t, s.Metrics().Ingest.Count)
		require.NoError(t, s.Ready())
		require.NoError(t, s.Close())
	}
}

// Tables that a crash has left beside the store are removed when it is opened.
func TestBulkLeavesNothingBehind(t *testing.T) {
	mem := vfs.NewCrashableMem()
	var crashed *vfs.MemFS
	s, err := pebble.Open(t.Context(), dir, options(loadOp(pebble.ReusingFS{FS: mem}, func(op errorfs.Op) error {
		if op.Kind == errorfs.OpLink && crashed == nil {
			crashed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: newRand(t)})
		}
		return nil
	})))
	require.NoError(t, err)
	require.NoError(t, bulkPut(t.Context(), s, "g", 100))
	require.NoError(t, s.Close())
	require.Empty(t, loadsLeft(t, mem))
	require.NotEmpty(t, loadsLeft(t, crashed))
	s, err = pebble.Open(t.Context(), dir, options(pebble.ReusingFS{FS: crashed}))
	require.NoError(t, err)
	require.Empty(t, loadsLeft(t, crashed))
	requireGroup(t, s, "g", 0)
	require.NoError(t, s.Close())
}
