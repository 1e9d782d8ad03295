package pebble

import (
	"fmt"
	"strings"
	"testing"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// heldTables is a file system on which no table is made until it is let go.
type heldTables struct {
	vfs.FS
	let chan struct{}
}

func (f heldTables) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") {
		<-f.let
	}
	return f.FS.Create(name, category)
}

// manyLogs returns a store that a crash left with several logs, of so many writes
// each, none of which is in a table. A write is value n under key n, and a new value
// of the key "last".
func manyLogs(t *testing.T, logs, writes int) *vfs.MemFS {
	t.Helper()
	disk := vfs.NewCrashableMem()
	o, err := (&Options{FS: disk, MemTableSize: 4 << 20}).withDefaults()
	require.NoError(t, err)
	held := heldTables{disk, make(chan struct{})}
	e := engineOptions(o)
	e.FS, e.DisableAutomaticCompactions = held, true
	db, err := crdb.Open("d", e)
	require.NoError(t, err)
	for n := range logs * writes {
		b := db.NewBatch()
		require.NoError(t, b.Set(fmt.Appendf(nil, "key/%05d", n), []byte(strings.Repeat(fmt.Sprint(n, " "), 400)), nil))
		require.NoError(t, b.Set([]byte("last"), fmt.Append(nil, n), nil))
		require.NoError(t, b.Commit(crdb.Sync))
		if n%writes == writes-1 && n < logs*writes-1 {
			_, err := db.AsyncFlush()
			require.NoError(t, err)
		}
	}
	left := disk.CrashClone(vfs.CrashCloneCfg{})
	close(held.let)
	require.NoError(t, db.Close())
	require.Len(t, namesOf(t, left, ".log"), logs)
	return left
}

// TestDamagedLog opens a store one of whose logs is damaged in its middle. Open
// refuses it; OpenDamaged shows what it was just before the write that is damaged.
func TestDamagedLog(t *testing.T) {
	const logs, writes = 3, 100
	disk := manyLogs(t, logs, writes)
	names := namesOf(t, disk, ".log")
	for i, name := range names {
		for what, damage := range map[string]func([]byte) []byte{
			"bit": func(b []byte) []byte { b[len(b)/3] ^= 1; return b },
			"zeros": func(b []byte) []byte {
				clear(b[len(b)/3 : len(b)/3+5000])
				return b
			},
			"begins with damage": func(b []byte) []byte { b[5] ^= 1; return b },
			"cut off":            func(b []byte) []byte { return b[:len(b)/2] },
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				fs := disk.CrashClone(vfs.CrashCloneCfg{})
				rewrite(t, fs, fs.PathJoin("d", name), damage)
				_, err := Open(t.Context(), "d", &Options{FS: fs, ReadOnly: true})
				lastIsCut := i == logs-1 && what == "cut off"
				if lastIsCut {
					require.NoError(t, err, "as a crash leaves it")
				} else {
					require.Error(t, err)
				}
				s := openLayered(t, fs)
				_, found := damageOf(t, s)
				last := found["last"]
				delete(found, "last")
				n := len(found)
				for k := range n {
					require.NotEmpty(t, found[fmt.Sprintf("key/%05d", k)], "not the first %d writes", n)
				}
				if n > 0 {
					require.Equal(t, fmt.Sprint(n-1), last)
				}
				require.GreaterOrEqual(t, n, i*writes, "what the logs before hold")
				require.Less(t, n, (i+1)*writes)
				if what != "begins with damage" {
					require.Greater(t, n, i*writes+writes/5)
				}
				if lastIsCut {
					require.Empty(t, s.LostFrom())
				} else {
					require.Equal(t, name, s.LostFrom())
					require.Len(t, s.Faults(), 1)
				}
			})
		}
	}
}

// A log that is kept to be written over, and holds nothing that is needed, costs
// nothing where it is damaged, though another must be cut.
func TestDamagedLogThatIsNotNeeded(t *testing.T) {
	l := layer(t)
	logs := namesOf(t, l.disk, ".log")
	require.Greater(t, len(logs), 1)
	fs := l.disk.CrashClone(vfs.CrashCloneCfg{})
	for _, old := range logs[:len(logs)-1] {
		rewrite(t, fs, fs.PathJoin("d", old), func(b []byte) []byte {
			require.Greater(t, len(b), 1000)
			b[5] ^= 1
			return b
		})
	}
	s := openLayered(t, fs)
	require.Empty(t, s.LostFrom())
	met, found := damageOf(t, s)
	require.Empty(t, met)
	require.Equal(t, l.want, found)

	rewrite(t, fs, fs.PathJoin("d", logs[len(logs)-1]), func(b []byte) []byte { b[5] ^= 1; return b })
	s = openLayered(t, fs)
	require.Equal(t, logs[len(logs)-1], s.LostFrom())
	_, found = damageOf(t, s)
	require.Greater(t, len(found), len(l.want)-50, "the tables are all there")
}
