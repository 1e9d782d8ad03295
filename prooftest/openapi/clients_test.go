package openapi

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	// What the generated client needs beside the standard library: nothing else here
	// has the module ask for it.
	_ "github.com/oapi-codegen/nullable"
	_ "github.com/oapi-codegen/runtime"
	"github.com/stretchr/testify/require"
)

// TestClients: clients that are generated from what a server serves create, send what
// is absent, null and a value, upload, page, meet conditions that fail, and name any
// ID, against that server.
func TestClients(t *testing.T) {
	url := serve(t)
	document := filepath.Join(t.TempDir(), "openapi.yaml")
	require.NoError(t, os.WriteFile(document, get(t, url+"/openapi.yaml"), 0o600))
	t.Run("Go", func(t *testing.T) { useGo(t, url, document) })
	t.Run("TypeScript", func(t *testing.T) { useTypeScript(t, url, document) })
}

// useGo builds the client that oapi-codegen makes into the program in
// testdata/goclient, and runs it.
func useGo(t *testing.T, url, document string) {
	dir := t.TempDir()
	generated := filepath.Join(dir, "api.gen.go")
	run(t, ".", "go", "tool", "oapi-codegen", "-config", "testdata/oapi-codegen.yaml", "-o", generated, document)
	program, err := filepath.Abs("testdata/goclient")
	require.NoError(t, err)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(program, "api.gen.go"): generated}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	run(t, ".", "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", filepath.Join(dir, "goclient"), "./testdata/goclient")
	require.Equal(t, "done\n", run(t, ".", filepath.Join(dir, "goclient"), url, key, pixel))
}

// requireNode makes the test of the TypeScript client fail where it would be skipped.
// .ci/run sets it.
const requireNode = "SHELFLIFE_REQUIRE_NODE"

// useTypeScript compiles the program in typescript with what openapi-typescript makes,
// strictly, and runs it.
func useTypeScript(t *testing.T, url, document string) {
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv(requireNode) != "" {
			require.FailNow(t, "npm is not installed, and "+requireNode+" is set")
		}
		t.Skip("skipped: npm is not installed (Debian package npm)")
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "tsconfig.json", "client.ts"} {
		text, err := os.ReadFile(filepath.Join("typescript", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	run(t, dir, "npm", "ci", "--no-audit", "--no-fund")
	run(t, dir, "npx", "openapi-typescript", document, "-o", "api.d.ts")
	run(t, dir, "npx", "tsc")
	require.Equal(t, "done\n", run(t, dir, "node", "out/client.js", url, key, pixel))
}
