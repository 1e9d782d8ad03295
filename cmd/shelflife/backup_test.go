package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// makeAgedStore makes a store of some products, as of a time ago.
func makeAgedStore(t *testing.T, ago time.Duration) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "store")
	b, err := pebble.Open(t.Context(), dir, nil)
	require.NoError(t, err)
	o := &catalog.Options{Clock: ttl.NewManualClock(time.Now().Add(-ago))}
	c, err := catalog.Open(t.Context(), b, o)
	require.NoError(t, err)
	for id, days := range map[string]int{"short": 3, "long": 300} {
		_, err := c.Upsert(t.Context(), testAccount, id, catalog.Patch{
			Images:       catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1.jpg"}}),
			ValidForDays: catalog.Set(days),
		})
		require.NoError(t, err)
	}
	require.NoError(t, c.Close())
	return dir
}

func TestBackupAndRestore(t *testing.T) {
	dir, folder := makeAgedStore(t, 0), t.TempDir()
	file := filepath.Join(folder, "a.backup")
	status, out, errs := execute(t, nil, "backup", "--data", dir, file)
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, out, "products        2\n")
	require.Contains(t, out, "written to      "+file+"\n")
	kept, err := os.ReadFile(file)
	require.NoError(t, err)

	status, _, errs = execute(t, nil, "backup", "--data", dir, file)
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "exists")
	status, _, errs = execute(t, nil, "backup", "--data", dir, filepath.Join(folder, "no", "b.backup"))
	require.Equal(t, exitFailure, status, errs)
	status, _, errs = execute(t, nil, "backup", "--store", "postgres://u:secret@h/d", "-")
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "pg_dump")
	require.NotContains(t, errs, "secret")
	status, out, errs = execute(t, nil, "backup", "--data", dir, folder)
	require.Equal(t, exitOK, status, errs)
	require.Regexp(t, `written to      .*shelflife-\d{8}T\d{6}\.\d{3}Z\.backup\n`, out)
	status, out, errs = execute(t, nil, "backup", "--data", dir, "-")
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, errs, "written to      standard output\n")
	require.True(t, strings.HasPrefix(out, "shelflife backup 1\n"))
	names, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, names, 2, "nothing is left of what failed")

	to := filepath.Join(t.TempDir(), "to")
	status, restored, errs := execute(t, strings.NewReader(out), "restore", "-", "--data", to)
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, restored, "products        2, of which 0 have expired\n")
	status, _, errs = execute(t, nil, "restore", file, "--data", to)
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "not empty")
	status, _, errs = execute(t, nil, "check", "--data", to)
	require.Equal(t, exitOK, status, errs)

	damaged := bytes.Clone(kept)
	damaged[len(damaged)/2]++
	to = filepath.Join(t.TempDir(), "to")
	for _, bad := range [][]byte{damaged, kept[:len(kept)-1], nil} {
		status, _, errs = execute(t, bytes.NewReader(bad), "restore", "-", "--data", to)
		require.Equal(t, exitFailure, status)
		require.Contains(t, errs, "not an intact backup")
		names, err := os.ReadDir(to)
		require.NoError(t, err)
		require.Empty(t, names)
	}
	status, _, errs = execute(t, bytes.NewReader(kept), "restore", "-", "--data", to)
	require.Equal(t, exitOK, status, errs)
}

// TestRestoreOfAnOldBackup: what has expired since is told, and can be kept.
func TestRestoreOfAnOldBackup(t *testing.T) {
	const age = 10 * 24 * time.Hour
	fresh := makeAgedStore(t, 0)
	for _, extend := range []bool{false, true} {
		// As a backup of ten days ago would have it.
		var b bytes.Buffer
		writeOldBackup(t, makeAgedStore(t, age), time.Now().Add(-age), &b)
		to := filepath.Join(t.TempDir(), "to")
		args := []string{"restore", "-", "--data", to}
		if extend {
			args = append(args, "--extend-lifetimes")
		}
		status, out, errs := execute(t, &b, args...)
		require.Equal(t, exitOK, status, errs)
		require.Contains(t, out, ", 10 days ago\n")
		require.Contains(t, out, "products        2, of which 1 have expired\n")
		want := 1
		if extend {
			require.Contains(t, out, "extended        2 lifetimes, by 10 days\n")
			want = 2
		} else {
			require.Contains(t, out, "--extend-lifetimes")
		}
		require.Equal(t, want, countLive(t, to))
	}
	require.Equal(t, 2, countLive(t, fresh))
}

// writeOldBackup writes a backup as it was taken then.
func writeOldBackup(t *testing.T, dir string, then time.Time, b *bytes.Buffer) {
	t.Helper()
	store, err := pebble.Open(t.Context(), dir, nil)
	require.NoError(t, err)
	c, err := store.Checkpoint(t.Context())
	require.NoError(t, err)
	_, err = c.Write(t.Context(), b, then)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, store.Close())
}

// countLive returns how many products live in a store.
func countLive(t *testing.T, dir string) int {
	t.Helper()
	cat, err := openForCheck(t.Context(), place{dir: dir})
	require.NoError(t, err)
	defer func() { require.NoError(t, cat.Close()) }()
	stats, err := cat.Stats(t.Context(), testAccount)
	require.NoError(t, err)
	return stats.Products
}
