package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// folderState returns the names in a folder, with times, and what their files
// hold.
func folderState(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	state := map[string]string{}
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		data := []byte("a folder")
		if !e.IsDir() {
			data, err = os.ReadFile(filepath.Join(dir, e.Name()))
			require.NoError(t, err)
		}
		state[e.Name()] = info.Mode().String() + info.ModTime().String() + string(data)
	}
	return state
}

// killedStore returns the folder of a store whose server was killed: a use stands
// in the journal, and a log is to be replayed.
func killedStore(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	s := startServer(t, "--data", dir)
	require.Equal(t, http.StatusCreated, s.do("POST", "/products", `{"externalId":"p","images":[{"source":{"url":"https://c.example/1.jpg"}}],"validForDays":3}`).status)
	require.Equal(t, http.StatusOK, s.do("POST", "/uses", `{"externalId":"p"}`).status)
	s.kill()
	return dir
}

// TestCheckChangesNothing, whatever state the store is in.
func TestCheckChangesNothing(t *testing.T) {
	for name, dir := range map[string]string{"closed": makeStore(t), "killed": killedStore(t)} {
		t.Run(name, func(t *testing.T) {
			before := folderState(t, dir)
			status, out, errs := execute(t, nil, "check", "--data", dir)
			require.Equal(t, exitOK, status, errs)
			require.Contains(t, out, "broken          0\n")
			require.Equal(t, before, folderState(t, dir))
		})
	}
}

// TestServeReadOnly: reads are answered, writes and uploads are refused, /healthz
// says that all is well, a check may run at the same time, and the folder is left
// as it is.
func TestServeReadOnly(t *testing.T) {
	dir := killedStore(t)
	before := folderState(t, dir)
	s := startServer(t, "--data", dir, "--read-only")
	require.Equal(t, http.StatusOK, s.do("GET", "/products/p", "").status)
	require.Equal(t, http.StatusOK, s.do("GET", "/products", "").status)
	require.Equal(t, http.StatusOK, s.do("GET", "/healthz", "").status)
	for _, request := range [][3]string{
		{"POST", "/products", `{"externalId":"p","title":"x"}`},
		{"POST", "/uses", `{"externalId":"p"}`},
		{"POST", "/products/p/use", ``},
		{"DELETE", "/products/p", ``},
	} {
		a := s.do(request[0], request[1], request[2])
		require.Equal(t, http.StatusServiceUnavailable, a.status, request)
		require.Contains(t, string(a.body), `"UNAVAILABLE"`)
	}
	status, _, errs := spawn(t, "check", "--data", dir)
	require.Equal(t, exitOK, status, errs)
	s.stop()
	require.Equal(t, before, folderState(t, dir))
}

// TestMustExist: no command makes a store where one must be, nor among other
// files.
func TestMustExist(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "volume")
	foreign := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(foreign, "passwd"), []byte("x"), 0o600))
	file := filepath.Join(t.TempDir(), "products.jsonl")
	require.NoError(t, os.WriteFile(file, []byte(`{"externalId":"p","images":[{"source":{"url":"https://c.example/1.jpg"}}]}`), 0o600))
	serve := []string{"serve", "--addr", "127.0.0.1:0", "--api-key", "a=a-key-that-is-long", "--data"}
	imports := []string{"import", "--account", "a", file, "--data"}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"serve":                 {append(serve[:6:6], absent, "--must-exist"), "there is no store in " + absent},
		"serve for reading":     {append(serve[:6:6], absent, "--read-only"), "there is no store in " + absent},
		"import":                {append(imports[:5:5], absent, "--must-exist"), "there is no store in " + absent},
		"check":                 {[]string{"check", "--data", absent}, "there is no store in " + absent},
		"serve among others":    {append(serve[:6:6], foreign), `holds other files and no store ("passwd")`},
		"serve reads no others": {append(serve[:6:6], foreign, "--read-only"), `holds other files and no store ("passwd")`},
		"import among others":   {append(imports[:5:5], foreign), `holds other files and no store ("passwd")`},
		"check of others":       {[]string{"check", "--data", foreign}, `holds other files and no store ("passwd")`},
		"samples to read":       {[]string{"serve", "--demo", "--read-only"}, "--demo writes its samples"},
	} {
		t.Run(name, func(t *testing.T) {
			before := folderState(t, foreign)
			status, out, errs := execute(t, bytes.NewReader(nil), c.args...)
			require.Equal(t, exitFailure, status, errs)
			require.Empty(t, out)
			require.Contains(t, errs, c.says)
			require.NoDirExists(t, absent)
			require.Equal(t, before, folderState(t, foreign))
		})
	}
}
