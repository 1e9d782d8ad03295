package diskguard

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"
)

const logCategory = "pebble-wal"

// roomFS notes what its files are asked to make room for.
type roomFS struct {
	vfs.FS
	asked [][2]int64
}

func (r *roomFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := r.FS.Create(name, c)
	return roomFile{f, r}, err
}

func (r *roomFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := r.FS.ReuseForWrite(oldname, newname, c)
	return roomFile{f, r}, err
}

type roomFile struct {
	vfs.File
	r *roomFS
}

func (f roomFile) Preallocate(offset, length int64) error {
	f.r.asked = append(f.r.asked, [2]int64{offset, length})
	return nil
}

func newGuard(below vfs.FS) *FS {
	return New(below, NewFailure(slog.New(slog.DiscardHandler)), NewKeeper(below))
}

// TestLogsGetRoomInSteps: a log takes no more of the disk than it needs, and a
// step, whatever Pebble asks for.
func TestLogsGetRoomInSteps(t *testing.T) {
	below := &roomFS{FS: vfs.NewMem()}
	g := newGuard(below)
	f, err := g.Create("000001.log", logCategory)
	require.NoError(t, err)
	require.NoError(t, f.Preallocate(0, 35<<20))
	require.Empty(t, below.asked)
	write := func(n int) {
		_, err := f.Write(make([]byte, n))
		require.NoError(t, err)
	}
	write(1)
	write(1<<20 - 1)
	require.Equal(t, [][2]int64{{0, 1 << 20}}, below.asked)
	write(1)
	write(3 << 20)
	require.Equal(t, [][2]int64{{0, 1 << 20}, {1 << 20, 1 << 20}, {2 << 20, 3 << 20}}, below.asked)
	require.NoError(t, f.Close())

	below.asked = nil
	f, err = g.ReuseForWrite("000001.log", "000002.log", logCategory)
	require.NoError(t, err)
	write(4 << 20)
	require.Empty(t, below.asked, "it has that much already")
	write(1 << 20)
	require.Equal(t, [][2]int64{{4<<20 + 1, 1 << 20}}, below.asked)
	require.NoError(t, f.Close())

	// Other files get what they are asked for.
	below.asked = nil
	f, err = g.Create("000003.sst", "pebble-memtable-flush")
	require.NoError(t, err)
	require.NoError(t, f.Preallocate(0, 5))
	write(10)
	require.Equal(t, [][2]int64{{0, 5}}, below.asked)
	require.NoError(t, f.Close())
}

