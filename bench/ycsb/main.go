// Command ycsb runs the core workloads of YCSB, as go-ycsb has them, on the catalog and
// on raw Pebble, in one interleaved run:
//
//	cd bench && go run ./ycsb
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/alecthomas/kong"
	"github.com/magiconair/properties"
	"github.com/pingcap/go-ycsb/pkg/client"
	"github.com/pingcap/go-ycsb/pkg/measurement"
	_ "github.com/pingcap/go-ycsb/pkg/workload" // the core workload
	"github.com/pingcap/go-ycsb/pkg/ycsb"

	"github.com/shelflife-db/shelflife/bench/internal/machine"
	"github.com/shelflife-db/shelflife/bench/internal/report"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

const (
	ours  = "shelflife"
	raw   = "pebble"
	table = "usertable"
	// checked is how many rows are read back after each workload.
	checked = 200
	// mostMissed is one row in so many that an operation may miss.
	mostMissed = 4
)

// options are the command line.
type options struct {
	Records    int      `default:"100000" help:"Rows of each store, of ten fields of 100 bytes."`
	Operations int      `default:"200000" help:"Operations of a segment; a tenth of it where each is a scan or waits for the disk."`
	Threads    int      `default:"16"`
	Rounds     int      `default:"3"`
	Workload   []string `short:"w" placeholder:"NAME" help:"Measure only this one, such as ycsb-a-durable; may be repeated. Default: all."`
	Dir        string   `type:"existingdir" placeholder:"DIR" help:"Where to make the stores. Default: the system's folder for temporary files."`
	Out        string   `type:"path" default:"results/ycsb.json"`
}

// A workload is one of YCSB's core: shares of operations, and how rows are chosen.
type workload struct {
	result.Workload
	durable bool
	// slow says that an operation takes several times as long as a read.
	slow bool
	// want is the least ratio to raw Pebble, 0 where there is no goal.
	want       float64
	properties map[string]string
}

// core returns a workload in which rows are chosen as the letter of YCSB has it.
func core(letter, title string, want float64, p map[string]string) workload {
	return workload{result.Workload{Name: "ycsb-" + letter, Title: "YCSB " + letter + ", " + title, Unit: "op/s"}, false, false, want, p}
}

func (w workload) onDisk(want float64) workload {
	w.Name, w.Title, w.durable, w.slow, w.want = w.Name+"-durable", w.Title+", durable", true, true, want
	return w
}

var (
	updateHeavy = core("a", "reads and updates", 0, map[string]string{"readproportion": "0.5", "updateproportion": "0.5"})
	readUpdate  = core("f", "reads and read-modify-writes", 0.8, map[string]string{"readproportion": "0.5", "readmodifywriteproportion": "0.5", "updateproportion": "0"})
	scans       = core("e", "short scans and inserts", 0.7, map[string]string{
		"readproportion": "0", "updateproportion": "0", "scanproportion": "0.95", "insertproportion": "0.05",
		"maxscanlength": "100", "scanlengthdistribution": "uniform",
	})
)

// workloads in YCSB's order: those that insert come last.
var workloads = []workload{
	updateHeavy,
	updateHeavy.onDisk(0.8),
	core("b", "mostly reads", 0, map[string]string{"readproportion": "0.95", "updateproportion": "0.05"}),
	core("c", "reads", 1, map[string]string{"readproportion": "1", "updateproportion": "0"}),
	readUpdate,
	readUpdate.onDisk(0.8),
	core("d", "reads of the latest and inserts", 0, map[string]string{
		"readproportion": "0.95", "updateproportion": "0", "insertproportion": "0.05", "requestdistribution": "latest",
	}),
	slowly(scans),
}

func slowly(w workload) workload {
	w.slow = true
	return w
}

// sides are the stores, each with a folder of its own.
var sides = []struct {
	result.Peer
	open opener
}{
	{result.Peer{Name: ours, About: "a row is the metadata of a product; View, ListViews, Edit", Module: "github.com/shelflife-db/shelflife"}, openShelves},
	{result.Peer{Name: raw, About: "same options and rows: Get, an iterator, Get and Set; two updates at once may lose one", Module: "github.com/cockroachdb/pebble/v2"}, openFloor},
}

