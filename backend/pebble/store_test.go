package pebble_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0: random")

// newRand returns a source whose seed is logged and can be given with -seed.
func newRand(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// dir is the store's directory in file systems in memory.
const dir = "data/store"

// options are small: the suite opens many stores.
func options(fs vfs.FS) *pebble.Options {
	return &pebble.Options{FS: fs, MemTableSize: 1 << 20, CacheSize: 8 << 20}
}

func open(t testing.TB, fs vfs.FS) *pebble.Store {
	t.Helper()
	s, err := pebble.Open(t.Context(), dir, options(fs))
	require.NoError(t, err)
	return s
}

func TestOpenCreatesDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	s, err := pebble.Open(t.Context(), path, nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.DirExists(t, path)
}

func TestOpenLocked(t *testing.T) {
	for name, c := range map[string]struct {
		fs  vfs.FS
		dir string
	}{
		"disk":   {vfs.Default, t.TempDir()},
		"memory": {vfs.NewMem(), dir},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := pebble.Open(t.Context(), c.dir, options(c.fs))
			require.NoError(t, err)
			_, err = pebble.Open(t.Context(), c.dir, options(c.fs))
			require.ErrorIs(t, err, pebble.ErrLocked)
			require.ErrorContains(t, err, c.dir)
			require.NoError(t, s.Close())
			s, err = pebble.Open(t.Context(), c.dir, options(c.fs))
			require.NoError(t, err)
			require.NoError(t, s.Close())
		})
	}
}

// lockedEnv makes TestSecondProcess the second process, on the directory that
// it names.
const lockedEnv = "SHELFLIFE_TEST_LOCKED_DIR"

func TestSecondProcess(t *testing.T) {
	if path := os.Getenv(lockedEnv); path != "" {
		_, err := pebble.Open(t.Context(), path, nil)
		require.ErrorIs(t, err, pebble.ErrLocked)
		return
	}
	path := t.TempDir()
	s, err := pebble.Open(t.Context(), path, nil)
	require.NoError(t, err)
	requireLockedForOthers(t, path)
	require.NoError(t, s.Close())
}

// requireLockedForOthers checks that another process can't open the store in
// path, by its absolute name.
func requireLockedForOthers(t *testing.T, path string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	second := exec.CommandContext(t.Context(), self, "-test.run=^TestSecondProcess$", "-test.v")
	second.Env = append(os.Environ(), lockedEnv+"="+path)
	out, err := second.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "PASS: TestSecondProcess")
}

// quiet is a logger for stores that are opened without this package.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}

// TestOpenForeign: what can't be a store is refused with its path.
func TestOpenForeign(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	other := t.TempDir()
	db, err := crdb.Open(other, &crdb.Options{Logger: quiet{}})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	for _, path := range []string{file, filepath.Join(file, "below"), other} {
		_, err := pebble.Open(t.Context(), path, nil)
		require.ErrorContains(t, err, path)
		require.NotErrorIs(t, err, pebble.ErrLocked)
	}
}

// TestReopenAfterClose: a closed store has nothing to replay.
func TestReopenAfterClose(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	require.NoError(t, put(t.Context(), s, 0, 0, backend.UpdateOptions{Buffered: true}))
	require.NoError(t, s.Close())
	var log bytes.Buffer
	o := options(fs)
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := pebble.Open(t.Context(), dir, o)
	require.NoError(t, err)
	require.True(t, has(t, s, 0, 0))
	require.NoError(t, s.Close())
	require.Contains(t, log.String(), "replayed 0 keys")
}

func ExampleOpen() {
	ctx := context.Background()
	s, err := pebble.Open(ctx, "data", &pebble.Options{FS: vfs.NewMem()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()

	err = s.Update(ctx, []backend.Scope{{Group: "g", Item: "i"}}, backend.UpdateOptions{},
		func(_ context.Context, x backend.Txn) error { return x.Put([]byte("k"), []byte("v")) })
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := s.Get(ctx, []byte("k"), func(v []byte) error {
		fmt.Printf("%s\n", v)
		return nil
	})
	fmt.Println(found, err)
	// Output:
	// v
	// true <nil>
}
