package pebble

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/pebble/internal/diskguard"
)

// The tests of this file look at Pebble alone. Each shows what a workaround
// here is for, and fails with a release of Pebble that does not need it: then
// the workaround goes, with its test. That a workaround works is for the other
// tests.

// workedAround is the release that the workarounds are for. Comments that name
// it mark them.
const workedAround = "v2.1.7"

// TestWorkaroundsAreForThisPebble: another release is to be looked at, and the
// comments with it.
func TestWorkaroundsAreForThisPebble(t *testing.T) {
	module, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	require.Contains(t, string(module), "github.com/cockroachdb/pebble/v2 "+workedAround)
	sources, err := filepath.Glob("*.go")
	require.NoError(t, err)
	internal, err := filepath.Glob("internal/*/*.go")
	require.NoError(t, err)
	tags := 0
	for _, name := range append(sources, internal...) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		tags += strings.Count(string(source), "Pebble "+workedAround)
		require.Equal(t, strings.Count(string(source), "Pebble v"), strings.Count(string(source), "Pebble "+workedAround), name)
	}
	require.Positive(t, tags)
}

// bareLogger ends the process where Pebble asks for it, as its own does.
type bareLogger struct{}

func (bareLogger) Infof(string, ...any)  {}
func (bareLogger) Errorf(string, ...any) {}
func (bareLogger) Fatalf(format string, args ...any) {
	fmt.Printf("Fatalf: "+format+"\n", args...)
	os.Exit(1)
}

// dieEnv makes a test the process that is to die, in the way that it names.
const dieEnv = "SHELFLIFE_TEST_PEBBLE_DIES"

// requireDies runs die, a part of the running test, in a process of its own,
// which must end by Pebble's doing, and returns its output.
func requireDies(t *testing.T, how string, die func()) string {
	t.Helper()
	if os.Getenv(dieEnv) == how {
		die()
		return ""
	}
	if os.Getenv(dieEnv) != "" {
		t.Skip("another is to die")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	top, _, _ := strings.Cut(t.Name(), "/")
	other := exec.CommandContext(t.Context(), self, "-test.run=^"+top+"$", "-test.timeout=1m")
	other.Env = append(os.Environ(), dieEnv+"="+how)
	out, err := other.CombinedOutput()
	require.Error(t, err, "%s", out)
	require.Regexp(t, `Fatalf: |panic: |fatal error: `, string(out))
	require.NotContains(t, string(out), "--- FAIL", "the test failed, rather than Pebble")
	return string(out)
}

// openBare opens Pebble as a Store does, but with nothing in between.
func openBare(t *testing.T, fs vfs.FS) (*crdb.DB, error) {
	t.Helper()
	o, err := (&Options{MemTableSize: minMemTableSize, FS: fs}).withDefaults()
	require.NoError(t, err)
	e := engineOptions(o)
	e.FS, e.Logger = fs, bareLogger{}
	return crdb.Open("d", e)
}

// bareSeparated makes a store with values that lie apart from their keys.
func bareSeparated(t *testing.T, fs vfs.FS) {
	t.Helper()
	db, err := openBare(t, fs)
	require.NoError(t, err)
	for i := range separated {
		require.NoError(t, db.Set(separatedKey(0, i), separatedValue(0, i), nil))
	}
	require.NoError(t, db.Flush())
	require.NoError(t, db.Close())
}

// failing fails operations of a kind on files with a suffix, when on is set.
func failing(fs vfs.FS, on *atomic.Bool, suffix string, is func(errorfs.Op) bool) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if on.Load() && strings.HasSuffix(op.Path, suffix) && is(op) {
			return syscall.EIO
		}
		return nil
	}))
}

func isWrite(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite }
func isRead(op errorfs.Op) bool  { return op.Kind.ReadOrWrite() == errorfs.OpIsRead }

// For diskguard.FS, engineLogger.Fatalf: a failed write of the log or the manifest
// ends the process.
func TestPebbleExitsOnFailedWrites(t *testing.T) {
	for name, c := range map[string]struct {
		suffix string
		is     func(errorfs.Op) bool
	}{
		"log":      {".log", isWrite},
		"manifest": {"", func(op errorfs.Op) bool { return isWrite(op) && strings.Contains(op.Path, "MANIFEST") }},
	} {
		t.Run(name, func(t *testing.T) {
			requireDies(t, name, func() {
				var on atomic.Bool
				db, err := openBare(t, failing(vfs.NewMem(), &on, c.suffix, c.is))
				require.NoError(t, err)
				on.Store(true)
				_ = db.Set([]byte("k"), nil, crdb.Sync)
				_ = db.Flush()
			})
		})
	}
}

