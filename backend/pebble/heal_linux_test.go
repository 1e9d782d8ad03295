package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
)

// realHealing is a store on a real disk with ticks of the test's own, and what
// writers were told of it.
type realHealing struct {
	*pebble.Store
	t     *testing.T
	path  string
	ticks chan time.Time
	acked [4]int
}

func openRealHealing(t *testing.T, path string) *realHealing {
	h := &realHealing{t: t, path: path, ticks: make(chan time.Time)}
	o := &pebble.Options{MemTableSize: 1 << 20, CacheSize: 4 << 20, MaxOpenFiles: 16, DiskReserve: -1}
	o.SetTick(h.ticks)
	o.SetOpenTries(1)
	var err error
	h.Store, err = pebble.Open(t.Context(), path, o)
	require.NoError(t, err)
	return h
}

// filler does not compress: a memtable that finds no room for its table must not
// find it where its predecessor's log was. Else level 0 becomes deep, and writers
// wait for compactions rather than meet the failure.
var filler = func() []byte {
	b := make([]byte, 4000)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(b) // which can't fail
	return b
}()

func putFilled(ctx context.Context, s backend.Backend, w, n int) error {
	return s.Update(ctx, scope(w), backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
		return x.Put(key(w, n), filler)
	})
}

// writeUntilFailure has writers at work, calls exhaust in the midst of them, until it
// returns false, and returns when each writer has met the failure.
func (h *realHealing) writeUntilFailure(exhaust func() bool) {
	var writers, under sync.WaitGroup
	var failed atomic.Int32
	for w := range h.acked {
		under.Add(1)
		writers.Go(func() {
			first := h.acked[w]
			for n := first; ; n++ {
				if n == first+20 {
					under.Done()
				}
				err := putFilled(h.t.Context(), h, w, n)
				if err == nil {
					h.acked[w] = n + 1
					continue
				}
				if !errors.Is(err, backend.ErrUnavailable) && !errors.Is(err, backend.ErrUnknownOutcome) || errors.Is(err, backend.ErrStopped) {
					h.t.Errorf("writer %d: %v", w, err)
				}
				failed.Add(1)
				if n < first+20 {
					under.Done()
				}
				return
			}
		})
	}
	under.Wait()
	for exhaust() && int(failed.Load()) < len(h.acked) {
	}
	writers.Wait()
	require.ErrorIs(h.t, h.Ready(), backend.ErrUnavailable)
	require.NotErrorIs(h.t, h.Ready(), backend.ErrStopped)
}

func (h *realHealing) heal() {
	for before := h.Generation(); h.Generation() == before || h.Ready() != nil; {
		h.ticks <- time.Time{}
	}
}

// requireAcked looks for what was acknowledged in s.
func (h *realHealing) requireAcked(s backend.Reader) {
	h.t.Helper()
	for w, n := range h.acked {
		for i := range n {
			found, err := s.Get(h.t.Context(), key(w, i), func(v []byte) error {
				require.Equal(h.t, len(filler), len(v))
				return nil
			})
			require.NoError(h.t, err)
			require.True(h.t, found, "writer %d: %d of %d", w, i, n)
		}
	}
}

// goOn writes more, closes the store, and looks for everything in it.
func (h *realHealing) goOn() {
	for w := range h.acked {
		require.NoError(h.t, putFilled(h.t.Context(), h, w, h.acked[w]))
		h.acked[w]++
	}
	require.NoError(h.t, h.Close())
	s, err := pebble.Open(h.t.Context(), h.path, nil)
	require.NoError(h.t, err)
	h.requireAcked(s)
	require.NoError(h.t, s.Close())
}

// TestHealsOnFullVolume: a volume fills up under writers, with a file of somebody
// else, and the file is removed. The store heals without being closed, twice.
func TestHealsOnFullVolume(t *testing.T) {
	at := mount(t, "tmpfs", "tmpfs", 0, "size=32m,mode=0700")
	h := openRealHealing(t, filepath.Join(at, "store"))
	for range 2 {
		fill, err := os.Create(filepath.Join(at, "fill"))
		require.NoError(t, err)
		h.writeUntilFailure(func() bool {
			for size := 64 << 10; size > 0; {
				if _, err := fill.Write(bytes.Repeat([]byte("x"), size)); err != nil {
					require.ErrorIs(t, err, syscall.ENOSPC)
					size /= 2
				}
			}
			return true
		})
		require.ErrorIs(t, h.Ready(), syscall.ENOSPC)
		h.requireAcked(h)
		require.NoError(t, fill.Close())
		require.NoError(t, os.Remove(fill.Name()))
		h.heal()
		h.requireAcked(h)
	}
	h.goOn()
}

const outOfFilesEnv = "SHELFLIFE_TEST_OUT_OF_FILES"

// TestHealsOutOfFiles has a process run out of file descriptors under writers.
func TestHealsOutOfFiles(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), self, "-test.run=^TestOutOfFilesInChild$", "-test.v")
	child.Env = append(os.Environ(), outOfFilesEnv+"="+t.TempDir())
	out, err := child.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "PASS: TestOutOfFilesInChild")
}

// TestOutOfFilesInChild is the child of TestHealsOutOfFiles: others in its process
// take every descriptor that is free, and close them. The store heals without
// being closed, twice.
func TestOutOfFilesInChild(t *testing.T) {
	dir := os.Getenv(outOfFilesEnv)
	if dir == "" {
		t.Skip("it is run by TestHealsOutOfFiles")
	}
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	limit.Cur = 64
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	h := openRealHealing(t, filepath.Join(dir, "store"))
	for range 2 {
		var taken []int
		h.writeUntilFailure(func() bool {
			for {
				fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
				if err != nil {
					require.ErrorIs(t, err, syscall.EMFILE)
					return true
				}
				taken = append(taken, fd)
			}
		})
		require.ErrorIs(t, h.Ready(), syscall.EMFILE)
		for _, fd := range taken {
			require.NoError(t, unix.Close(fd))
		}
		h.heal()
		h.requireAcked(h)
	}
	h.goOn()
	fmt.Println(h.acked)
}
