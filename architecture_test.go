package shelflife_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// declared is what the module declares, tests left out: functions and types by
// name, methods as Type.Method, with and without the name of their package, and
// struct fields as Type.Field.
func declared(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || file != "." && strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		add := func(name string) {
			names[name] = true
			names[parsed.Name.Name+"."+name] = true
		}
		for _, decl := range parsed.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				name := decl.Name.Name
				if decl.Recv != nil {
					name = receiverName(decl.Recv.List[0].Type) + "." + name
				}
				add(name)
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					addSpec(add, spec)
				}
			}
		}
		return nil
	})
	require.NoError(t, err)
	return names
}

func addSpec(add func(string), spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, n := range spec.Names {
			add(n.Name)
		}
	case *ast.TypeSpec:
		add(spec.Name.Name)
		fields := (*ast.FieldList)(nil)
		switch typ := spec.Type.(type) {
		case *ast.StructType:
			fields = typ.Fields
		case *ast.InterfaceType:
			fields = typ.Methods
		}
		if fields == nil {
			return
		}
		for _, f := range fields.List {
			for _, n := range f.Names {
				add(spec.Name.Name + "." + n.Name)
			}
		}
	}
}

// receiverName returns the name of a receiver's type.
func receiverName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiverName(e.X)
	case *ast.IndexExpr:
		return receiverName(e.X)
	case *ast.Ident:
		return e.Name
	default:
		return ""
	}
}

var (
	codeSpan = regexp.MustCompile("`([^`\n]+)`")
	dotted   = regexp.MustCompile(`^\w+\.\w+(\.\w+)?$`)
	firstRow = regexp.MustCompile("(?m)^\\| `([\\w./*-]+)`")
)

// untrue returns what a document names that is not there: files and packages
// where it stands, in the folder of its section or anywhere among places, and
// names of the form Type.Method or package.Name.
func untrue(text string, names map[string]bool, exists func(string) bool) []string {
	var out []string
	for _, m := range codeSpan.FindAllStringSubmatch(text, -1) {
		switch span := m[1]; {
		case strings.HasSuffix(span, ".go") || strings.Contains(span, "/"):
			if !strings.ContainsAny(span, " →") && !exists(span) {
				out = append(out, span)
			}
		case dotted.MatchString(span) && !strings.HasPrefix(span, "shelflife.v"):
			if !names[span] {
				out = append(out, span)
			}
		}
	}
	return out
}

// existsSomewhere reports whether a path, which may be a pattern, is a file or
// folder in the root or in one of the folders that the document is about.
func existsSomewhere(name string) bool {
	for _, dir := range []string{".", "catalog", "backend/pebble"} {
		if found, _ := filepath.Glob(filepath.Join(dir, filepath.FromSlash(name))); found != nil {
			return true
		}
	}
	return false
}

// Every package, file and function that ARCHITECTURE.md names exists.
func TestArchitectureNamesWhatIsThere(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	require.NoError(t, err)
	names := declared(t)
	require.True(t, names["Catalog.lookLive"] && names["uses.Overlay.Add"], "the walk must find methods")
	require.Empty(t, untrue(string(text), names, existsSomewhere))
}

// And every package of the module has its row.
func TestArchitectureHasEveryRoom(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	require.NoError(t, err)
	rows := map[string]bool{}
	for _, m := range firstRow.FindAllStringSubmatch(string(text), -1) {
		rows[m[1]] = true
	}
	for pkg := range projectImports(t) {
		if layerOf(pkg) == "" || path.Base(pkg) == "testdata" {
			continue
		}
		if strings.HasPrefix(pkg, "examples/") {
			pkg = "examples" // one row for all
		}
		name := strings.TrimPrefix(pkg, "backend/pebble/")
		require.True(t, rows[pkg] || rows[name], "ARCHITECTURE.md has no row for %s", pkg)
	}
}

func TestUntrueNamesAreFound(t *testing.T) {
	names := map[string]bool{"Catalog.Get": true}
	exists := func(name string) bool { return name == "catalog/read.go" }
	require.Equal(t, []string{"Catalog.Gett", "catalog/gone.go"},
		untrue("`Catalog.Get`, `Catalog.Gett`, `catalog/read.go`, `catalog/gone.go`, `fn`", names, exists))
}