// TestLogsAreDropped: a dropped log is gone, and Pebble gets another where it
// would use it again; one that is used again is not dropped.
func TestLogsAreDropped(t *testing.T) {
	mem := vfs.NewMem()
	g := newGuard(mem)
	for _, name := range []string{"1.log", "2.log", "3.log", "4.log"} {
		f, err := g.Create(name, logCategory)
		require.NoError(t, err)
		_, err = f.Write([]byte("old"))
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	size := func(name string) int64 {
		info, err := mem.Stat(name)
		require.NoError(t, err)
		return info.Size()
	}
	listed := g.Logs()
	require.Equal(t, []string{"1.log", "2.log", "3.log", "4.log"}, listed)
	reuse := func(oldname, newname string) {
		f, err := g.ReuseForWrite(oldname, newname, logCategory)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	reuse("1.log", "5.log")
	require.EqualValues(t, len("old"), size("5.log"), "it is written over")
	g.KeepLogs(listed[:2], 0)
	require.EqualValues(t, len("old"), size("5.log"), "it is in use")
	require.Equal(t, []string{"3.log", "4.log", "5.log"}, g.Logs())
	reuse("2.log", "6.log")
	require.Zero(t, size("6.log"))
	g.FreshLogs(true)
	reuse("3.log", "7.log")
	require.Zero(t, size("7.log"))
	g.FreshLogs(false)
	require.NoError(t, g.Remove("4.log"))
	require.Equal(t, []string{"5.log", "6.log", "7.log"}, g.Logs())
	names, err := mem.List("")
	require.NoError(t, err)
	slices.Sort(names)
	require.Equal(t, []string{"5.log", "6.log", "7.log", newestName}, names)

	g.fail.Fail(errStopping)
	g.KeepLogs(g.Logs(), 0)
	require.Len(t, g.Logs(), 3, "nothing of a store that has failed is removed")
}

// TestKeptLogsAreUsed: a store that goes on beginning logs begins new files only where
// none is kept, though Pebble asks for some of those first that were dropped.
func TestKeptLogsAreUsed(t *testing.T) {
	const kept, room = 2, 5 // of those that Pebble needs no more, and for which it has room
	mem := vfs.NewMem()
	g := newGuard(mem)
	var inUse, waiting []string // waiting are those for use again, as Pebble believes; oldest first
	number := 0
	begin := func() (used bool) {
		number++
		name := fmt.Sprintf("%06d.log", number)
		var f vfs.File
		var err error
		if len(waiting) > 0 {
			f, err = g.ReuseForWrite(waiting[0], name, logCategory)
			waiting = waiting[1:]
		} else {
			f, err = g.Create(name, logCategory)
		}
		require.NoError(t, err)
		info, err := f.Stat()
		require.NoError(t, err)
		_, err = f.Write([]byte(name))
		require.NoError(t, err)
		require.NoError(t, f.Close())
		inUse = append(inUse, name)
		return info.Size() > 0
	}
	flush := func() {
		last := len(inUse) - 1
		for _, name := range inUse[:last] {
			if len(waiting) < room {
				waiting = append(waiting, name)
			} else {
				require.NoError(t, g.Remove(name))
			}
		}
		inUse = inUse[last:]
	}
	for range room {
		require.False(t, begin())
	}
	for range 20 {
		flush()
		listed := g.Logs()
		g.KeepLogs(listed[:len(listed)-len(inUse)], kept)
		require.Len(t, g.Logs(), len(inUse)+kept)
		for range kept {
			require.True(t, begin())
		}
		require.False(t, begin(), "none is left")
		for _, name := range inUse {
			f, err := mem.Open(name)
			require.NoError(t, err)
			text, err := io.ReadAll(f)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			require.Equal(t, name, string(text), "each is a file of its own")
		}
	}

	// When none is to be used again, no other is used for one that was dropped.
	flush()
	listed := g.Logs()
	g.KeepLogs(listed[:len(listed)-len(inUse)], kept)
	g.FreshLogs(true)
	for range room {
		require.False(t, begin())
	}
}

// renamingFS renames a file that is to be written over, and has no descriptor for it
// the first time.
type renamingFS struct {
	vfs.FS
	refused bool
}

func (f *renamingFS) Unwrap() vfs.FS { return f.FS }

func (f *renamingFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if !f.refused {
		f.refused = true
		return nil, errors.Join(syscall.EMFILE, f.Rename(oldname, newname))
	}
	return f.FS.ReuseForWrite(oldname, newname, c)
}

// TestLogIsReusedInTwoSteps: a log that was renamed when there was no descriptor to open it
// is begun once there is one.
func TestLogIsReusedInTwoSteps(t *testing.T) {
	below := &renamingFS{FS: vfs.NewMem()}
	g := newGuard(below)
	f, err := g.Create("1.log", logCategory)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	f, err = g.ReuseForWrite("1.log", "2.log", logCategory)
	require.NoError(t, err)
	require.True(t, below.refused)
	_, err = f.Write([]byte("new"))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.False(t, g.fail.Failed())
	require.Equal(t, []string{"2.log"}, g.Logs())
	info, err := below.Stat("2.log")
	require.NoError(t, err)
	require.EqualValues(t, len("new"), info.Size())
}

// TestNewestLogIsThere cuts the power at each step of beginning logs and removing the
// ones before: the log that the file names, if there is a file, is there with what was
// written to it, whatever else of what was not synced has reached the disk.
func TestNewestLogIsThere(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 0))
		mem := vfs.NewCrashableMem()
		require.NoError(t, mem.MkdirAll("d", 0o700))
		root, err := mem.OpenDir("")
		require.NoError(t, err)
		require.NoError(t, root.Sync())
		begun := "" // the newest log that Pebble had to write to, until it may go
		left := rng.IntN(60)
		var crashed *vfs.MemFS
		step := func() {
			if left--; left == 0 {
				crashed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			}
		}
		g := newGuard(errorfs.Wrap(mem, errorfs.InjectorFunc(func(errorfs.Op) error { step(); return nil })))
		letGo := func() {
			if crashed == nil {
				begun = ""
			}
		}
		var before, newest string // logs
		for i := range 6 {
			name := fmt.Sprintf("d/%06d.log", i+1)
			if newest != "" && rng.IntN(4) == 0 {
				// As an opening does, which has read them.
				letGo()
				require.NoError(t, g.Remove(newest))
				newest = ""
			}
			var f vfs.File
			var err error
			if before != "" && rng.IntN(2) == 0 {
				f, err = g.ReuseForWrite(before, name, logCategory)
				before = ""
			} else if newest != "" && rng.IntN(4) == 0 {
				letGo()
				f, err = g.ReuseForWrite(newest, name, logCategory)
				newest = ""
			} else {
				f, err = g.Create(name, logCategory)
			}
			require.NoError(t, err)
			if crashed == nil {
				begun = name
			}
			_, err = f.Write([]byte(name))
			require.NoError(t, err)
			require.NoError(t, f.Sync())
			if before != "" {
				require.NoError(t, g.Remove(before))
			}
			before, newest = newest, name
			require.NoError(t, f.Close())
		}
		if crashed == nil {
			crashed = mem.CrashClone(vfs.CrashCloneCfg{})
		}
		named, err := NewestLog(crashed, "d")
		require.NoError(t, err)
		if named == "" {
			require.Empty(t, begun, "seed %d: nothing names the log", seed)
			continue
		}
		_, err = crashed.Stat(crashed.PathJoin("d", named))
		require.NoError(t, err, "seed %d", seed)
		require.LessOrEqual(t, crashed.PathBase(begun), named, "seed %d", seed)
	}
}

// TestNewestLogThatCannotBeNamed: where the name can't be written the one before is
// taken back, since that log will be removed.
func TestNewestLogThatCannotBeNamed(t *testing.T) {
	mem := vfs.NewMem()
	full := false
	g := newGuard(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full && op.Kind == errorfs.OpFileWrite && strings.HasPrefix(op.Path, newestName) {
			return syscall.ENOSPC
		}
		return nil
	})))
	begin := func(name string) {
		f, err := g.Create(name, logCategory)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	newest := func() string {
		name, err := NewestLog(mem, "")
		require.NoError(t, err)
		return name
	}
	begin("000001.log")
	require.Equal(t, "000001.log", newest())
	full = true
	begin("000002.log")
	require.Empty(t, newest())
	require.False(t, g.fail.Failed())
	full = false
	begin("000003.log")
	require.Equal(t, "000003.log", newest())

	// Half a name is none.
	f, err := mem.Create(newestName, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write([]byte(newestText("000003.log")[:9]))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.Empty(t, newest())
}
