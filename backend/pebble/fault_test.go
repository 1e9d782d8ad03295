package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
)

// fault says which operations of the file system fail from the nth on.
type fault struct {
	name    string
	kinds   []errorfs.OpKind
	match   func(path string) bool
	after   int32 // operations that still succeed
	once    bool  // only one fails
	healthy bool  // the store goes on
}

func suffix(s string) func(string) bool {
	return func(path string) bool { return strings.HasSuffix(path, s) }
}

func manifest(path string) bool { return strings.Contains(path, "MANIFEST") }
func anything(string) bool      { return true }

var (
	writes  = []errorfs.OpKind{errorfs.OpFileWrite}
	syncs   = []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}
	creates = []errorfs.OpKind{errorfs.OpCreate, errorfs.OpReuseForWrite}
	all     = []errorfs.OpKind{
		errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpCreate,
		errorfs.OpReuseForWrite, errorfs.OpRename, errorfs.OpRemove,
	}
)

var faults = []fault{
	{name: "log write", kinds: writes, match: suffix(".log"), after: 20},
	{name: "one log write", kinds: writes, match: suffix(".log"), after: 20, once: true},
	{name: "log sync", kinds: syncs, match: suffix(".log"), after: 20},
	{name: "one log sync", kinds: syncs, match: suffix(".log"), after: 20, once: true},
	{name: "log create", kinds: creates, match: suffix(".log")},
	{name: "one log create", kinds: creates, match: suffix(".log"), once: true},
	{name: "directory sync", kinds: syncs, match: suffix("store")},
	{name: "manifest write", kinds: writes, match: manifest},
	{name: "manifest sync", kinds: syncs, match: manifest},
	{name: "table create", kinds: creates, match: suffix(".sst")},
	{name: "table write", kinds: writes, match: suffix(".sst")},
	{name: "table sync", kinds: syncs, match: suffix(".sst")},
	{name: "one table sync", kinds: syncs, match: suffix(".sst"), once: true},
	{name: "remove", kinds: []errorfs.OpKind{errorfs.OpRemove}, match: anything, healthy: true},
	{name: "everything", kinds: all, match: anything, after: 50},
}

// injector fails what f says, when it is on.
type injector struct {
	fault
	on     atomic.Bool
	passed atomic.Int32
	hit    atomic.Bool
}

func (i *injector) String() string { return i.name }

func (i *injector) MaybeError(op errorfs.Op) error {
	if !i.on.Load() || !i.match(op.Path) {
		return nil
	}
	for _, k := range i.kinds {
		if k != op.Kind {
			continue
		}
		if n := i.passed.Add(1) - 1; n < i.after || i.once && n > i.after {
			return nil
		}
		i.hit.Store(true)
		return syscall.EIO
	}
	return nil
}

// key and value are those of the nth write of writer w.
func key(w, n int) []byte { return fmt.Appendf(nil, "%02d/%06d", w, n) }

var padding = strings.Repeat("x", 1000)

func value(w, n int) []byte { return fmt.Appendf(nil, "%d/%d %s", w, n, padding) }

func scope(w int) []backend.Scope { return []backend.Scope{{Group: "g", Item: fmt.Sprint(w)}} }

func put(ctx context.Context, s backend.Backend, w, n int, o backend.UpdateOptions) error {
	return s.Update(ctx, scope(w), o, func(_ context.Context, x backend.Txn) error {
		return x.Put(key(w, n), value(w, n))
	})
}

func has(t testing.TB, s backend.Reader, w, n int) bool {
	t.Helper()
	found, err := s.Get(context.Background(), key(w, n), func(v []byte) error {
		require.Equal(t, string(value(w, n)), string(v))
		return nil
	})
	require.NoError(t, err)
	return found
}

