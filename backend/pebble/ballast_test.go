package pebble

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// roomy is a scripted file system whose files can be given room ahead, of which
// nothing else takes any.
type roomy struct {
	scripted
	held atomic.Uint64 // by the ballast
}

func (f *roomy) GetDiskUsage(dir string) (vfs.DiskUsage, error) {
	u, err := f.scripted.GetDiskUsage(dir)
	u.AvailBytes = max(u.AvailBytes, f.held.Load()) - f.held.Load()
	return u, err
}

func (f *roomy) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	if f.PathBase(name) == ballastName {
		file = &roomyFile{file, f}
	}
	return file, err
}

func (f *roomy) Remove(name string) error {
	err := f.FS.Remove(name)
	if err == nil && f.PathBase(name) == ballastName {
		f.held.Store(0)
	}
	return err
}

type roomyFile struct {
	vfs.File
	fs *roomy
}

func (f *roomyFile) Preallocate(_, n int64) error {
	f.fs.held.Store(uint64(n))
	return nil
}

// TestBallast: room is held while there is enough, and given to deletions when
// there is not.
func TestBallast(t *testing.T) {
	const mib = 1 << 20
	fs := &roomy{scripted: scripted{FS: vfs.NewMem(), total: 1 << 40, asked: make(chan struct{}, 1)}}
	fs.free.Store(47 * mib)
	tick := make(chan time.Time)
	options := Options{FS: fs, DiskReserve: 40 * mib, MemTableSize: 512 << 10, tick: tick}
	open := func() *Store {
		s, err := Open(t.Context(), "d", &options)
		require.NoError(t, err)
		return s
	}
	s := open()
	look := func(free uint64) {
		fs.free.Store(free)
		tick <- time.Time{}
		tick <- time.Time{} // the first one's look has ended
	}
	rng, keys := rand.New(rand.NewPCG(1, 2)), 0
	update := func(reclaim bool, n int) error {
		value := make([]byte, n)
		for i := range value {
			value[i] = byte(rng.Uint32()) // which no compression makes smaller
		}
		keys++
		return s.Update(t.Context(), nil, backend.UpdateOptions{Reclaim: reclaim}, func(_ context.Context, x backend.Txn) error {
			return x.Put(fmt.Append(nil, keys), value)
		})
	}
	require.NoError(t, update(false, 1))
	look(47 * mib)
	require.Zero(t, fs.held.Load(), "as much again must stay free beside the reserve")
	look(48 * mib)
	require.EqualValues(t, 4*mib, fs.held.Load())
	require.NoError(t, update(false, 1))

	// It does not count as free.
	look(44*mib - 1)
	require.EqualValues(t, 4*mib, fs.held.Load())
	require.ErrorIs(t, update(false, 1), backend.ErrUnavailable)
	require.NoError(t, update(true, 1))
	look(24 * mib)
	require.EqualValues(t, 4*mib, fs.held.Load())

	look(6 * mib) // and 2 MiB are enough for deletions
	require.NoError(t, update(true, 1))
	require.EqualValues(t, 4*mib, fs.held.Load())

	// The first deletion that would be refused gets it, nothing else does.
	look(4 * mib)
	require.ErrorIs(t, update(false, 1), backend.ErrUnavailable)
	require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
	require.EqualValues(t, 4*mib, fs.held.Load())
	require.NoError(t, update(true, 1))
	require.Zero(t, fs.held.Load())
	require.ErrorIs(t, update(false, 1), backend.ErrUnavailable)
	look(2 * mib)
	require.NoError(t, update(true, 1))
	look(2*mib - 1)
	require.ErrorIs(t, update(true, 1), backend.ErrUnavailable)

	// It is held again, and grows with the store up to its share of the reserve.
	look(1000 * mib)
	require.EqualValues(t, 4*mib, fs.held.Load())
	for range 30 {
		require.NoError(t, update(false, mib))
	}
	look(1000 * mib)
	require.EqualValues(t, 10*mib, fs.held.Load())

	// It is kept over openings, also where there is little room.
	require.NoError(t, s.Close())
	fs.free.Store(12 * mib)
	s = open()
	require.EqualValues(t, 10*mib, fs.held.Load())
	require.NoError(t, update(true, 1))
	require.Zero(t, fs.held.Load())
	look(1000 * mib)
	require.NotZero(t, fs.held.Load())
	require.NoError(t, s.Close())
	options.DiskReserve = -1
	s = open()
	look(1000 * mib)
	require.Zero(t, fs.held.Load(), "it is not wanted any more")
	require.NoError(t, s.Close())
}

// TestNoBallast: where a file is given room and takes up none, there is no file,
// and deletions need half of the reserve; TestDiskReserve has the rest.
func TestNoBallast(t *testing.T) {
	fs := &scripted{FS: vfs.NewMem(), total: 1 << 40, asked: make(chan struct{}, 1)}
	fs.free.Store(1 << 40)
	tick := make(chan time.Time)
	s, err := Open(t.Context(), "d", &Options{FS: fs, tick: tick})
	require.NoError(t, err)
	tick <- time.Time{}
	tick <- time.Time{}
	require.True(t, s.folder.ballast.useless())
	names, err := fs.List("d")
	require.NoError(t, err)
	require.NotContains(t, names, ballastName)
	require.NoError(t, s.Close())
}
