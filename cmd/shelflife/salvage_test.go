package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
)

// makeDamagedStore makes a store of 1,000 products on the disk, in whose tables a
// byte of one product has changed.
func makeDamagedStore(t *testing.T, id string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "store")
	b, err := pebble.Open(t.Context(), dir, nil)
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), b, nil)
	require.NoError(t, err)
	items := make([]catalog.UpsertItem, 1000)
	for i := range items {
		name := fmt.Sprintf("p%04d", i)
		items[i] = catalog.UpsertItem{ExternalID: name, Patch: catalog.Patch{
			Metadata:     catalog.Set(json.RawMessage(fmt.Sprintf(`"mark %s %x"`, name, bytes.Repeat([]byte{byte(i), byte(i >> 3)}, 500)))),
			Images:       catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1.jpg"}}),
			ValidForDays: catalog.Set(30),
		}}
	}
	for _, r := range c.UpsertMany(t.Context(), testAccount, items) {
		require.NoError(t, r.Err)
	}
	require.NoError(t, c.Close())
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	require.NoError(t, err)
	for _, table := range tables {
		data, err := os.ReadFile(table)
		require.NoError(t, err)
		if at := bytes.Index(data, []byte("mark "+id)); at >= 0 {
			data[at] ^= 1
			require.NoError(t, os.WriteFile(table, data, 0o600))
			return dir
		}
	}
	t.Fatal("no table holds the mark")
	return ""
}

func TestSalvageCommand(t *testing.T) {
	dir := makeDamagedStore(t, "p0500")
	status, out, errs := execute(t, nil, "check", "--data", dir)
	require.Equal(t, exitFailure, status)
	require.Contains(t, out, `product "p0500": its record can't be read`)
	require.Contains(t, errs, "shelflife salvage")
	require.NotContains(t, out+errs, "pebble")

	saved := filepath.Join(t.TempDir(), "saved")
	status, out, errs = execute(t, nil, "salvage", "--data", dir, "--out", saved)
	require.Equal(t, exitRefused, status, errs)
	require.Regexp(t, `^products copied  9\d\d\n`, out)
	require.Contains(t, out, `product "p0500": lost: its record can't be read`)
	status, out, errs = execute(t, nil, "check", "--data", saved)
	require.Equal(t, exitOK, status, out+errs)
	status, _, errs = execute(t, nil, "salvage", "--data", dir, "--out", saved)
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "is not empty")

	// Of a sound store everything.
	again := filepath.Join(t.TempDir(), "again")
	status, out, errs = execute(t, nil, "salvage", "--data", saved, "--out", again)
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, out, "lost             0\n")
	status, _, errs = execute(t, nil, "salvage", "--data", filepath.Join(dir, "none"), "--out", filepath.Join(t.TempDir(), "x"))
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "there is no store")
}

// A store that is damaged in part is served, and said to be once that was met.
func TestHealthOfADamagedStore(t *testing.T) {
	dir := makeDamagedStore(t, "p0500")
	b, err := pebble.Open(t.Context(), dir, nil)
	require.NoError(t, err)
	cat, err := catalog.Open(t.Context(), b, nil)
	require.NoError(t, err)
	defer cat.Close()
	health := func() (int, string) {
		rec := httptest.NewRecorder()
		healthHandler(cat.Ready, cat.Damage).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, healthPath, nil))
		return rec.Code, rec.Body.String()
	}
	status, body := health()
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"status":"ok"}`, body)
	_, err = cat.Get(t.Context(), testAccount, "p0500")
	require.ErrorIs(t, err, catalog.ErrDamaged)
	status, body = health()
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `"status":"damaged"`)
	require.NotContains(t, body, "pebble")
}

// A store that Pebble refuses to open is salvaged too: a table that is cut off or
// missing costs what was in it, and is named. Without the MANIFEST nothing can be
// done, which the message says.
func TestSalvageOfAStoreThatDoesNotOpen(t *testing.T) {
	for _, c := range []struct{ pattern, damage string }{
		{"*.sst", "cut off"}, {"*.sst", "missing"}, {"MANIFEST-*", "damaged"},
	} {
		t.Run(c.pattern+" "+c.damage, func(t *testing.T) {
			dir := makeDamagedStore(t, "p0500")
			files, err := filepath.Glob(filepath.Join(dir, c.pattern))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			data, err := os.ReadFile(files[0])
			require.NoError(t, err)
			switch c.damage {
			case "cut off":
				require.NoError(t, os.WriteFile(files[0], data[:len(data)/2], 0o600))
			case "missing":
				require.NoError(t, os.Remove(files[0]))
			case "damaged":
				data[20] ^= 0xff
				require.NoError(t, os.WriteFile(files[0], data, 0o600))
			}
			before := namesIn(t, dir)
			status, _, errs := execute(t, nil, "check", "--data", dir)
			require.Equal(t, exitFailure, status)
			require.Contains(t, errs, strings.TrimSuffix(filepath.Base(files[0]), ".sst"))

			to := filepath.Join(t.TempDir(), "out")
			status, out, errs := execute(t, nil, "salvage", "--data", dir, "--out", to)
			require.Equal(t, before, namesIn(t, dir), "nothing is made or removed")
			if c.damage == "damaged" {
				require.Equal(t, exitFailure, status)
				require.Contains(t, errs, "the store can't be opened, and nothing was copied")
				require.Contains(t, errs, filepath.Base(files[0]))
				require.NoDirExists(t, to)
				return
			}
			require.Equal(t, exitRefused, status, errs)
			require.Contains(t, out, filepath.Base(files[0]))
			require.Contains(t, out, "possibly stale   0\n")
			status, out, errs = execute(t, nil, "check", "--data", to)
			require.Equal(t, exitOK, status, out+errs)
		})
	}
}

func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
