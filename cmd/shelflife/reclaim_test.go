package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
)

// TestReclaim: nothing of a deleted product is found in the folder afterwards,
// and what lives is.
func TestReclaim(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	const deleted, kept = "Qx7Zp0LmVw3Ks9", "Ab4Yt8RnHc2Je6"
	var out, errs bytes.Buffer
	reclaim := func() int {
		out.Reset()
		errs.Reset()
		return run(t.Context(), []string{"reclaim", "--data", dir}, strings.NewReader(""), &out, &errs)
	}
	require.Equal(t, exitFailure, reclaim())
	require.Contains(t, errs.String(), "there is no store in")
	_, err := os.Stat(dir)
	require.ErrorIs(t, err, os.ErrNotExist, "it makes none")

	c, err := openStore(t.Context(), place{dir: dir}, pebble.Options{CacheSize: defaultCache}, catalog.Options{})
	require.NoError(t, err)
	for _, title := range []string{deleted, kept} {
		_, err = c.Upsert(t.Context(), "acme", title[:3], catalog.Patch{
			Title: catalog.Set(title), Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/a.jpg"}}),
		})
		require.NoError(t, err)
	}
	require.NoError(t, c.Close())
	require.NotEmpty(t, filesWith(t, dir, deleted))
	c, err = openStore(t.Context(), place{dir: dir}, pebble.Options{CacheSize: defaultCache}, catalog.Options{})
	require.NoError(t, err)
	require.NoError(t, c.Delete(t.Context(), "acme", "Qx7"))
	require.NoError(t, c.Close())

	require.Zero(t, reclaim(), errs.String())
	require.Regexp(t, `^\d+ bytes, \d+ before\n$`, out.String())
	require.Empty(t, filesWith(t, dir, deleted))
	require.NotEmpty(t, filesWith(t, dir, kept))
}

func filesWith(t *testing.T, dir, text string) (names []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		if bytes.Contains(data, []byte(text)) {
			names = append(names, e.Name())
		}
	}
	return names
}
