package shelflife_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// testsOf returns the names of the tests of every package below dir, by the
// package's folder, those of other modules included.
func testsOf(t *testing.T, dir string) map[string][]string {
	t.Helper()
	tests := map[string][]string{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(filepath.Dir(file))
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				tests[folder] = append(tests[folder], f.Name.Name)
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, tests["catalog"], "the walk must find the packages")
	return tests
}

var testName = regexp.MustCompile("`(Test[A-Z]\\w*)`")

// Each rule of docs/contract.md names its tests, and these are there.
func TestContractNamesItsTests(t *testing.T) {
	text, err := os.ReadFile("docs/contract.md")
	require.NoError(t, err)
	exists := map[string]bool{}
	for _, names := range testsOf(t, ".") {
		for _, name := range names {
			exists[name] = true
		}
	}
	for _, m := range testName.FindAllSubmatch(text, -1) {
		require.True(t, exists[string(m[1])], "docs/contract.md: there is no %s", m[1])
	}
	promises, _, found := strings.Cut(string(text), "## What is not promised")
	require.True(t, found)
	rules := strings.Split(promises, "\n- ")[1:]
	require.Greater(t, len(rules), 20)
	for _, rule := range rules {
		if strings.HasPrefix(rule, "Not promised:") {
			continue
		}
		require.Regexp(t, testName, rule, "docs/contract.md: no test holds this rule")
	}
}

var (
	testCommand = regexp.MustCompile("`(?:cd (\\S+) && )?go test ([^`]*?)`")
	runPattern  = regexp.MustCompile(`-run '?([^' ]+)'?`)
)

// What docs/testing.md says to run runs something.
func TestCommandsOfTheProofsFindTests(t *testing.T) {
	text, err := os.ReadFile("docs/testing.md")
	require.NoError(t, err)
	tests := testsOf(t, ".")
	checked := 0
	for _, m := range testCommand.FindAllSubmatch(text, -1) {
		command := string(m[2])
		var named []string
		for _, arg := range strings.Fields(command) {
			if arg == "./..." || arg != "." && !strings.HasPrefix(arg, "./") {
				continue
			}
			folder := filepath.ToSlash(filepath.Join(string(m[1]), arg))
			require.NotEmpty(t, tests[folder], "docs/testing.md: %s has no tests", folder)
			named = append(named, tests[folder]...)
		}
		run := runPattern.FindStringSubmatch(command)
		if run == nil {
			continue
		}
		// A table's cell escapes the bars.
		for alternative := range strings.SplitSeq(strings.ReplaceAll(run[1], `\|`, "|"), "|") {
			checked++
			require.True(t, slices.ContainsFunc(named, regexp.MustCompile(alternative).MatchString),
				"docs/testing.md: nothing matches %q in %s", alternative, command)
		}
	}
	require.Greater(t, checked, 10)
}
