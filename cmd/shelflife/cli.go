package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/alecthomas/kong"
)

// The exit statuses.
const (
	exitOK      = 0
	exitFailure = 1 // wrong usage, a failure, or a broken store
	exitRefused = 2 // import, load: some were refused; salvage, dump: something was lost
)

// cli is the command line.
type cli struct {
	Serve    serveCmd    `cmd:"" help:"Serve a catalog over HTTP."`
	Health   healthCmd   `cmd:"" help:"Ask a running server how it is."`
	Import   importCmd   `cmd:"" help:"Import products from a file of JSON lines."`
	Export   exportCmd   `cmd:"" help:"Export the products of an account as JSON lines."`
	Check    checkCmd    `cmd:"" help:"Check that a store is sound."`
	Salvage  salvageCmd  `cmd:"" help:"Copy what can be read of a damaged store into a new one."`
	Backup   backupCmd   `cmd:"" help:"Write a backup of a store."`
	Restore  restoreCmd  `cmd:"" help:"Make a store from a backup."`
	Dump     dumpCmd     `cmd:"" help:"Write all products of a store, to load them into another."`
	Load     loadCmd     `cmd:"" help:"Load a dump into a store."`
	Accounts accountsCmd `cmd:"" help:"List, count and delete accounts."`
	Reclaim  reclaimCmd  `cmd:"" help:"Give back the room of what was deleted, and erase it."`

	ShowVersion versionCmd    `cmd:"" name:"version" help:"Print the version."`
	Completion  completionCmd `cmd:"" help:"Print what completes commands and flags in a shell."`

	Version kong.VersionFlag `help:"Print the version and exit."`
}

const description = `Shelflife keeps product catalogs whose products can expire.

Exit status: 0 success, 1 failure or wrong usage, 2 an import or a load in which something was refused, or a salvage or a dump in which something was lost.`

// process is what a command has of the process that it runs in. A done ctx
// asks it to stop.
type process struct {
	ctx            context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
	// hangups has a value when the process was sent SIGHUP: to a server, that it is to
	// read its keys again, to other commands to stop. Nil if it never is.
	hangups <-chan os.Signal
}

// statusError ends the process with a status, without another word.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// run executes a command line and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return (&process{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr}).run(args)
}

func (p *process) run(args []string) int {
	err := p.execute(args)
	var status statusError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return int(status)
	}
	report(p.stderr, err)
	return exitFailure
}

// report prints an error, each of several that are joined on a line of its own.
func report(w io.Writer, err error) {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var lines []string
		for _, err := range several.Unwrap() {
			lines = append(lines, err.Error())
		}
		if strings.Join(lines, "\n") == err.Error() {
			for _, err := range several.Unwrap() {
				report(w, err)
			}
			return
		}
	}
	// The catalog's errors begin with the same name.
	fmt.Fprintf(w, "shelflife: %s\n", visible(strings.TrimPrefix(err.Error(), "shelflife: ")))
}

func (p *process) execute(args []string) error {
	var (
		c        cli
		answered bool // --help or --version
	)
	given := new(settings)
	parser, err := kong.New(&c,
		kong.Resolvers(given),
		kong.Name("shelflife"),
		kong.Description(description),
		kong.Writers(p.stdout, p.stderr),
		kong.Vars{"version": version()},
		kong.Exit(func(int) { answered = true }),
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true}),
	)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	for i, arg := range args {
		// The parser would replace what is not, and name something else.
		if !utf8.ValidString(arg) {
			return fmt.Errorf("the %s argument is not valid UTF-8", ordinal(i+1))
		}
	}
	command, err := parser.Parse(args)
	if answered {
		return nil
	}
	if given.err != nil {
		return given.err
	}
	if err != nil {
		return fmt.Errorf("%w (try --help)", err)
	}
	if command.Command() != "serve" {
		defer p.stopOnHangup()()
	}
	return command.Run(p)
}

// stopOnHangup has the context end when the process is sent SIGHUP, until the result
// is called.
func (p *process) stopOnHangup() (end func()) {
	ctx, cancel := context.WithCancel(p.ctx)
	p.ctx = ctx
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-p.hangups:
			cancel()
		case <-ctx.Done():
		}
	})
	return func() { cancel(); waiting.Wait() }
}

// version returns what this binary was built from.
func version() string {
	v, revision := "(devel)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
	}
	return fmt.Sprintf("shelflife %s%s %s", v, revision, runtime.Version())
}
