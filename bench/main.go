// Command bench measures Shelflife beside raw Pebble, its floor, and beside
// what a Go engineer would pick instead, on this machine. See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/alecthomas/kong"

	"github.com/shelflife-db/shelflife/bench/internal/report"
	"github.com/shelflife-db/shelflife/bench/internal/result"
	"github.com/shelflife-db/shelflife/bench/internal/roster"
	"github.com/shelflife-db/shelflife/bench/internal/workload"
)

// options are the command line. Those that are not given are those of the full
// run or, with --quick, of the quick one.
type options struct {
	Quick bool `help:"Small stores and short segments: some minutes instead of half an hour."`
	List  bool `help:"List workloads and peers, and do nothing."`

	Workloads []string `short:"w" placeholder:"PATTERN,…" help:"Measure these alone: 'get-*,edit-durable-16'."`
	Peers     []string `short:"p" placeholder:"PATTERN,…" help:"Measure on these alone."`

	Products int           `placeholder:"N" help:"Products of most stores."`
	Large    int           `placeholder:"N" default:"-1" help:"Products of the large store, 0 for none."`
	Larger   int           `placeholder:"N" default:"-1" help:"Products of a larger one, 0 for none."`
	Huge     int           `placeholder:"N" default:"-1" help:"Small products of the huge store, 0 for none."`
	Writers  []int         `placeholder:"N,…" help:"Numbers of writing goroutines."`
	Readers  int           `placeholder:"N" help:"Number of reading goroutines. Default: one per core."`
	Clients  int           `placeholder:"N" help:"Number of HTTP clients."`
	Rounds   int           `placeholder:"N" help:"Rounds, each of all peers in turn."`
	Duration time.Duration `placeholder:"TIME" help:"Length of a segment."`
	Seed     uint64        `placeholder:"N" help:"Seed of the data and of what is accessed."`

	Data       string `type:"existingfile" placeholder:"FILE.ndjson" help:"Take the products' contents from a file."`
	Dir        string `type:"existingdir" placeholder:"DIR" help:"Where to make the stores, on the disk to be measured. Default: the system's folder for temporary files."`
	Out        string `type:"path" placeholder:"DIR" default:"results" help:"Where the results go."`
	CPUProfile string `name:"cpuprofile" type:"path" placeholder:"FILE" help:"Profile the last round; needs one workload and one peer."`
}

func main() {
	if workload.ChildMain(roster.Stores()) {
		os.Exit(1)
	}
	var o options
	kong.Parse(&o, kong.Name("bench"), kong.Description("Measures Shelflife beside raw Pebble and its peers."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) error {
	c, mode := o.config()
	if o.List {
		list(&c)
		return nil
	}
	run, err := workload.Run(ctx, c, roster.Stores(), roster.Servers(), os.Stderr)
	if err != nil {
		return err
	}
	run.Mode = mode
	report.Judge(run)
	return errors.Join(report.Table(os.Stdout, run), o.save(run))
}

// config returns what to measure, and the name of that.
func (o *options) config() (c workload.Config, mode string) {
	c, mode = workload.Full(), "full"
	if o.Quick {
		c, mode = workload.Quick(), "quick"
	}
	base := c
	set(&c.Products, o.Products)
	set(&c.Readers, o.Readers)
	set(&c.Clients, o.Clients)
	set(&c.Rounds, o.Rounds)
	set(&c.Duration, o.Duration)
	set(&c.Seed, o.Seed)
	if o.Large >= 0 {
		c.Large = o.Large
	}
	if o.Larger >= 0 {
		c.Larger = o.Larger
	}
	if o.Huge >= 0 {
		c.Huge = o.Huge
	}
	if len(o.Writers) > 0 {
		c.Writers = o.Writers
	}
	c.Workloads, c.Peers, c.Data = o.Workloads, o.Peers, o.Data
	if !c.Same(&base) {
		mode = "custom"
	}
	c.Dir, c.CPUProfile = o.Dir, o.CPUProfile
	return c, mode
}

func set[T comparable](field *T, given T) {
	var none T
	if given != none {
		*field = given
	}
}

func list(c *workload.Config) {
	fmt.Println("Workloads")
	for _, w := range c.All() {
		fmt.Printf("  %-24s %s, %s\n", w.Name, w.Title, w.Unit)
	}
	fmt.Println("Peers")
	for _, p := range roster.Stores() {
		fmt.Printf("  %-24s %s\n", p.Name, p.About)
	}
	for _, p := range roster.Servers() {
		fmt.Printf("  %-24s %s\n", p.Name, p.About)
	}
}

// save writes the run as JSON and as a chart.
func (o *options) save(r *result.Run) error {
	name := filepath.Join(o.Out, r.Mode)
	if err := r.Save(name + ".json"); err != nil {
		return err
	}
	chart, err := os.Create(name + ".svg")
	if err != nil {
		return err
	}
	if err := errors.Join(report.Chart(chart, r), chart.Close()); err != nil {
		return err
	}
	fmt.Printf("\nwritten: %s.json, %s.svg\n", name, name)
	return nil
}
