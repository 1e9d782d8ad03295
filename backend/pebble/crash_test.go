package pebble_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
)

// TestCrash cuts the power at random moments under load, some of what was not
// synced surviving at random. Of every writer a prefix survives, with all that
// was acknowledged, and its two keys of a commit go together.
func TestCrash(t *testing.T) {
	const writers, second = 4, 500_000
	rng := newRand(t)
	rounds, cuts := 8, 25
	if testing.Short() {
		rounds = 1
	}
	for range rounds {
		disk := vfs.NewCrashableMem()
		s := open(t, disk)
		var next [writers]int
		var acked [writers]atomic.Int64
		for range cuts {
			var wg sync.WaitGroup
			var commits atomic.Int64
			most := rng.IntN(25) + 1
			cut, reached := int64(rng.IntN(writers*most)+1), make(chan struct{})
			for w := range writers {
				durably := rng.IntN(10) + 1
				wg.Go(func() {
					for range most {
						n := next[w]
						o := backend.UpdateOptions{Buffered: n%durably != 0}
						err := s.Update(t.Context(), scope(w), o, func(_ context.Context, x backend.Txn) error {
							return errors.Join(x.Put(key(w, n), value(w, n)), x.Put(key(w, second+n), value(w, second+n)))
						})
						if err != nil {
							t.Errorf("writer %d: %v", w, err)
						}
						next[w]++
						if !o.Buffered {
							acked[w].Store(int64(n + 1))
						}
						if commits.Add(1) == cut {
							close(reached)
						}
					}
				})
			}
			<-reached
			var promised [writers]int64
			for w := range writers {
				promised[w] = acked[w].Load()
			}
			crashed := disk.CrashClone(vfs.CrashCloneCfg{
				UnsyncedDataPercent: []int{0, 30, 90}[rng.IntN(3)],
				RNG:                 rand.New(rand.NewPCG(rng.Uint64(), 0)),
			})
			wg.Wait()
			after := open(t, crashed)
			// What survived one crash survives the next: a process that died had
			// more in the system's memory than on the disk.
			twice := after
			if rng.IntN(5) == 0 {
				twice = open(t, crashed.CrashClone(vfs.CrashCloneCfg{}))
			}
			for w, n := range promised {
				count := 0
				for has(t, after, w, count) {
					require.True(t, has(t, after, w, second+count), "half a commit: %d/%d", w, count)
					count++
				}
				require.GreaterOrEqual(t, int64(count), n, "writer %d", w)
				require.True(t, count == 0 || has(t, twice, w, count-1), "%d/%d lost by a second crash", w, count-1)
				for e, err := range after.Scan(t.Context(), backend.Range{Start: key(w, count), End: key(w, second)}, backend.ScanOptions{}) {
					require.NoError(t, err)
					t.Fatalf("writer %d: %s without %d", w, e.Key, count)
				}
			}
			if twice != after {
				require.NoError(t, twice.Close())
			}
			require.NoError(t, after.Close())
		}
		require.NoError(t, s.Close())
	}
}

// TestDurableReads: a caller that saw a commit and then had it made durable finds
// it after a crash, whichever way it was written.
func TestDurableReads(t *testing.T) {
	disk := vfs.NewCrashableMem()
	s := open(t, disk)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for n := range 3000 {
				select {
				case <-stop:
					return
				default:
				}
				if err := put(t.Context(), s, w, n, backend.UpdateOptions{Buffered: w == 0}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for round := range 60 {
		w, n := round%2, -1
		for e, err := range s.Scan(t.Context(), backend.Range{Start: key(w, 0), End: key(w+1, 0)}, backend.ScanOptions{Reverse: true, KeysOnly: true}) {
			require.NoError(t, err)
			require.Nil(t, e.Value)
			_ = e
			n = decimal(e.Key[len("00/"):])
			break
		}
		if round%3 == 0 {
			err := s.Update(t.Context(), scope(w), backend.UpdateOptions{}, func(context.Context, backend.Txn) error { return context.DeadlineExceeded })
			require.ErrorIs(t, err, context.DeadlineExceeded)
		} else {
			require.NoError(t, s.Durable(t.Context(), []backend.Scope{{Group: "g"}}))
		}
		after := open(t, disk.CrashClone(vfs.CrashCloneCfg{}))
		if n >= 0 {
			require.True(t, has(t, after, w, n), "%d/%d", w, n)
		}
		require.NoError(t, after.Close())
	}
	close(stop)
	wg.Wait()
	require.NoError(t, s.Close())
}

func decimal(b []byte) (n int) {
	for _, c := range b {
		n = n*10 + int(c-'0')
	}
	return n
}

// TestLargeCommit: Pebble treats commits of more than half a memtable apart.
func TestLargeCommit(t *testing.T) {
	for _, buffered := range []bool{false, true} {
		disk := vfs.NewCrashableMem()
		s := open(t, disk)
		large := make([]byte, 3<<20)
		require.NoError(t, s.Update(t.Context(), scope(0), backend.UpdateOptions{Buffered: buffered}, func(_ context.Context, x backend.Txn) error {
			return x.Put([]byte("large"), large)
		}))
		require.NoError(t, s.Durable(t.Context(), scope(0)))
		require.NoError(t, put(t.Context(), s, 0, 0, backend.UpdateOptions{}))
		after := open(t, disk.CrashClone(vfs.CrashCloneCfg{}))
		found, err := after.Get(t.Context(), []byte("large"), func(v []byte) error {
			require.Len(t, v, len(large))
			return nil
		})
		require.NoError(t, err)
		require.True(t, found)
		require.True(t, has(t, after, 0, 0))
		require.NoError(t, after.Close())
		require.NoError(t, s.Close())
	}
}

// cutter takes what a crash before the nth write would leave.
type cutter struct {
	disk    *vfs.MemFS
	n, seen atomic.Int32
	crashed *vfs.MemFS
}

func (c *cutter) String() string { return "cutter" }

func (c *cutter) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && c.seen.Add(1)-1 == c.n.Load() {
		c.crashed = c.disk.CrashClone(vfs.CrashCloneCfg{})
	}
	return nil
}

// TestCrashWhileCreating: a store whose creation was cut off at any step opens,
// since nothing in it was acknowledged.
func TestCrashWhileCreating(t *testing.T) {
	for n := int32(0); ; n++ {
		disk := vfs.NewCrashableMem()
		c := &cutter{disk: disk}
		c.n.Store(n)
		require.NoError(t, open(t, errorfs.Wrap(disk, c)).Close())
		if c.crashed == nil {
			require.Greater(t, n, int32(10))
			return
		}
		s, err := pebble.Open(t.Context(), dir, options(c.crashed))
		require.NoError(t, err, "cut before write %d", n)
		require.NoError(t, put(t.Context(), s, 0, 0, backend.UpdateOptions{}))
		require.NoError(t, s.Close())
	}
}
