// Command fuzzall runs every fuzz target of the module above for a while, one
// after the other, and says what each has tried:
//
//	go run ./fuzzall -time 10m
//
// What a target finds is left in its testdata, to be committed with the fix.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	each    = flag.Duration("time", time.Minute, "time for each target")
	workers = flag.Int("parallel", 1, "workers at a time")
	only    = flag.String("run", "", "regular expression of the targets; empty: all")
	root    = flag.String("root", "..", "folder of the module")
	verbose = flag.Bool("v", false, "print what go test prints")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	failed, err := fuzz(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil || failed > 0 {
		os.Exit(1)
	}
}

func fuzz(ctx context.Context) (failed int, err error) {
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return 0, err
	}
	all, err := targets(ctx)
	if err != nil {
		return 0, err
	}
	for _, t := range all {
		if !wanted.MatchString(t.name) {
			continue
		}
		started := time.Now()
		inputs, out, err := t.run(ctx)
		if ctx.Err() != nil {
			return failed, ctx.Err()
		}
		state := "ok"
		if err != nil {
			failed++
			state = "FAILED"
		}
		fmt.Printf("%-6s %-22s %12d inputs in %v\n", state, t.name, inputs, time.Since(started).Round(time.Second))
		if err != nil || *verbose {
			fmt.Println(out, err)
		}
	}
	return failed, nil
}

type target struct{ pkg, name string }

// targets lists the fuzz targets of the module.
func targets(ctx context.Context) ([]target, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "./...")
	cmd.Dir = *root
	cmd.Stderr = os.Stderr
	pkgs, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var found []target
	for _, pkg := range strings.Fields(string(pkgs)) {
		cmd := exec.CommandContext(ctx, "go", "test", "-list", "^Fuzz", pkg)
		cmd.Dir = *root
		cmd.Stderr = os.Stderr
		names, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pkg, err)
		}
		for name := range strings.Lines(string(names)) {
			if strings.HasPrefix(name, "Fuzz") {
				found = append(found, target{pkg, strings.TrimSpace(name)})
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no fuzz targets in %s", *root)
	}
	return found, nil
}

// execs matches how often go test says that it has called a target.
var execs = regexp.MustCompile(`execs: (\d+)`)

func (t target) run(ctx context.Context) (inputs int, out string, err error) {
	cmd := exec.CommandContext(ctx, "go", "test", t.pkg, "-run", "^$", "-fuzz", "^"+t.name+"$",
		"-fuzztime", each.String(), "-parallel", strconv.Itoa(*workers))
	cmd.Dir = *root
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err = cmd.Run()
	if err != nil && strings.Contains(b.String(), "context deadline exceeded") && !strings.Contains(b.String(), "Failing input") {
		err = nil // the time was over within a call, which go test takes for a failure
	}
	if all := execs.FindAllStringSubmatch(b.String(), -1); len(all) > 0 {
		inputs, _ = strconv.Atoi(all[len(all)-1][1]) // digits
	}
	return inputs, b.String(), err
}
