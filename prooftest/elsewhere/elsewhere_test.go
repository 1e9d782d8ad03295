// Package elsewhere type-checks Shelflife, its tests and all that they depend on
// for systems that the tests do not run on: where an int has 32 bits, and where the
// system's calls are others.
//
// It reads sources instead of compiling them. `go vet` and `go build` with GOOS and
// GOARCH set find the same faults, and take minutes for each target on a machine that
// has compiled nothing for it before.
package elsewhere

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

func TestTargets(t *testing.T) {
	for _, target := range []string{"linux/386", "linux/arm64", "windows/amd64", "darwin/arm64"} {
		t.Run(target, func(t *testing.T) {
			checked, faults := check(t, target, "../..", nil)
			require.Empty(t, faults)
			require.Greater(t, checked, 50, "packages of ours")
		})
	}
}

// TestFaultsAreFound has the check find what only shows elsewhere.
func TestFaultsAreFound(t *testing.T) {
	for name, c := range map[string]struct{ target, file, text, fault string }{
		"a test's int of 64 bits": {"linux/386", "../../ttl/elsewhere_test.go",
			"package ttl\n\nvar long int = 1 << 40\n", "(overflows)"},
		"a call of another system": {"windows/amd64", "../../ttl/elsewhere.go",
			"package ttl\n\nimport \"syscall\"\n\nvar call = syscall.Flock\n", "undefined: syscall.Flock"},
		"a file for the system alone": {"darwin/arm64", "../../ttl/elsewhere_darwin.go",
			"package ttl\n\nvar _ = absent\n", "undefined: absent"},
	} {
		t.Run(name, func(t *testing.T) {
			_, faults := check(t, c.target, "../../ttl", map[string][]byte{c.file: []byte(c.text)})
			require.Contains(t, strings.Join(faults, "\n"), c.fault)
		})
	}
}

// check type-checks the packages in and below dir for a target, with overlay's files
// beside those on disk, and returns how many packages it was and what is wrong.
func check(t *testing.T, target, dir string, overlay map[string][]byte) (checked int, faults []string) {
	system, arch, _ := strings.Cut(target, "/")
	config := &packages.Config{
		Context: t.Context(),
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedDeps | packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesSizes | packages.NeedTypesInfo,
		Dir:     dir,
		Env:     append(os.Environ(), "GOOS="+system, "GOARCH="+arch, "CGO_ENABLED=0"),
		Tests:   true,
		Overlay: map[string][]byte{},
	}
	for file, text := range overlay {
		path, err := filepath.Abs(file)
		require.NoError(t, err)
		config.Overlay[path] = text
	}
	found, err := packages.Load(config, "./...")
	require.NoError(t, err)
	packages.Visit(found, nil, func(p *packages.Package) {
		for _, fault := range p.Errors {
			faults = append(faults, fault.Error())
		}
	})
	return len(found), faults
}
