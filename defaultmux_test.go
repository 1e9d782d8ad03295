package shelflife_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// servesDefaultMux lists what in a file puts something on http.DefaultServeMux or
// serves it: packages that are linked do so behind the back of their user, and
// show the command line there.
func servesDefaultMux(file *ast.File) (found []string) {
	for _, spec := range file.Imports {
		if slices.Contains([]string{`"net/http/pprof"`, `"expvar"`}, spec.Path.Value) {
			found = append(found, "imports "+spec.Path.Value)
		}
	}
	isNil := func(e ast.Expr) bool {
		id, ok := e.(*ast.Ident)
		return ok && id.Name == "nil"
	}
	ofHTTP := func(e ast.Expr) string {
		s, ok := e.(*ast.SelectorExpr)
		if !ok {
			return ""
		}
		if id, ok := s.X.(*ast.Ident); !ok || id.Name != "http" {
			return ""
		}
		return s.Sel.Name
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if ofHTTP(n) == "DefaultServeMux" {
				found = append(found, "names http.DefaultServeMux")
			}
		case *ast.CallExpr:
			switch name := ofHTTP(n.Fun); name {
			case "Handle", "HandleFunc":
				found = append(found, "calls http."+name)
			case "ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS":
				if slices.ContainsFunc(n.Args, isNil) {
					found = append(found, "calls http."+name+" without a handler")
				}
			}
		case *ast.CompositeLit:
			handled := func(e ast.Expr) bool {
				kv, ok := e.(*ast.KeyValueExpr)
				if !ok {
					return false
				}
				key, ok := kv.Key.(*ast.Ident)
				return ok && key.Name == "Handler" && !isNil(kv.Value)
			}
			if ofHTTP(n.Type) == "Server" && !slices.ContainsFunc(n.Elts, handled) {
				found = append(found, "makes an http.Server without a handler")
			}
		}
		return true
	})
	return found
}

// TestNothingServesTheDefaultMux: in no module here, examples included. Tests look
// at what is registered there.
func TestNothingServesTheDefaultMux(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") && !strings.HasSuffix(path, "example_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		seen++
		require.Empty(t, servesDefaultMux(file), path)
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, seen, 100)
	for _, block := range blocksOf(t, "docs/dashboard.md", "go") {
		file, err := parser.ParseFile(token.NewFileSet(), "dashboard.md", block, 0)
		require.NoError(t, err)
		require.Empty(t, servesDefaultMux(file))
	}
}

func TestServingTheDefaultMuxIsFound(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", `package x
import (
	"net/http"
	_ "net/http/pprof"
)
func f() {
	http.Handle("/", nil)
	http.HandleFunc("/", nil)
	http.ListenAndServe(":1", nil)
	http.ListenAndServe(":1", http.NewServeMux())
	http.Serve(l, http.DefaultServeMux)
	s := &http.Server{Addr: ":1"}
	s = &http.Server{Handler: nil}
	s = &http.Server{Handler: s.Handler}
}`, 0)
	require.NoError(t, err)
	require.Equal(t, []string{
		`imports "net/http/pprof"`,
		"calls http.Handle", "calls http.HandleFunc",
		"calls http.ListenAndServe without a handler",
		"names http.DefaultServeMux",
		"makes an http.Server without a handler", "makes an http.Server without a handler",
	}, servesDefaultMux(file))
}
