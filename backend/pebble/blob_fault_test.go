package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// blobFaults fails what is done to the files of separated values that are made
// for one purpose.
type blobFaults struct {
	vfs.FS
	category vfs.DiskWriteCategory
	op       string // create, write or sync
	after    int32  // operations that still succeed
	seen     atomic.Int32
}

func (f *blobFaults) hit() bool { return f.seen.Load() > f.after }

func (f *blobFaults) fault(op string) error {
	if op == f.op && f.seen.Add(1) > f.after {
		return syscall.EIO
	}
	return nil
}

func (f *blobFaults) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if category != f.category || !strings.HasSuffix(name, ".blob") {
		return f.FS.Create(name, category)
	}
	if err := f.fault("create"); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(name, category)
	return &faultyBlob{file, f}, err
}

type faultyBlob struct {
	vfs.File
	f *blobFaults
}

func (b *faultyBlob) Write(p []byte) (int, error) {
	if err := b.f.fault("write"); err != nil {
		return 0, err
	}
	return b.File.Write(p)
}

func (b *faultyBlob) Sync() error {
	if err := b.f.fault("sync"); err != nil {
		return err
	}
	return b.File.Sync()
}

func (b *faultyBlob) SyncData() error {
	if err := b.f.fault("sync"); err != nil {
		return err
	}
	return b.File.SyncData()
}

func (b *faultyBlob) SyncTo(length int64) (bool, error) {
	if err := b.f.fault("sync"); err != nil {
		return false, err
	}
	return b.File.SyncTo(length)
}

// forBlobFaults runs a test on stores whose files of separated values fail, and
// requires of each that it loses none of the rounds that the test acknowledged.
func forBlobFaults(t *testing.T, category vfs.DiskWriteCategory, write func(*testing.T, *Store, *blobFaults) (rounds int)) {
	for op, afters := range map[string][]int32{"create": {0}, "write": {0, 1, 7}, "sync": {0}} {
		for _, after := range afters {
			t.Run(fmt.Sprint(op, " ", after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					mem := vfs.NewCrashableMem()
					f := &blobFaults{FS: mem, category: category, op: op, after: after}
					s := openSeparated(t, f)
					rounds := write(t, s, f)
					<-s.turn.Load().fail.Happened()
					requireStopped(t, s, mem, rounds)
				})
			})
		}
	}
}

const separated = 20

func separatedKey(round, i int) []byte { return fmt.Appendf(nil, "%03d/%04d", i, round) }

// putSeparated writes values that are stored apart from their keys, which lie
// between those of other rounds.
func putSeparated(ctx context.Context, s *Store, round int) error {
	return putSeparatedAs(ctx, s, round, backend.UpdateOptions{})
}

