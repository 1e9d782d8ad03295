package pebble

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// rotationFS calls a function while a log is being begun, and keeps tables from being
// made while held.
type rotationFS struct {
	vfs.FS
	held  atomic.Pointer[chan struct{}]
	begun atomic.Pointer[func()]
}

func (f *rotationFS) Unwrap() vfs.FS { return f.FS }

func (f *rotationFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if held := f.held.Load(); held != nil && strings.HasSuffix(name, ".sst") {
		<-*held
	}
	return f.FS.Create(name, c)
}

func (f *rotationFS) Rename(oldname, newname string) error {
	if strings.HasSuffix(newname, "newest.log.state") {
		if fn := f.begun.Swap(nil); fn != nil {
			(*fn)()
		}
	}
	return f.FS.Rename(oldname, newname)
}

// hold keeps tables from being made until release.
func (f *rotationFS) hold() (release func()) {
	held := make(chan struct{})
	f.held.Store(&held)
	return func() {
		f.held.Store(nil)
		close(held)
	}
}

// TestTrimWhileALogIsBegun: a disk that is short has all logs removed that are not needed,
// but none of a memtable that is not flushed, also when another log is just being begun,
// which Pebble does not count yet.
func TestTrimWhileALogIsBegun(t *testing.T) {
	fs := &rotationFS{FS: vfs.NewMem()}
	s, err := Open(t.Context(), "d", &Options{FS: fs, DiskReserve: -1, tick: make(chan time.Time)})
	require.NoError(t, err)
	o := s.turn.Load()
	put := func(key string) {
		require.NoError(t, s.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
			return x.Put([]byte(key), []byte("v"))
		}))
	}
	var flushed <-chan struct{}
	release := fs.hold()
	for i := range 3 { // logs that are not needed any more together
		put(fmt.Sprint("flushed ", i))
		flushed, err = o.db.AsyncFlush()
		require.NoError(t, err)
	}
	release()
	<-flushed
	require.Eventually(t, func() bool { return o.db.Metrics().WAL.Files == 1 }, 10*time.Second, time.Millisecond)

	put("acknowledged")
	logs := o.guard.Logs()
	live := logs[len(logs)-1]
	release = fs.hold() // its memtable stays
	trimmed := make(chan struct{})
	tick := func() {
		go func() {
			defer close(trimmed)
			o.reclaimer.trimLogs(time.Now(), true)
		}()
		select {
		case <-trimmed:
		case <-time.After(time.Second): // it waits for the rotation, so that it is about to remove something
		}
	}
	fs.begun.Store(&tick)
	flushed, err = o.db.AsyncFlush()
	require.NoError(t, err)
	<-trimmed
	_, err = fs.Stat(live)
	require.NoError(t, err, "recovery needs it")

	o.reclaimer.trimLogs(time.Now(), true)
	require.Equal(t, live, o.guard.Logs()[0], "now that Pebble counts both, what is needless goes")
	release()
	<-flushed
	require.NoError(t, s.Close())
}

// TestClosedStoreKeepsNoSpareLogs: what is kept to be written over is removed with the
// last look, before the store is closed.
func TestClosedStoreKeepsNoSpareLogs(t *testing.T) {
	fs := vfs.NewMem()
	s, err := Open(t.Context(), "d", &Options{FS: fs, DiskReserve: -1, tick: make(chan time.Time)})
	require.NoError(t, err)
	o := s.turn.Load()
	for i := range 5 {
		require.NoError(t, s.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
			return x.Put(fmt.Append(nil, i), []byte("v"))
		}))
		flushed, err := o.db.AsyncFlush()
		require.NoError(t, err)
		<-flushed
	}
	logs := func() (n int) {
		names, err := fs.List("d")
		require.NoError(t, err)
		for _, name := range names {
			if strings.HasSuffix(name, ".log") {
				n++
			}
		}
		return n
	}
	require.Greater(t, logs(), 1)
	require.NoError(t, s.Close())
	require.Equal(t, 1, logs())
	s, err = Open(t.Context(), "d", &Options{FS: fs, DiskReserve: -1})
	require.NoError(t, err)
	for i := range 5 {
		found, err := s.Get(t.Context(), fmt.Append(nil, i), func([]byte) error { return nil })
		require.NoError(t, err)
		require.True(t, found)
	}
	require.NoError(t, s.Close())
}

// TestLogsThatRecoveryNeeds has the power fail while logs are begun, written over and
// removed as fast as can be: all that was acknowledged by then is there.
func TestLogsThatRecoveryNeeds(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	disk := vfs.NewCrashableMem()
	s, err := Open(t.Context(), "d", &Options{FS: disk, DiskReserve: -1, tick: make(chan time.Time)})
	require.NoError(t, err)
	o := s.turn.Load()
	key := func(w, n int) []byte { return fmt.Appendf(nil, "%d/%06d", w, n) }
	const writers = 3
	var acked [writers]atomic.Int64
	var running sync.WaitGroup
	stop := make(chan struct{})
	run := func(step func()) {
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					step()
				}
			}
		})
	}
	for w := range writers {
		n := 0
		run(func() {
			err := s.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
				return x.Put(key(w, n), []byte("v"))
			})
			if err != nil {
				t.Error(err)
			}
			n++
			acked[w].Store(int64(n))
		})
	}
	run(func() {
		if flushed, err := o.db.AsyncFlush(); err != nil {
			t.Error(err)
		} else {
			<-flushed
		}
	})
	shorts := rand.New(rand.NewPCG(seed, 1))
	run(func() { o.reclaimer.trimLogs(time.Now(), shorts.IntN(4) == 0) })
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		time.Sleep(time.Duration(rng.IntN(int(5 * time.Millisecond)))) // any moment will do
		var promised [writers]int64
		for w := range writers {
			promised[w] = acked[w].Load()
		}
		crashed := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(3) * 45, RNG: rng})
		after, err := Open(t.Context(), "d", &Options{FS: crashed, DiskReserve: -1})
		require.NoError(t, err)
		for w, most := range promised {
			// A log that is lost takes those of a moment with it.
			for n := max(0, most-300); n < most; n++ {
				found, err := after.Get(t.Context(), key(w, int(n)), func([]byte) error { return nil })
				require.NoError(t, err)
				require.True(t, found, "%s of %d", key(w, int(n)), most)
			}
		}
		require.NoError(t, after.Close())
	}
	close(stop)
	running.Wait()
	require.NoError(t, s.Close())
}
