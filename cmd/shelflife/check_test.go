package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

const soundReport = `products        2
listed          2
stored images   0
expiry entries  1 (0 stale)
broken          0
`

// makeStore fills a store with a product that is kept and one that expired
// long ago.
func makeStore(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "store")
	b, err := pebble.Open(t.Context(), dir, nil)
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), b, &catalog.Options{Clock: ttl.NewManualClock(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))})
	require.NoError(t, err)
	image := catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1.jpg"}})
	_, err = c.Upsert(t.Context(), testAccount, "kept", catalog.Patch{Images: image})
	require.NoError(t, err)
	_, err = c.Upsert(t.Context(), testAccount, "expired", catalog.Patch{Images: image, ValidForDays: catalog.Set(1)})
	require.NoError(t, err)
	require.NoError(t, c.Close())
	return dir
}

func TestCheckOfASoundStore(t *testing.T) {
	dir := makeStore(t)
	for range 2 { // what has expired is still there the second time
		status, out, errs := execute(t, nil, "check", "--data", dir)
		require.Equal(t, exitOK, status, errs)
		require.Equal(t, soundReport, out)
		require.Empty(t, errs)
	}
}

func TestCheckOfADamagedStore(t *testing.T) {
	dir := makeStore(t)
	b, err := pebble.Open(t.Context(), dir, nil)
	require.NoError(t, err)
	key := encoding.AppendListedKey(nil, testAccount, "nowhere")
	group, item, _ := encoding.ScopeOf(key)
	err = b.Update(t.Context(), []backend.Scope{{Group: group, Item: item}}, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
		return txn.Put(key, encoding.AppendListedValue(nil))
	})
	require.NoError(t, err)
	require.NoError(t, b.Close())

	status, out, errs := execute(t, nil, "check", "--data", dir)
	require.Equal(t, exitFailure, status)
	require.Empty(t, errs)
	require.Contains(t, out, "listed          3\n")
	require.Contains(t, out, "broken          1\n")
	require.Contains(t, out, `account "acme", product "nowhere": `)
}

func TestCheckWhereThereIsNoStore(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent")
	empty := t.TempDir()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	other := filepath.Join(t.TempDir(), "other")
	b, err := pebble.Open(t.Context(), other, nil)
	require.NoError(t, err)
	require.NoError(t, b.Close())
	for name, dir := range map[string]string{"absent": absent, "empty": empty, "a file": file, "an engine's folder without a catalog": other} {
		t.Run(name, func(t *testing.T) {
			status, out, errs := execute(t, nil, "check", "--data", dir)
			require.Equal(t, exitFailure, status)
			require.Empty(t, out)
			require.True(t, strings.HasPrefix(errs, "shelflife: "), errs)
			require.Contains(t, errs, dir)
		})
	}
	require.NoDirExists(t, absent)
	left, err := os.ReadDir(empty)
	require.NoError(t, err)
	require.Empty(t, left)
}

// A damaged table is found whether the store can be opened or not.
func TestCheckOfADamagedFile(t *testing.T) {
	dir := makeStore(t)
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	data, err := os.ReadFile(tables[0])
	require.NoError(t, err)
	for at := 40; at < len(data); at += len(data) / 7 {
		damaged := bytes.Clone(data)
		damaged[at] ^= 0x10
		require.NoError(t, os.WriteFile(tables[0], damaged, 0o600))
		status, out, errs := execute(t, nil, "check", "--data", dir)
		if status == exitOK {
			require.Equal(t, soundReport, out, "nothing that matters was hit")
			continue
		}
		require.Equal(t, exitFailure, status)
		require.Contains(t, out+errs, "shelflife: ")
	}
	require.NoError(t, os.WriteFile(tables[0], data[:len(data)/2], 0o600))
	status, _, errs := execute(t, nil, "check", "--data", dir)
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, filepath.Base(tables[0]))
}
