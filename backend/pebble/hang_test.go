package pebble_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// hangingDisk holds up syncs of the log until it is released.
type hangingDisk struct {
	hang    atomic.Bool
	release chan struct{}
}

func (d *hangingDisk) String() string { return "hanging disk" }

func (d *hangingDisk) MaybeError(op errorfs.Op) error {
	if d.hang.Load() && suffix(".log")(op.Path) && slices.Contains(syncs, op.Kind) {
		<-d.release
	}
	return nil
}

// TestHangingSync: whoever would have to sync a Buffered commit of another gets
// away when its context ends, though the disk hangs. Close waits for the disk,
// nothing is left behind and nothing is lost.
func TestHangingSync(t *testing.T) {
	read := func(_ context.Context, x backend.Txn) error {
		_, err := x.Get(context.Background(), key(0, 0), func([]byte) error { return nil })
		return err
	}
	for name, call := range map[string]func(context.Context, backend.Backend) error{
		"Durable": func(ctx context.Context, s backend.Backend) error { return s.Durable(ctx, scope(0)) },
		"Update": func(ctx context.Context, s backend.Backend) error {
			return s.Update(ctx, scope(0), backend.UpdateOptions{}, read)
		},
		"failed Update": func(ctx context.Context, s backend.Backend) error {
			return s.Update(ctx, scope(0), backend.UpdateOptions{}, func(context.Context, backend.Txn) error { return context.Canceled })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := vfs.NewMem()
				disk := &hangingDisk{release: make(chan struct{})}
				s := open(t, errorfs.Wrap(mem, disk))
				require.NoError(t, put(t.Context(), s, 0, 0, backend.UpdateOptions{Buffered: true}))
				disk.hang.Store(true)

				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				result := make(chan error, 1)
				go func() { result <- call(ctx, s) }()
				select {
				case err := <-result:
					require.ErrorIs(t, err, context.DeadlineExceeded)
				case <-time.After(time.Hour): // of the bubble
					t.Error("the call waits for the disk")
				}
				require.NoError(t, s.Ready())

				closed := make(chan error, 1)
				go func() { closed <- s.Close() }()
				synctest.Wait()
				require.Empty(t, closed, "the log is not on the disk")
				disk.hang.Store(false)
				close(disk.release)
				require.NoError(t, <-closed)

				s = open(t, mem)
				require.True(t, has(t, s, 0, 0))
				require.NoError(t, s.Close())
			})
		})
	}
}
