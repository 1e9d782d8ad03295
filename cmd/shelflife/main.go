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
	ctx, stop := context.WithCancel(context.Background())
	stopOnSignals(stop)
	os.Exit(run(ctx, takeArgs(), os.Stdin, os.Stdout, os.Stderr))
}

// takeArgs returns the arguments and leaves none in os.Args, which expvar, linked
// by the engine, would show to whoever got at it: API keys may be among them.
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
	// A terminal that goes away says so more than once, so that no second one
	// ends the process at once. A process under nohup does not want to hear it.
	if !signal.Ignored(syscall.SIGHUP) {
		hangups := make(chan os.Signal, 1)
		signal.Notify(hangups, syscall.SIGHUP)
		go func() {
			<-hangups
			stop()
		}()
	}
	// Whoever reads the log may go away: writing it fails then, and no more.
	signal.Ignore(syscall.SIGPIPE)
}
