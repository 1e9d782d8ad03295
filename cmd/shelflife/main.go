// Command shelflife serves a product catalog over HTTP, imports products into
// the store that it keeps them in, and checks it. See shelflife --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	tuneMalloc()
	ctx, stop := context.WithCancel(context.Background())
	stopOnSignals(stop)
	p := &process{ctx: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, hangups: hangups()}
	os.Exit(p.run(takeArgs()))
}

// takeArgs returns the arguments and leaves none in os.Args, which expvar, linked
// by the engine, would show to any client that reached it: API keys may be among them.
func takeArgs() []string {
	args := os.Args[1:]
	os.Args = os.Args[:1]
	return args
}

// stopOnSignals has stop called when the process is told to end.
func stopOnSignals(stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		// A second one then ends the process at once.
		signal.Stop(signals)
		stop()
	}()
	// The reader of the log may go away: writing it fails then, and no more.
	signal.Ignore(syscall.SIGPIPE)
}

// hangups returns what says that the process was sent SIGHUP, nil under nohup, where
// it does not want to hear it.
func hangups() <-chan os.Signal {
	if signal.Ignored(syscall.SIGHUP) {
		return nil
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c
}
