package shelflife_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// No exported function or method returns a pointer to a type of error: passed
// on as an error, a nil one is not nil.
func TestNoTypedNilErrors(t *testing.T) {
	files := token.NewFileSet()
	isError := map[string]bool{} // by the type's name, whatever its package
	var parsed []*ast.File
	require.NoError(t, filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(files, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		parsed = append(parsed, f)
		for _, d := range f.Decls {
			if m, ok := d.(*ast.FuncDecl); ok && m.Recv != nil && m.Name.Name == "Error" && m.Type.Results.NumFields() == 1 {
				isError[typeName(m.Recv.List[0].Type)] = true
			}
		}
		return nil
	}))
	require.Contains(t, isError, "ValidationError", "nothing was looked at")
	for _, f := range parsed {
		ast.Inspect(f, func(n ast.Node) bool {
			var name string
			var results *ast.FieldList
			switch n := n.(type) {
			case *ast.FuncDecl:
				name, results = n.Name.Name, n.Type.Results
			case *ast.Field: // a method of an interface, or a field that is a function
				if fn, ok := n.Type.(*ast.FuncType); ok && len(n.Names) == 1 {
					name, results = n.Names[0].Name, fn.Results
				}
			}
			if results == nil || !ast.IsExported(name) {
				return true
			}
			for _, r := range results.List {
				if star, ok := r.Type.(*ast.StarExpr); ok && isError[typeName(star.X)] {
					t.Errorf("%s: %s returns a pointer to an error: have it return error", files.Position(n.Pos()), name)
				}
			}
			return true
		})
	}
}

// typeName returns the name of a type without its package, "" if it has none.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return ""
}
