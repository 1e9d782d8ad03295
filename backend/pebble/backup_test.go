package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
)

var taken = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// store writes a value.
func store(t testing.TB, s backend.Backend, key, value string, o backend.UpdateOptions) {
	t.Helper()
	scopes := []backend.Scope{{Group: key}}
	require.NoError(t, s.Update(t.Context(), scopes, o, func(_ context.Context, txn backend.Txn) error {
		return txn.Put([]byte(key), []byte(value))
	}))
}

// entries returns everything that a store holds.
func entries(t testing.TB, r backend.Reader) map[string]string {
	t.Helper()
	all := map[string]string{}
	for e, err := range r.Scan(t.Context(), backend.Range{}, backend.ScanOptions{}) {
		require.NoError(t, err)
		all[string(e.Key)] = string(e.Value)
	}
	return all
}

// backUp returns a backup of s.
func backUp(t testing.TB, s *pebble.Store) []byte {
	t.Helper()
	c, err := s.Checkpoint(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	var b bytes.Buffer
	info, err := c.Write(t.Context(), &b, taken)
	require.NoError(t, err)
	require.Equal(t, taken, info.Taken)
	require.EqualValues(t, b.Len(), info.Bytes)
	return b.Bytes()
}

// restored returns what a backup holds.
func restored(t testing.TB, fs vfs.FS, dir string, b []byte) map[string]string {
	t.Helper()
	info, err := pebble.Restore(t.Context(), dir, bytes.NewReader(b), &pebble.Options{FS: fs})
	require.NoError(t, err)
	require.Equal(t, taken, info.Taken)
	require.EqualValues(t, len(b), info.Bytes)
	o := options(fs)
	o.MustExist = true
	s, err := pebble.Open(t.Context(), dir, o)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	return entries(t, s)
}

// names returns the names of the files in a directory.
func names(t testing.TB, fs vfs.FS, dir string) []string {
	t.Helper()
	list, err := fs.List(dir)
	require.NoError(t, err)
	return list
}

// TestBackup: a copy of a store that is written to has everything that was
// acknowledged before, and of each writer a prefix of what came meanwhile.
func TestBackup(t *testing.T) {
	for name, fs := range map[string]vfs.FS{"disk": vfs.Default, "memory": vfs.NewMem()} {
		t.Run(name, func(t *testing.T) {
			root := "data"
			if name == "disk" {
				root = t.TempDir()
			}
			from := fs.PathJoin(root, "from")
			s, err := pebble.Open(t.Context(), from, options(fs))
			require.NoError(t, err)
			defer func() { require.NoError(t, s.Close()) }()
			for i := range 300 {
				size := 100
				if i%10 == 0 {
					size = 40_000 // in a blob file
				}
				store(t, s, fmt.Sprintf("k%03d", i), strings.Repeat("x", size), backend.UpdateOptions{Buffered: true})
			}
			var writers sync.WaitGroup
			var stop atomic.Bool
			var acknowledged [4]atomic.Int64
			for w := range acknowledged {
				writers.Go(func() {
					for i := int64(1); !stop.Load(); i++ {
						o := backend.UpdateOptions{Buffered: w%2 == 0}
						store(t, s, fmt.Sprintf("w%d", w), fmt.Sprint(i), o)
						acknowledged[w].Store(i)
					}
				})
			}
			for round := range 5 {
				before := entries(t, s)
				var least [len(acknowledged)]int64
				for w := range least {
					least[w] = acknowledged[w].Load()
				}
				b := backUp(t, s)
				got := restored(t, fs, fs.PathJoin(root, fmt.Sprint("to", round)), b)
				for w := range least {
					var n int64
					_, _ = fmt.Sscan(got[fmt.Sprintf("w%d", w)], &n)
					require.GreaterOrEqual(t, n, least[w], "writer %d", w)
					require.LessOrEqual(t, n, acknowledged[w].Load()+1)
					delete(got, fmt.Sprintf("w%d", w))
					delete(before, fmt.Sprintf("w%d", w))
				}
				require.True(t, maps.Equal(before, got))
				require.NotContains(t, names(t, fs, from), "checkpoint")
			}
			stop.Store(true)
			writers.Wait()
		})
	}
}

// small returns a backup of a small store, and what it holds.
func small(t testing.TB) ([]byte, map[string]string) {
	s := open(t, vfs.NewMem())
	defer func() { require.NoError(t, s.Close()) }()
	store(t, s, "a", "1", backend.UpdateOptions{})
	store(t, s, "b", strings.Repeat("2", 20_000), backend.UpdateOptions{})
	return backUp(t, s), entries(t, s)
}

// TestDamagedBackups: every byte that is not as it was written is told, and leaves
// nothing.
func TestDamagedBackups(t *testing.T) {
	b, want := small(t)
	fs := vfs.NewMem()
	refused := func(damaged []byte, what string) {
		t.Helper()
		_, err := pebble.VerifyBackup(t.Context(), bytes.NewReader(damaged))
		require.ErrorIs(t, err, pebble.ErrDamagedBackup, what)
		_, err = pebble.Restore(t.Context(), "d", bytes.NewReader(damaged), &pebble.Options{FS: fs})
		require.ErrorIs(t, err, pebble.ErrDamagedBackup, what)
		require.Empty(t, names(t, fs, "d"), what)
	}
	step := 1
	if testing.Short() {
		step = 17
	}
	for i := 0; i < len(b); i += step {
		damaged := bytes.Clone(b)
		damaged[i] ^= 1 << (i % 8)
		refused(damaged, fmt.Sprintf("byte %d of %d", i, len(b)))
	}
	for i := 0; i < len(b); i += 7 * step {
		refused(b[:i], fmt.Sprintf("%d bytes of %d", i, len(b)))
	}
	refused(append(bytes.Clone(b), 0), "a byte behind")
	refused(append(bytes.Clone(b), b...), "twice")
	require.Equal(t, want, restored(t, fs, "d", b))
}

// FuzzRestore feeds Restore what is no backup: it never panics, nor leaves anything.
func FuzzRestore(f *testing.F) {
	b, _ := small(f)
	f.Add(b)
	f.Add(b[:100])
	f.Add([]byte("shelflife backup 1\n\x00\x00\x00\x02{}"))
	f.Add([]byte(`shelflife backup 1` + "\n\x00\x00\x00\x30" + `{"files":[{"name":"../000001.sst","size":9999}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := vfs.NewMem()
		_, err := pebble.Restore(t.Context(), "d", bytes.NewReader(b), &pebble.Options{FS: fs})
		if err != nil {
			require.Empty(t, names(t, fs, "d"))
		}
	})
}

func TestRestoreOnlyToNothing(t *testing.T) {
	b, want := small(t)
	fs := vfs.NewMem()
	require.NoError(t, fs.MkdirAll("d", 0o755))
	f, err := fs.Create("d/file", vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	_, err = pebble.Restore(t.Context(), "d", bytes.NewReader(b), &pebble.Options{FS: fs})
	require.ErrorIs(t, err, pebble.ErrNotEmpty)
	require.Equal(t, []string{"file"}, names(t, fs, "d"))
	require.NoError(t, fs.Remove("d/file"))
	require.Equal(t, want, restored(t, fs, "d", b))
	_, err = pebble.Restore(t.Context(), "d", bytes.NewReader(b), &pebble.Options{FS: fs})
	require.ErrorIs(t, err, pebble.ErrNotEmpty)
	_, err = pebble.Restore(t.Context(), "e", iotest.ErrReader(syscall.EIO), &pebble.Options{FS: fs})
	require.ErrorIs(t, err, syscall.EIO)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = pebble.Restore(ctx, "e", bytes.NewReader(b), &pebble.Options{FS: fs})
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, names(t, fs, "e"))
}

// crashing ends a stream after a number of bytes with a crash of the file system.
type crashing struct {
	r     io.Reader
	left  int
	crash func()
}

func (c *crashing) Read(p []byte) (int, error) {
	if c.left == 0 {
		c.crash()
		return 0, errors.New("the process is gone")
	}
	n, err := c.r.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// TestRestoreCutOff: what a crash leaves is no store, and Restore begins anew.
func TestRestoreCutOff(t *testing.T) {
	b, want := small(t)
	rng := newRand(t)
	for i := 0; i <= len(b); i += max(1, len(b)/40) {
		fs := vfs.NewCrashableMem()
		var after *vfs.MemFS
		in := &crashing{bytes.NewReader(b), i, func() {
			after = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})
		}}
		_, err := pebble.Restore(t.Context(), "d", in, &pebble.Options{FS: fs})
		require.Error(t, err)
		o := options(after)
		o.MustExist = true
		_, err = pebble.Open(t.Context(), "d", o)
		if !errors.Is(err, pebble.ErrNoStore) { // nothing of the directory is there yet
			require.ErrorIs(t, err, pebble.ErrIncomplete)
		}
		require.Equal(t, want, restored(t, after, "d", b))
	}
}

// TestRestoreWithoutRoom: an error of the disk leaves nothing.
func TestRestoreWithoutRoom(t *testing.T) {
	b, _ := small(t)
	for n := int32(0); ; n++ {
		require.Less(t, n, int32(1000))
		mem := vfs.NewMem()
		in := &injector{fault: fault{kinds: all, match: anything, after: n, once: true}}
		in.on.Store(true)
		_, err := pebble.Restore(t.Context(), "d", bytes.NewReader(b), &pebble.Options{FS: errorfs.Wrap(mem, in)})
		if !in.hit.Load() {
			require.NoError(t, err)
			break
		}
		if err != nil {
			require.NotErrorIs(t, err, pebble.ErrDamagedBackup)
			o := options(mem)
			o.MustExist = true
			_, err := pebble.Open(t.Context(), "d", o)
			require.Error(t, err, "fault %d", n)
		}
	}
}

// TestCheckpointFails: a copy that can't be made is an error of the call alone.
func TestCheckpointFails(t *testing.T) {
	for n := int32(0); ; n++ {
		require.Less(t, n, int32(1000))
		mem := vfs.NewMem()
		in := &injector{fault: fault{
			kinds: append([]errorfs.OpKind{errorfs.OpLink, errorfs.OpMkdirAll, errorfs.OpOpenDir}, all...),
			match: func(path string) bool { return strings.Contains(path, "checkpoint") }, after: n, once: true,
		}}
		s := open(t, errorfs.Wrap(mem, in))
		store(t, s, "a", "1", backend.UpdateOptions{})
		store(t, s, "b", strings.Repeat("2", 20_000), backend.UpdateOptions{})
		in.on.Store(true)
		c, err := s.Checkpoint(t.Context())
		if err == nil {
			var b bytes.Buffer
			_, err := c.Write(t.Context(), &b, taken)
			require.NoError(t, err)
			require.Equal(t, entries(t, s), restored(t, mem, "e", b.Bytes()), "fault %d", n)
			_ = c.Close()
		}
		in.on.Store(false)
		require.NoError(t, s.Ready(), "fault %d", n)
		store(t, s, "c", "3", backend.UpdateOptions{})
		require.Equal(t, entries(t, s), restored(t, mem, "f", backUp(t, s)), "fault %d", n)
		require.NoError(t, s.Close())
		if !in.hit.Load() {
			return
		}
	}
}

// TestOneCheckpointAtATime: the second waits, and the end of the store ends both.
func TestOneCheckpointAtATime(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, mem)
	store(t, s, "a", strings.Repeat("1", 1<<20), backend.UpdateOptions{})
	first, err := s.Checkpoint(t.Context())
	require.NoError(t, err)
	require.Contains(t, names(t, mem, dir), "checkpoint")
	for _, name := range names(t, mem, mem.PathJoin(dir, "checkpoint")) {
		require.NotContains(t, name, ".log", "it may be torn")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = s.Checkpoint(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	view, err := first.Open(t.Context())
	require.NoError(t, err)
	store(t, s, "b", "2", backend.UpdateOptions{})
	require.Len(t, entries(t, view), 1)
	require.True(t, view.Properties().ReadOnly)
	require.NoError(t, view.Close())

	second := make(chan error, 1)
	go func() { _, err := s.Checkpoint(t.Context()); second <- err }()
	in, out := io.Pipe()
	written := make(chan error, 1)
	go func() { _, err := first.Write(t.Context(), out, taken); written <- err }()
	_, err = io.ReadFull(in, make([]byte, 1000))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(io.Discard, in) }) // what was read already
	require.ErrorIs(t, <-written, backend.ErrClosed)
	require.NoError(t, out.Close())
	reading.Wait()
	require.Error(t, <-second)
	require.NoError(t, first.Close())
	require.NotContains(t, names(t, mem, dir), "checkpoint")
	_, err = first.Open(t.Context())
	require.ErrorIs(t, err, backend.ErrClosed)
	_, err = first.Write(t.Context(), io.Discard, taken)
	require.ErrorIs(t, err, backend.ErrClosed)
}

// TestCheckpointThatWasLeft is removed when the store is opened next.
func TestCheckpointThatWasLeft(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := open(t, mem)
	store(t, s, "a", "1", backend.UpdateOptions{})
	_, err := s.Checkpoint(t.Context())
	require.NoError(t, err)
	after := mem.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, s.Close())
	require.Contains(t, names(t, after, dir), "checkpoint")
	s = open(t, after)
	require.NotContains(t, names(t, after, dir), "checkpoint")
	require.Equal(t, map[string]string{"a": "1"}, entries(t, s))
	require.NoError(t, s.Close())
}

// TestBackupGoesNowhere: an error of the writer is the caller's, and the copy goes
// with the Checkpoint.
func TestBackupGoesNowhere(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, mem)
	defer func() { require.NoError(t, s.Close()) }()
	store(t, s, "a", "1", backend.UpdateOptions{})
	c, err := s.Checkpoint(t.Context())
	require.NoError(t, err)
	_, err = c.Write(t.Context(), failingWriter{}, taken)
	require.ErrorIs(t, err, syscall.ENOSPC)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Write(ctx, io.Discard, taken)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	require.NotContains(t, names(t, mem, dir), "checkpoint")
	require.NoError(t, s.Ready())

	o := options(mem)
	o.ReadOnly = true
	require.NoError(t, s.Close())
	r, err := pebble.Open(t.Context(), dir, o)
	require.NoError(t, err)
	_, err = r.Checkpoint(t.Context())
	require.ErrorIs(t, err, backend.ErrReadOnly)
	require.NoError(t, r.Close())
	_, err = r.Checkpoint(t.Context())
	require.ErrorIs(t, err, backend.ErrClosed)
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, syscall.ENOSPC }
