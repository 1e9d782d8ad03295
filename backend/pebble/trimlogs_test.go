package pebble

import (
	"context"
	"fmt"
	"strings"
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
