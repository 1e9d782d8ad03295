// Command mutate breaks the rules of validation, merging and lifetimes, one at
// a time, and says which test notices:
//
//	go run ./mutate
//
// The source is not touched: go test is told to read the broken file in its
// place. It fails when a mutation is survived.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	root    = flag.String("root", "..", "folder of the module")
	only    = flag.String("run", "", "regular expression of the rules to break; empty: all")
	results = flag.String("results", "mutate/results.txt", "output of an earlier run: the tests that noticed a rule are tried first")
	fast    = flag.Bool("failfast", false, "name the first test that notices, and run no others: sooner over")
	most    = flag.Duration("timeout", 90*time.Second, "the longest for the tests of a package; more on a slow machine, where a test that never ends would be one that was not done")
)

// ruleWidth is how many columns a rule takes in the output.
const ruleWidth = 58

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	survived, err := mutateAll(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
	}
	if err != nil || survived > 0 {
		os.Exit(1)
	}
}

func mutateAll(ctx context.Context) (survived int, err error) {
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "shelflife-mutate-*")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	before, err := noticed(*results)
	if err != nil {
		return 0, err
	}
	tried := 0
	for _, m := range allMutations() {
		if !wanted.MatchString(m.rule) {
			continue
		}
		tried++
		caught, err := m.try(ctx, dir, before[m.rule])
		switch {
		case errors.Is(err, errNotRun):
			survived++
			caught = "DOES NOT BUILD"
		case err != nil:
			return survived, fmt.Errorf("%s: %w", m.rule, err)
		case caught == "":
			survived++
			caught = "SURVIVED"
		}
		fmt.Printf("%-*s %s\n", ruleWidth, m.rule, caught)
	}
	fmt.Printf("%d mutations, %d survived\n", tried, survived)
	return survived, nil
}

// errNotRun says that no test ran on a mutation.
var errNotRun = errors.New("no test ran")

// mutation replaces a piece of a file, which it holds once, by another.
type mutation struct {
	rule     string
	file     string
	old, new string
}

// apply returns the broken file.
func (m mutation) apply(source []byte) ([]byte, error) {
	if n := bytes.Count(source, []byte(m.old)); n != 1 {
		return nil, fmt.Errorf("%s holds %q %d times, not once", m.file, m.old, n)
	}
	return bytes.Replace(source, []byte(m.old), []byte(m.new), 1), nil
}

// failure matches the name of a test that failed, subtests left out.
var failure = regexp.MustCompile(`(?m)^--- FAIL: (\w+)`)

// try returns the tests that notice, "" if none does. Those that did before come
// first.
func (m mutation) try(ctx context.Context, dir string, before []string) (caught string, err error) {
	path, err := filepath.Abs(filepath.Join(*root, m.file))
	if err != nil {
		return "", err
	}
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	broken, err := m.apply(source)
	if err != nil {
		return "", err
	}
	stand := filepath.Join(dir, "broken.go")
	if err := os.WriteFile(stand, broken, 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: stand}})
	if err != nil {
		return "", err
	}
	overlayPath := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayPath, overlay, 0o600); err != nil {
		return "", err
	}
	// Those that noticed it before, then the tests of the package, then those of the
	// package that it is internal to, then those of the layers above.
	pkg := "./" + filepath.ToSlash(filepath.Dir(m.file))
	runs := []testRun{{pkgs: []string{pkg}}, {pkgs: []string{"./catalog/...", "./httpadapter/..."}}}
	if above, _, ok := strings.Cut(pkg, "/internal/"); ok {
		runs = slices.Insert(runs, 1, testRun{pkgs: []string{above}})
	}
	if len(before) > 0 {
		pkgs, err := packagesOf(before)
		if err != nil {
			return "", err
		}
		slices.SortStableFunc(pkgs, func(a, b string) int { return cmp.Compare(distance(pkg, a), distance(pkg, b)) })
		for i, p := range pkgs {
			runs = slices.Insert(runs, i, testRun{[]string{p}, before})
		}
	}
	for _, r := range runs {
		out, err := r.run(ctx, overlayPath)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err == nil {
			continue
		}
		var names []string
		for _, f := range failure.FindAllStringSubmatch(out, -1) {
			if !slices.Contains(names, f[1]) {
				names = append(names, f[1])
			}
		}
		if strings.Contains(out, "test timed out") {
			names = append(names, endless)
		}
		if len(names) == 0 {
			fmt.Fprintln(os.Stderr, out)
			return "", errNotRun
		}
		if len(names) > 3 {
			names = append(names[:3], fmt.Sprintf("and %d more", len(names)-3))
		}
		return strings.Join(names, ", "), nil
	}
	return "", nil
}

// endless stands for a test that was running when the time was over.
const endless = "a test that never ends"

// noticed returns the tests that noticed each rule in a run before, whose output
// the file at path is.
func noticed(path string) (map[string][]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	before := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		if len(line) <= ruleWidth {
			continue
		}
		rule := strings.TrimSpace(line[:ruleWidth])
		for name := range strings.SplitSeq(strings.TrimSpace(line[ruleWidth:]), ", ") {
			if strings.HasPrefix(name, "Test") {
				before[rule] = append(before[rule], name)
			}
		}
	}
	return before, nil
}

// distance says how soon the tests of a package are tried for a mutation in pkg: its
// own first, then those beside it. Each package that is built takes seconds.
func distance(pkg, tests string) int {
	switch {
	case tests == pkg:
		return 0
	case strings.HasPrefix(pkg, tests+"/"):
		return 1
	}
	return 2
}

// packagesOf returns the packages of the module that have tests of these names.
func packagesOf(names []string) (pkgs []string, err error) {
	declares, err := regexp.Compile(`(?m)^func (` + strings.Join(names, "|") + `)\(`)
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(*root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != *root {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return filepath.SkipDir // another module
			}
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil || !declares.Match(source) {
			return err
		}
		dir, err := filepath.Rel(*root, filepath.Dir(path))
		if pkg := "./" + filepath.ToSlash(dir); err == nil && !slices.Contains(pkgs, pkg) {
			pkgs = append(pkgs, pkg)
		}
		return err
	})
	return pkgs, err
}

// slow are tests that take long and are about other things than rules.
const slow = "Crash|Fault|Corruption|OutOf|Golden|Race|Beside|Isolation|DoNotDepend|Goroutine|Background|Linear|Stuck|AtOnce|Concurrent|TestModel/shared|TestModel/pebble|TestModel/memory-"

// testRun is a run of go test.
type testRun struct {
	pkgs  []string
	names []string // of the tests, all but the slow ones if it is empty
}

func (r testRun) run(ctx context.Context, overlay string) (string, error) {
	args := append([]string{"test", "-overlay", overlay, "-vet", "off", "-timeout", most.String(), "-ldflags", "-s -w"}, r.pkgs...)
	if len(r.names) > 0 {
		args = append(args, "-run", "^("+strings.Join(r.names, "|")+")$")
	} else {
		args = append(args, "-skip", slow)
	}
	if *fast {
		args = append(args, "-failfast")
	}
	if len(r.pkgs) == 1 && r.pkgs[0] == "./catalog" {
		args = append(args, "-model.ops", "1000")
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = *root
	out, err := cmd.CombinedOutput()
	return string(out), err
}
