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
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	root = flag.String("root", "..", "folder of the module")
	only = flag.String("run", "", "regular expression of the rules to break; empty: all")
)

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
	tried := 0
	for _, m := range slices.Concat(mutations, dashboardMutations) {
		if !wanted.MatchString(m.rule) {
			continue
		}
		tried++
		caught, err := m.try(ctx, dir)
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
		fmt.Printf("%-58s %s\n", m.rule, caught)
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

// try returns the tests that notice, "" if none does.
func (m mutation) try(ctx context.Context, dir string) (caught string, err error) {
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
	// The tests of the package, then those of the package that it is internal to,
	// then those of the layers above.
	pkg := "./" + filepath.ToSlash(filepath.Dir(m.file))
	users := [][]string{{pkg}, {"./catalog/...", "./httpadapter/..."}}
	if above, _, ok := strings.Cut(pkg, "/internal/"); ok {
		users = slices.Insert(users, 1, []string{above})
	}
	for _, pkgs := range users {
		out, err := m.test(ctx, overlayPath, pkgs)
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
			names = append(names, "a test that never ends")
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

// slow are tests that take long and are about other things than rules.
const slow = "Crash|Fault|Corruption|OutOf|Golden|Race|Beside|Isolation|DoNotDepend|Goroutine|Background|Linear|Stuck|AtOnce|Concurrent|TestModel/shared|TestModel/pebble|TestModel/memory-"

func (m mutation) test(ctx context.Context, overlay string, pkgs []string) (string, error) {
	args := append([]string{"test", "-overlay", overlay, "-vet", "off", "-timeout", "90s", "-ldflags", "-s -w", "-skip", slow}, pkgs...)
	if len(pkgs) == 1 && pkgs[0] == "./catalog" {
		args = append(args, "-model.ops", "1000")
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = *root
	out, err := cmd.CombinedOutput()
	return string(out), err
}