func putSeparatedAs(ctx context.Context, s *Store, round int, o backend.UpdateOptions) error {
	return s.Update(ctx, nil, o, func(_ context.Context, x backend.Txn) error {
		for i := range separated {
			if err := x.Put(separatedKey(round, i), separatedValue(round, i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// fillSeparated writes rounds of separated values, and leaves them in as few
// files as can be.
func fillSeparated(t *testing.T, s *Store, rounds int) {
	t.Helper()
	for round := range rounds {
		require.NoError(t, putSeparated(t.Context(), s, round))
	}
	compactSeparated(t, s)
}

// deleteSeparated deletes the rounds from the given one up to before the end.
func deleteSeparated(t *testing.T, s *Store, from, end int) {
	t.Helper()
	require.NoError(t, s.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
		for round := from; round < end; round++ {
			for i := range separated {
				if err := x.Delete(separatedKey(round, i), len(separatedValue(round, i))); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// compactSeparated flushes and compacts all separated values.
func compactSeparated(t *testing.T, s *Store) {
	t.Helper()
	require.NoError(t, s.turn.Load().db.Flush())
	require.NoError(t, s.turn.Load().db.Compact(t.Context(), []byte("0"), []byte("9"), false))
}

// separatedValue returns what can't be compressed, so that a file of such values
// takes several writes.
func separatedValue(round, i int) []byte {
	v := make([]byte, separateFrom+separateFrom/8)
	_, _ = rand.NewChaCha8([32]byte{byte(round), byte(i)}).Read(v) // never fails
	return v
}

// requireSeparated says that the values of so many rounds are there.
func requireSeparated(t *testing.T, s *Store, rounds int) {
	t.Helper()
	for round := range rounds {
		for i := range separated {
			found, err := s.Get(t.Context(), separatedKey(round, i), func(v []byte) error {
				if !bytes.Equal(v, separatedValue(round, i)) {
					return errors.New("another value")
				}
				return nil
			})
			require.NoError(t, err, "%d/%d", round, i)
			require.True(t, found, "%d/%d", round, i)
		}
	}
}

// requireStopped says that the store has failed, reads on and can be opened
// again, after a crash too.
func requireStopped(t *testing.T, s *Store, mem *vfs.MemFS, rounds int) {
	t.Helper()
	require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
	require.ErrorIs(t, s.Ready(), syscall.EIO)
	require.ErrorIs(t, putSeparated(t.Context(), s, rounds), backend.ErrUnavailable)
	requireSeparated(t, s, rounds)
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	require.ErrorIs(t, s.Close(), backend.ErrUnavailable)
	for _, disk := range []*vfs.MemFS{crashed, mem} {
		again := openSeparated(t, disk)
		requireSeparated(t, again, rounds)
		require.NoError(t, putSeparated(t.Context(), again, rounds))
		require.NoError(t, again.Close())
	}
}

func openSeparated(t *testing.T, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open(t.Context(), "d", &Options{FS: fs, MemTableSize: 4 << 20})
	require.NoError(t, err)
	return s
}

// TestBlobFaultInFlush: an operation on a file of separated values fails while
// a memtable is written out.
func TestBlobFaultInFlush(t *testing.T) {
	forBlobFaults(t, "pebble-memtable-flush", func(t *testing.T, s *Store, f *blobFaults) int {
		for rounds := 0; ; rounds++ {
			if f.hit() {
				return rounds
			}
			require.Less(t, rounds, 50, "the fault was never met")
			require.NoError(t, putSeparated(t.Context(), s, rounds))
			_ = s.turn.Load().flush()
		}
	})
}

// TestBlobFaultInCompaction: the same while a compaction takes values out of the
// tables that a load has made.
func TestBlobFaultInCompaction(t *testing.T) {
	forBlobFaults(t, "pebble-compaction", func(t *testing.T, s *Store, _ *blobFaults) int {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			select {
			case <-s.turn.Load().fail.Happened():
				cancel() // compactions of a failed store wait for its end
			case <-ctx.Done():
			}
		}()
		for rounds := 0; ; rounds++ {
			require.Less(t, rounds, 100, "the fault was never met")
			// A compaction in the background may have met it already.
			if err := putSeparatedAs(t.Context(), s, rounds, backend.UpdateOptions{Bulk: true}); err != nil {
				require.True(t, s.turn.Load().fail.Failed(), "%v", err)
				return rounds
			}
			if err := s.turn.Load().db.Compact(ctx, []byte("0"), []byte("9"), false); err != nil {
				require.True(t, s.turn.Load().fail.Failed(), "%v", err)
				return rounds + 1
			}
		}
	})
}

// TestBlobFaultInRewrite: the same while a file of which much is deleted is
// written anew. Pebble reads the values from the new one at once.
func TestBlobFaultInRewrite(t *testing.T) {
	forBlobFaults(t, "pebble-blob-file-rewrite", func(t *testing.T, s *Store, f *blobFaults) int {
		const rounds, kept = 4, 2
		fillSeparated(t, s, rounds)
		deleteSeparated(t, s, kept, rounds)
		compactSeparated(t, s)
		time.Sleep(time.Hour) // of the bubble: only an old file is written anew
		require.NoError(t, s.turn.Load().db.Set([]byte("z"), nil, nil))
		require.NoError(t, s.turn.Load().db.Flush())
		<-s.turn.Load().fail.Happened()
		synctest.Wait() // the file is in use
		require.True(t, f.hit())
		return kept
	})
}