// For read.find: Get returns an empty value for one that it could not read.
func TestPebbleForgetsErrorsOfSeparatedValues(t *testing.T) {
	mem := vfs.NewMem()
	bareSeparated(t, mem)
	var on atomic.Bool
	db, err := openBare(t, failing(mem, &on, ".blob", isRead))
	require.NoError(t, err)
	on.Store(true)
	value, closer, err := db.Get(separatedKey(0, 1))
	require.NoError(t, err)
	require.Empty(t, value)
	require.Error(t, closer.Close())
	require.NoError(t, db.Close())
}

// For diskguard.openBlob: a file of separated values without a footer is a
// panic, not an error.
func TestPebblePanicsOnBlobFooter(t *testing.T) {
	mem := vfs.NewMem()
	bareSeparated(t, mem)
	for _, path := range blobFiles(t, mem) {
		rewrite(t, mem, path, footerDamage["cut off"])
	}
	db, err := openBare(t, mem)
	require.NoError(t, err)
	require.Panics(t, func() { _, _, _ = db.Get(separatedKey(0, 1)) })
}

// For folder.refuseIncomplete: Pebble opens a store without its blob files, and
// panics when it needs one.
func TestPebbleMissesBlobFilesLate(t *testing.T) {
	mem := vfs.NewMem()
	bareSeparated(t, mem)
	for _, path := range blobFiles(t, mem) {
		require.NoError(t, mem.Remove(path))
	}
	db, err := openBare(t, mem)
	require.NoError(t, err)
	require.Panics(t, func() { _, _, _ = db.Get(separatedKey(0, 1)) })
}

// For folder.refuseHeadless: Pebble takes a store without its marker for none,
// and removes its tables.
func TestPebbleRemovesHeadlessTables(t *testing.T) {
	mem := vfs.NewMem()
	bareSeparated(t, mem)
	path := blobFiles(t, mem)[0]
	names, err := mem.List("d")
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasPrefix(name, "marker.manifest.") {
			require.NoError(t, mem.Remove(mem.PathJoin("d", name)))
		}
	}
	db, err := openBare(t, mem)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = mem.Stat(path)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// For refuseWithoutLog: Pebble opens a store whose log is missing, without what was
// in it.
func TestPebbleMissesNoLog(t *testing.T) {
	mem := vfs.NewCrashableMem()
	db, err := openBare(t, mem)
	require.NoError(t, err)
	require.NoError(t, db.Set([]byte("table"), nil, crdb.Sync))
	require.NoError(t, db.Flush())
	require.NoError(t, db.Set([]byte("log"), nil, crdb.Sync))
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, db.Close())
	names, err := crashed.List("d")
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			require.NoError(t, crashed.Remove(crashed.PathJoin("d", name)))
		}
	}
	db, err = openBare(t, crashed)
	require.NoError(t, err)
	_, closer, err := db.Get([]byte("table"))
	require.NoError(t, err)
	require.NoError(t, closer.Close())
	_, _, err = db.Get([]byte("log"))
	require.ErrorIs(t, err, crdb.ErrNotFound)
	require.NoError(t, db.Close())
}

// TestOpenedByPebbleItself: a tool of Pebble's has opened the store and begun a log.
func TestOpenedByPebbleItself(t *testing.T) {
	mem := vfs.NewMem()
	s, err := Open(t.Context(), "d", &Options{FS: mem})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	db, err := openBare(t, mem)
	require.NoError(t, err)
	require.NoError(t, db.Set([]byte("k"), nil, crdb.Sync))
	require.NoError(t, db.Flush())
	require.NoError(t, db.Close())
	s, err = Open(t.Context(), "d", &Options{FS: mem})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// For diskguard.FS.Create: Pebble makes a marker before the name of the file
// that it points to is durable.
func TestPebbleMakesMarkersEarly(t *testing.T) {
	var last errorfs.Op
	early := 0
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if isWrite(op) {
			if op.Kind == errorfs.OpCreate && strings.Contains(op.Path, "marker.") && last.Path != "d" {
				early++
			}
			last = op
		}
		return nil
	}))
	db, err := openBare(t, fs)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.Positive(t, early)
}

// For engine.check: Pebble writes the first log of a store in an older format,
// in which damage looks like the end of the log.
func TestPebbleBeginsLogBeforeFormat(t *testing.T) {
	mem := vfs.NewCrashableMem()
	db, err := openBare(t, mem)
	require.NoError(t, err)
	for i := range 100 {
		require.NoError(t, db.Set(fmt.Append(nil, i), make([]byte, 1000), crdb.Sync))
	}
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, db.Close())
	names, err := crashed.List("d")
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			rewrite(t, crashed, crashed.PathJoin("d", name), func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}
	}
	db, err = openBare(t, crashed)
	require.NoError(t, err, "the damage was found")
	_, _, err = db.Get(fmt.Append(nil, 99))
	require.ErrorIs(t, err, crdb.ErrNotFound)
	require.NoError(t, db.Close())
}

