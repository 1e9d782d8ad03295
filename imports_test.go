package shelflife_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/shelflife-db/shelflife"

// layers say what each part of the module may import of the others; a package
// belongs to the part with the longest matching path, and may import the
// packages of its own part.
var layers = map[string][]string{
	"ttl":                 {},
	"encoding":            {},
	"backend":             {},
	"backend/backendtest": {"backend"},
	"backend/memory":      {"backend"},
	"backend/pebble":      {"backend"},
	"backend/postgres":    {"backend"},
	"catalog":             {"backend", "encoding", "ttl"},
	"httpadapter":         {"backend", "encoding", "ttl", "catalog"},
	// The dashboard shows what the API of the library shows, and nothing else.
	"httpadapter/dashboard": {"ttl", "catalog", "httpadapter"},
	"httpadapter/admin":     {"catalog"},
	// It is for other processes.
	"httpadapter/client": {},
	"cmd": {
		"backend", "encoding", "ttl", "catalog", "httpadapter", "httpadapter/admin", "httpadapter/dashboard",
		"backend/memory", "backend/pebble", "backend/postgres",
	},
	// Programs as others write them: what is for the module alone is not for them.
	"examples": {
		"ttl", "catalog", "httpadapter", "httpadapter/dashboard", "backend/memory", "backend/pebble", "backend/postgres",
	},
	".": {}, // the package comment
	// A program that has no store.
	"examples/importer": {"httpadapter/client"},
}

// engines are the modules of storage engines.
var engines = []string{"github.com/cockroachdb/", "github.com/jackc/", "github.com/dgraph-io/", "go.etcd.io/bbolt", "github.com/syndtr/goleveldb"}

// projectImports returns the imports of each package of the module, by path
// within it, tests and other modules left out.
func projectImports(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string]map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if file == "." {
				return nil
			}
			name := d.Name()
			if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" {
				return filepath.SkipDir
			}
			if nested, _ := filepath.Glob(filepath.Join(file, "go.mod")); nested != nil {
				return filepath.SkipDir
			}
			return nil
		case !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(file))
		if imports[pkg] == nil {
			imports[pkg] = map[string]bool{}
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports[pkg][imported] = true
		}
		return nil
	})
	require.NoError(t, err)
	sorted := map[string][]string{}
	for pkg, set := range imports {
		sorted[pkg] = slices.Sorted(maps.Keys(set))
	}
	return sorted
}

// layerOf returns the part that a package belongs to, "" if none.
func layerOf(pkg string) string {
	if pkg == "." {
		return pkg
	}
	for p := pkg; p != "."; p = path.Dir(p) {
		if _, ok := layers[p]; ok {
			return p
		}
	}
	return ""
}

// violations returns what breaks the direction of imports, a line each.
func violations(imports map[string][]string) []string {
	var out []string
	for _, pkg := range slices.Sorted(maps.Keys(imports)) {
		layer := layerOf(pkg)
		if layer == "" {
			out = append(out, pkg+" belongs to no layer")
			continue
		}
		for _, imported := range imports[pkg] {
			inside, ok := strings.CutPrefix(imported, module+"/")
			if !ok {
				continue
			}
			if to := layerOf(inside); to != layer && !slices.Contains(layers[layer], to) {
				out = append(out, pkg+" imports "+inside)
			}
		}
	}
	return out
}

func TestImportsRunOneWay(t *testing.T) {
	imports := projectImports(t)
	for _, pkg := range []string{"backend", "backend/memory", "backend/pebble", "backend/postgres", "encoding", "ttl", "catalog"} {
		require.Contains(t, imports, pkg, "the walk must find the packages")
	}
	require.Empty(t, violations(imports))
}

func TestImportsAgainstTheDirectionAreFound(t *testing.T) {
	require.Equal(t, []string{
		"backend/pebble imports encoding",
		"catalog imports backend/pebble",
		"catalog/internal/x imports httpadapter",
		"elsewhere belongs to no layer",
		"encoding imports backend",
		"ttl imports encoding",
	}, violations(map[string][]string{
		"backend/pebble":     {"fmt", module + "/backend", module + "/encoding"},
		"catalog":            {module + "/backend", module + "/backend/pebble", module + "/catalog/internal/x"},
		"catalog/internal/x": {module + "/httpadapter"},
		"elsewhere":          {"fmt"},
		"encoding":           {module + "/backend"},
		"ttl":                {module + "/encoding"},
	}))
}

// The contract of backends is for engines of other modules too, and the client for
// programs that have no store.
func TestWhatUsesTheStandardLibraryAlone(t *testing.T) {
	imports := projectImports(t)
	for _, pkg := range []string{"backend", "httpadapter/client"} {
		require.NotEmpty(t, imports[pkg])
		for _, imported := range imports[pkg] {
			first, _, _ := strings.Cut(imported, "/")
			require.NotContains(t, first, ".", "%s imports %s", pkg, imported)
		}
	}
}

func TestNoEngineIsPulledIn(t *testing.T) {
	imports := projectImports(t)
	for _, pkg := range []string{"catalog", "backend", "encoding", "ttl", "httpadapter"} {
		t.Run(pkg, func(t *testing.T) {
			seen := map[string]bool{}
			var visit func(pkg string)
			visit = func(pkg string) {
				if seen[pkg] {
					return
				}
				seen[pkg] = true
				for _, imported := range imports[pkg] {
					for _, engine := range engines {
						require.False(t, strings.HasPrefix(imported, engine), "%s imports %s", pkg, imported)
					}
					if inside, ok := strings.CutPrefix(imported, module+"/"); ok {
						visit(inside)
					}
				}
			}
			visit(pkg)
		})
	}
}