func main() {
	var o options
	kong.Parse(&o, kong.Name("ycsb"), kong.Description("Runs YCSB's core workloads on the catalog and on raw Pebble."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run, err := o.run(ctx)
	if err == nil {
		err = errors.Join(report.Table(os.Stdout, run), run.Save(o.Out))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) (run *result.Run, err error) {
	list, err := o.workloads()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "shelflife-ycsb-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	m, err := machine.Describe(dir)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	run = &result.Run{Mode: "ycsb", Started: began.UTC().Truncate(time.Second), Machine: m}
	versions := machine.Versions()
	for _, side := range sides {
		p := side.Peer
		p.Version = versions[p.Module]
		run.Peers = append(run.Peers, p)
		if err := o.load(ctx, side.open, filepath.Join(dir, p.Name)); err != nil {
			return nil, fmt.Errorf("%s: load: %w", p.Name, err)
		}
	}
	collect := result.NewCollector()
	for round := range o.Rounds {
		for _, w := range list {
			for i := range sides {
				side := sides[(i+round)%len(sides)]
				rate, err := o.measure(ctx, w, side.open, filepath.Join(dir, side.Name))
				if err != nil {
					return nil, fmt.Errorf("%s on %s: %w", w.Name, side.Name, err)
				}
				collect.Add(w.Workload, side.Name, result.Observation{Value: rate})
				fmt.Fprintf(os.Stderr, "round %d/%d  %-10s %-16s %10.0f op/s\n", round+1, o.Rounds, side.Name, w.Name, rate)
			}
		}
	}
	collect.Into(run)
	run.Seconds = time.Since(began).Seconds()
	for _, w := range list {
		if w.want > 0 {
			report.JudgeRatio(run, w.want, w.Title+", to raw Pebble that reads first", w.Name, ours, raw)
		}
	}
	return run, nil
}

// workloads returns those that are wanted, in their order.
func (o *options) workloads() (list []workload, err error) {
	unknown := slices.Clone(o.Workload)
	for _, w := range workloads {
		if len(o.Workload) == 0 || slices.Contains(o.Workload, w.Name) {
			list = append(list, w)
			unknown = slices.DeleteFunc(unknown, func(name string) bool { return name == w.Name })
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("no workload is called %q", unknown)
	}
	return list, nil
}

// load makes a store of all rows, and closes it.
func (o *options) load(ctx context.Context, open opener, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	_, err := o.drive(ctx, open, dir, false, map[string]string{"dotransactions": "false"}, o.Records)
	return err
}

// measure opens a store, has go-ycsb's client run a workload on it after a warm-up of a
// tenth of that, and returns the operations per second.
func (o *options) measure(ctx context.Context, w workload, open opener, dir string) (rate float64, err error) {
	n := o.Operations
	if w.slow {
		n /= 10
	}
	if _, err := o.drive(ctx, open, dir, w.durable, w.properties, max(n/10, o.Threads)); err != nil {
		return 0, err
	}
	took, err := o.drive(ctx, open, dir, w.durable, w.properties, n)
	return float64(n) / took.Seconds(), err
}

// drive runs n operations of a workload on the store in dir, and returns how long the
// client took. Then rows are read back.
func (o *options) drive(
	ctx context.Context, open opener, dir string, durable bool, how map[string]string, n int,
) (took time.Duration, err error) {
	p := properties.LoadMap(map[string]string{
		"table": table, "recordcount": strconv.Itoa(o.Records), "operationcount": strconv.Itoa(n), "threadcount": strconv.Itoa(o.Threads),
		"requestdistribution": "zipfian", "readallfields": "true", "silence": "true",
		"measurement.interval": "3600", // it reports to the terminal
	})
	for name, value := range how {
		if _, _, err := p.Set(name, value); err != nil {
			return 0, err
		}
	}
	measurement.InitMeasure(p)
	work, err := ycsb.GetWorkloadCreator("core").Create(p)
	if err != nil {
		return 0, err
	}
	e, err := open(ctx, dir, durable)
	if err != nil {
		return 0, err
	}
	d := &db{engine: e}
	began := time.Now()
	client.NewClient(p, work, d).Run(ctx)
	took = time.Since(began)
	err = errors.Join(ctx.Err(), d.err())
	if missed := d.missed.Load(); missed > int64(n/mostMissed) {
		err = errors.Join(err, fmt.Errorf("wrong data: %d of %d rows were missed", missed, n))
	}
	if err == nil {
		err = o.check(ctx, e)
	}
	return took, errors.Join(err, work.Close(), e.close())
}

// check reads rows back: each must have its ten fields of 100 letters.
func (o *options) check(ctx context.Context, e engine) error {
	rows, err := e.scan(ctx, "user", checked, nil)
	if err != nil {
		return err
	}
	if len(rows) != min(checked, o.Records) {
		return fmt.Errorf("wrong data: %d rows", len(rows))
	}
	for _, row := range rows {
		if len(row) != 10 {
			return fmt.Errorf("wrong data: a row of %d fields", len(row))
		}
		for name, value := range row {
			if len(value) != 100 {
				return fmt.Errorf("wrong data: %s has %d bytes", name, len(value))
			}
		}
	}
	return nil
}