// For durability.commit: Pebble takes the bytes of a large batch, with its
// position.
func TestPebbleTakesLargeBatches(t *testing.T) {
	db, err := openBare(t, vfs.NewMem())
	require.NoError(t, err)
	b := db.NewBatch()
	require.NoError(t, b.Set([]byte("k"), make([]byte, minMemTableSize), nil))
	require.NoError(t, db.Apply(b, crdb.NoSync))
	require.Zero(t, b.SeqNum())
	require.NoError(t, b.Close())
	require.NoError(t, db.Close())
}

// For lockDir: Pebble's lock is no lock for its own process, by another name of
// the directory.
func TestPebbleLocksNames(t *testing.T) {
	base := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(base, "store"), 0o700))
	require.NoError(t, os.Symlink("store", filepath.Join(base, "link")))
	first, err := crdb.LockDirectory(filepath.Join(base, "store"), vfs.Default)
	require.NoError(t, err)
	second, err := crdb.LockDirectory(filepath.Join(base, "link"), vfs.Default)
	require.NoError(t, err)
	require.NoError(t, second.Close())
	require.NoError(t, first.Close())
}

// For frozenFS.Lock: Pebble makes its file of the lock where it only reads.
func TestPebbleLocksWhatItReads(t *testing.T) {
	mem := vfs.NewMem()
	bareSeparated(t, mem)
	path := mem.PathJoin("d", lockFile)
	require.NoError(t, mem.Remove(path))
	o, err := (&Options{FS: mem}).withDefaults()
	require.NoError(t, err)
	e := engineOptions(o)
	e.FS, e.Logger, e.ReadOnly = mem, bareLogger{}, true
	db, err := crdb.Open("d", e)
	require.NoError(t, err)
	_, err = mem.Stat(path)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

// For durability.apply: Pebble reports a commit to what it only reads as any
// other that failed.
func TestPebbleReportsWritesToWhatItReads(t *testing.T) {
	mem := vfs.NewMem()
	bareSeparated(t, mem)
	o, err := (&Options{FS: mem}).withDefaults()
	require.NoError(t, err)
	e := engineOptions(o)
	e.FS, e.Logger, e.ReadOnly = mem, bareLogger{}, true
	db, err := crdb.Open("d", e)
	require.NoError(t, err)
	require.ErrorIs(t, db.LogData(nil, nil), crdb.ErrReadOnly)
	require.NoError(t, db.Close())
}

// For privateFS: what Pebble makes others may read.
func TestPebbleFilesAreForAll(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no modes")
	}
	path := filepath.Join(t.TempDir(), "f")
	f, err := vfs.Default.Create(path, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	plain := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(plain, nil, 0o666))
	got, err := os.Stat(path)
	require.NoError(t, err)
	want, err := os.Stat(plain)
	require.NoError(t, err)
	require.Equal(t, want.Mode(), got.Mode())
}

// For gate and stallSublevels: a commit that Pebble holds up can't be cancelled,
// since it takes no context.
var _ interface {
	Apply(*crdb.Batch, *crdb.WriteOptions) error
} = (*crdb.DB)(nil)

// For diskguard.blobFile: where Pebble writes a file of separated values anew and
// can't read it, it panics, in a goroutine of its own, on whose stack is the name
// that inRewrite looks for.
func TestPebblePanicsInRewrite(t *testing.T) {
	for _, how := range []string{"damaged", "failing"} {
		t.Run(how, func(t *testing.T) {
			out := requireDies(t, how, func() { rewriteUnreadable(t, how) })
			_, trace, _ := strings.Cut(out, "panic: ")
			require.Contains(t, trace, "blobFileRewriteCompaction", "not the name that inRewrite looks for")
		})
	}
}