// TestFaults lets every kind of write fail under load: nothing acknowledged is
// lost by a crash after it, the store says what it is, reads go on, it closes,
// and opening it again heals it.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			in := &injector{fault: f}
			s := open(t, errorfs.Wrap(mem, in))
			require.NoError(t, put(t.Context(), s, 0, 0, backend.UpdateOptions{}))
			in.on.Store(true)

			const writers, most = 8, 1200
			var acked [writers]int
			var mu sync.Mutex
			var unknown, refused int
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for n := range most {
						err := put(t.Context(), s, w, n, backend.UpdateOptions{})
						if err == nil {
							acked[w] = n + 1
							continue
						}
						mu.Lock()
						defer mu.Unlock()
						switch {
						case errors.Is(err, backend.ErrUnknownOutcome):
							unknown++
						case errors.Is(err, backend.ErrUnavailable):
							refused++
						default:
							t.Errorf("writer %d: %v", w, err)
						}
						return
					}
				})
			}
			wg.Wait()
			require.True(t, in.hit.Load(), "the fault was never met")
			if f.healthy {
				require.NoError(t, s.Ready())
				require.NoError(t, s.Close())
				return
			}
			require.Equal(t, writers, unknown+refused)
			require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
			require.ErrorIs(t, s.Ready(), syscall.EIO)
			require.ErrorIs(t, put(t.Context(), s, 0, most, backend.UpdateOptions{}), backend.ErrUnavailable)

			acknowledged := func(r backend.Reader) {
				for w, n := range acked {
					for n := range n {
						require.True(t, has(t, r, w, n), "%d/%d", w, n)
					}
				}
			}
			acknowledged(s)
			crashed := mem.CrashClone(vfs.CrashCloneCfg{})
			require.ErrorIs(t, s.Close(), backend.ErrUnavailable)

			for name, disk := range map[string]*vfs.MemFS{"crashed": crashed, "closed": mem} {
				again := open(t, disk)
				acknowledged(again)
				require.False(t, has(t, again, 0, most), name)
				require.NoError(t, put(t.Context(), again, 0, most, backend.UpdateOptions{}))
				require.NoError(t, again.Close())
			}
		})
	}
}

// TestFaultWithoutWrites: what was read and is not durable is not concluded
// from once the disk has failed.
func TestFaultWithoutWrites(t *testing.T) {
	in := &injector{fault: fault{kinds: syncs, match: suffix(".log")}}
	s := open(t, errorfs.Wrap(vfs.NewCrashableMem(), in))
	require.NoError(t, put(t.Context(), s, 0, 0, backend.UpdateOptions{Buffered: true}))
	in.on.Store(true)
	err := s.Update(t.Context(), scope(0), backend.UpdateOptions{}, func(ctx context.Context, x backend.Txn) error {
		found, err := x.Get(ctx, key(0, 0), func([]byte) error { return nil })
		require.True(t, found)
		return err
	})
	require.ErrorIs(t, err, backend.ErrUnavailable)
	require.ErrorIs(t, s.Durable(t.Context(), scope(0)), backend.ErrUnavailable)
	require.NoError(t, s.Durable(t.Context(), []backend.Scope{{Group: "another", Item: "1"}}))
	require.True(t, has(t, s, 0, 0))
	require.ErrorIs(t, s.Close(), backend.ErrUnavailable)
}

// TestFaultWhileOpening: Open returns the error, and succeeds when it is gone.
func TestFaultWhileOpening(t *testing.T) {
	for after := int32(0); ; after++ {
		in := &injector{fault: fault{kinds: all, match: anything, after: after, once: true}}
		in.on.Store(true)
		mem := vfs.NewCrashableMem()
		fs := errorfs.Wrap(mem, in)
		s, err := pebble.Open(t.Context(), dir, options(fs))
		if err == nil && s.Close() != nil {
			// It was met in the background or by Close.
			require.True(t, in.hit.Load())
		}
		in.on.Store(false)
		again := open(t, fs)
		require.NoError(t, put(t.Context(), again, 0, 0, backend.UpdateOptions{}))
		require.NoError(t, again.Close())
		if !in.hit.Load() {
			require.Greater(t, after, int32(10))
			return
		}
	}
}

// TestCompactionFault: a compaction that fails loses nothing, and the store
// goes on.
func TestCompactionFault(t *testing.T) {
	fs := &compactionFaults{FS: vfs.NewCrashableMem()}
	s := open(t, fs)
	fs.fail.Store(true)
	n := 0
	for ; fs.failed.Load() == 0; n++ {
		// Overlapping tables, so that they can't just be moved.
		require.NoError(t, put(t.Context(), s, n%7, n/7, backend.UpdateOptions{Buffered: true}))
	}
	require.NoError(t, s.Ready())
	require.NoError(t, put(t.Context(), s, 0, 1_000_000, backend.UpdateOptions{}))
	for i := range n {
		require.True(t, has(t, s, i%7, i/7))
	}
	require.NoError(t, s.Close())
}

type compactionFaults struct {
	vfs.FS
	fail   atomic.Bool
	failed atomic.Int32
}

func (f *compactionFaults) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if category == "pebble-compaction" && f.fail.Load() {
		f.failed.Add(1)
		return nil, syscall.ENOSPC
	}
	return f.FS.Create(name, category)
}