// rewriteUnreadable has Pebble write anew what is damaged, or can't be read.
func rewriteUnreadable(t *testing.T, how string) {
	mem := vfs.NewMem()
	s := openSeparated(t, mem)
	const rounds, kept = 4, 2
	fillSeparated(t, s, rounds)
	require.NoError(t, s.Close())
	if how == "damaged" {
		for _, path := range blobFiles(t, mem) {
			rewrite(t, mem, path, damageValues)
		}
	}
	var unreadable atomic.Bool
	// Values can't be read, what says where they are can.
	values := func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileReadAt && op.Offset < 2*separateFrom }
	o, err := (&Options{FS: failing(mem, &unreadable, ".blob", values)}).withDefaults()
	require.NoError(t, err)
	e := engineOptions(o)
	e.FS, e.Logger = o.FS, bareLogger{}
	e.Experimental.ValueSeparationPolicy = alwaysOld
	ended := make(chan struct{})
	e.EventListener = &crdb.EventListener{BlobFileRewriteEnd: func(crdb.BlobFileRewriteInfo) { close(ended) }}
	db, err := crdb.Open("d", e)
	require.NoError(t, err)
	unreadable.Store(how == "failing")
	deleteBare(t, db, kept, rounds)
	<-ended // not reached where Pebble panics
}

// alwaysOld has Pebble write files anew however young they are.
func alwaysOld() crdb.ValueSeparationPolicy {
	p := separation()
	p.RewriteMinimumAge = 1
	return p
}

// deleteBare deletes rounds of separated values.
func deleteBare(t *testing.T, db *crdb.DB, from, end int) {
	t.Helper()
	for round := from; round < end; round++ {
		for i := range separated {
			require.NoError(t, db.Delete(separatedKey(round, i), nil))
		}
	}
	require.NoError(t, db.Flush())
	require.NoError(t, db.Compact(t.Context(), []byte("0"), []byte("9"), false))
}

// For engine.options: Pebble tries to write a file anew that it can't read, again
// and again.
func TestPebbleRetriesRewrites(t *testing.T) {
	mem := vfs.NewMem()
	s := openSeparated(t, mem)
	const rounds, kept = 4, 2
	fillSeparated(t, s, rounds)
	require.NoError(t, s.Close())
	for _, path := range blobFiles(t, mem) {
		rewrite(t, mem, path, footerDamage["empty"])
	}
	o, err := (&Options{FS: mem}).withDefaults()
	require.NoError(t, err)
	f, err := takeFolder(mem, "d")
	require.NoError(t, err)
	e := newEngine(f, o, diskguard.NewKeeper(mem))
	p := e.options(o)
	p.Experimental.ValueSeparationPolicy = alwaysOld
	var tried atomic.Int32
	again := make(chan struct{})
	p.EventListener.BlobFileRewriteBegin = func(crdb.BlobFileRewriteInfo) {
		if tried.Add(1) == 10 {
			close(again)
		}
	}
	require.NoError(t, e.open(p))
	deleteBare(t, e.db, kept, rounds)
	<-again
	require.NoError(t, e.close())
	require.NoError(t, f.leave())
}

// For opening.checkpoint, which leaves logs out: a log that is written to while it
// is copied is copied with a tear, which is damage.
func TestPebbleCopiesTornLogs(t *testing.T) {
	fs := &tearingFS{FS: vfs.NewMem()}
	db, err := openBare(t, fs)
	require.NoError(t, err)
	write := func(n int) {
		for i := range n {
			require.NoError(t, db.Set([]byte{byte(i)}, make([]byte, 1000), crdb.Sync))
		}
	}
	for range 2 { // the first log is used again for the third
		write(150)
		require.NoError(t, db.Flush())
	}
	write(10)
	torn := func() { write(60) }
	fs.torn.Store(&torn)
	require.NoError(t, db.Checkpoint("copy"))
	require.NoError(t, db.Close())
	require.Nil(t, fs.torn.Load(), "the log was copied")
	_, err = crdb.Open("copy", &crdb.Options{FS: fs, ReadOnly: true, Logger: bareLogger{}, Merger: merger})
	require.ErrorContains(t, err, "replaying WAL")
}

// tearingFS calls torn when a part of a log was read.
type tearingFS struct {
	vfs.FS
	torn atomic.Pointer[func()]
}

func (f *tearingFS) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, o...)
	if err == nil && strings.HasSuffix(name, ".log") {
		file = tearingFile{file, f}
	}
	return file, err
}

type tearingFile struct {
	vfs.File
	fs *tearingFS
}

func (f tearingFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	if n > 0 {
		if torn := f.fs.torn.Swap(nil); torn != nil {
			(*torn)()
		}
	}
	return n, err
}

// For FS.Aside: where the directory of a checkpoint can't be synced Pebble panics.
func TestPebblePanicsOnMarkers(t *testing.T) {
	var on atomic.Bool
	db, err := openBare(t, failing(vfs.NewMem(), &on, "copy", func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileSync }))
	require.NoError(t, err)
	on.Store(true)
	require.Panics(t, func() { _ = db.Checkpoint("copy") })
}
