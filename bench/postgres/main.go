// Command postgres measures the catalog on backend/postgres beside SQL that is
// written by hand, on one PostgreSQL server of its own and in one interleaved run:
//
//	cd bench && go run ./postgres
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/machine"
	"github.com/shelflife-db/shelflife/bench/internal/measure"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/report"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

// A store is one of the two sides.
type store interface {
	get(ctx context.Context, k dataset.Key) (dataset.Product, error)
	edit(ctx context.Context, k dataset.Key, metadata []byte) error
	use(ctx context.Context, k dataset.Key) error
	page(ctx context.Context, p dataset.Page) (n int, err error)
	// load creates products of one account.
	load(ctx context.Context, products []dataset.Product) error
	// sweep removes what has expired by a time, remove a whole account.
	sweep(ctx context.Context, now time.Time) (int, error)
	remove(ctx context.Context, account string) (int, error)
	close() error
}

const (
	ours   = "shelflife"
	theirs = "sql"

	sweepBatch = 128 // of sweeps and removals by SQL, as the catalog's are
	roundTrip  = 2 * time.Millisecond
	// warmed is how many products the workloads with long round trips are about. They
	// are in the cache of ours: an edit of another one takes a round trip more.
	warmed = 500
)

// options are the command line.
type options struct {
	Workloads   []string      `short:"w" placeholder:"PATTERN,…" help:"Measure these alone: 'edit-*,get'."`
	Products    int           `default:"20000" help:"Products of each side."`
	Mortals     int           `default:"10000" help:"Products that are swept, and those of the account that is removed."`
	Rounds      int           `default:"3"`
	Duration    time.Duration `default:"2s" help:"Length of a segment."`
	Connections int           `default:"16" help:"Connections of each side."`
	CPUProfile  string        `name:"cpuprofile" json:"-" type:"path" placeholder:"FILE" help:"Profile Shelflife's side of the last round; name one workload."`
	Out         string        `json:"-" type:"path" default:"results/postgres.json"`
}

func main() {
	var o options
	kong.Parse(&o, kong.Name("postgres"), kong.Description("Measures the catalog on PostgreSQL beside SQL that is written by hand."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run, err := o.run(ctx)
	if err == nil {
		run.Mode = "postgres"
		err = errors.Join(report.Table(os.Stdout, run), run.Save(o.Out))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Validate is called by kong.
func (o *options) Validate() error {
	if o.Mortals > o.Products {
		return fmt.Errorf("--mortals must be at most --products, which is %d", o.Products)
	}
	return nil
}

// bench is a run in progress.
type bench struct {
	options
	server  *postgrestest.Server
	link    *postgrestest.Link // with round trips of 2 ms
	set     *dataset.Set
	keys    []dataset.Key
	edits   *dataset.Edits
	pages   []dataset.Page
	collect *result.Collector
	admin   *pgxpool.Pool
	segment uint64
}

// A workload repeats an operation by a number of workers.
type workload struct {
	result.Workload
	workers int
	slow    bool // through the link
	// want is the least ratio of ours to theirs.
	want float64
	op   func(b *bench, s store) (measure.Op, error)
}

func rate(name, title string, workers int, slow bool, want float64, op func(*bench, store) (measure.Op, error)) workload {
	if slow {
		title += ", round trips of 2 ms"
	}
	return workload{result.Workload{Name: name, Title: title, Unit: "op/s"}, workers, slow, want, op}
}

var workloads = []workload{
	rate("edit-16", "edit, 16 callers", 16, false, 0.8, uniformEdit),
	rate("edit-64", "edit, 64 callers", 64, false, 0.8, uniformEdit),
	rate("use-16", "use, 16 callers", 16, false, 0.9, uniformUse),
	rate("use-64", "use, 64 callers", 64, false, 0.9, uniformUse),
	rate("far-edit-1", "edit, 1 caller", 1, true, 1, uniformEdit),
	rate("far-edit-16", "edit, 16 callers", 16, true, 1, uniformEdit),
	rate("far-use-1", "use, 1 caller", 1, true, 1, uniformUse),
	rate("far-use-16", "use, 16 callers", 16, true, 1, uniformUse),
	rate("hot-16", "edit of one product, 16 callers", 16, false, 1, hotEdit),
	rate("hot-64", "edit of one product, 64 callers", 64, false, 4, hotEdit),
	rate("get", "get, 16 callers", 16, false, 1, uniformGet),
	rate("page-50", "page of 50, 16 callers", 16, false, 1.2, pageOf50),
}

// What is measured of ours alone: a record by the engine, with the store's time and
// without.
var timedGets = []workload{
	rate("engine-get", "get of the engine, 16 callers", 16, false, 0, engineGet(false)),
	rate("engine-get-timed", "the same with the store's time", 16, false, 0, engineGet(true)),
}

var (
	importing = result.Workload{Name: "import", Title: "import, accounts of 20 to 160 products", Unit: "products/s"}
	disk      = result.Workload{Name: "disk", Title: "tables and indexes per product, after the import", Unit: "B", LowerIsBetter: true}
	sweeping  = result.Workload{Name: "sweep", Title: "sweep, in batches of 128", Unit: "products/s"}
	removing  = result.Workload{Name: "remove-account", Title: "removal of an account, in batches of 128", Unit: "products/s"}
)

func (o options) run(ctx context.Context) (_ *result.Run, err error) {
	b := &bench{options: o, set: dataset.New(o.Products, 1), collect: result.NewCollector()}
	b.keys, b.edits, b.pages = b.set.Keys(), dataset.NewEdits(b.set), b.set.Pages(50)
	began := time.Now()
	m, err := machine.Describe(os.TempDir())
	if err != nil {
		return nil, err
	}
	if b.server, err = postgrestest.New("shared_buffers=256MB", "max_wal_size=4GB"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.server.Close()) }()
	dsn := b.server.DSN("postgres")
	if b.link, err = postgrestest.StartLink(dsn); err != nil {
		return nil, err
	}
	defer b.link.Close()
	b.link.Delay(roundTrip)
	stores := map[string][2]store{} // here, and far away
	for _, name := range []string{ours, theirs} {
		var both [2]store
		for i, dsn := range []string{dsn, b.link.DSN()} {
			if name == ours {
				both[i], err = openLibrary(ctx, dsn, o.Connections, nil)
			} else {
				both[i], err = openByHand(ctx, dsn, o.Connections)
			}
			if err != nil {
				return nil, err
			}
			defer both[i].close()
		}
		stores[name] = both
	}
	b.admin = stores[theirs][0].(byHand).pool
	if err := b.loadAll(ctx, stores); err != nil {
		return nil, err
	}
	for round := range o.Rounds {
		for _, w := range slices.Concat(workloads, timedGets) {
			if !b.wants(w.Name) {
				continue
			}
			keys := b.keys
			if w.slow {
				b.keys = keys[:min(len(keys), warmed)]
			}
			for _, name := range order(round) {
				if w.want == 0 && name == theirs {
					continue
				}
				s := stores[name][0]
				if w.slow {
					s = stores[name][1]
				}
				if err := b.measure(ctx, w, name, s, round); err != nil {
					return nil, fmt.Errorf("%s on %s: %w", w.Name, name, err)
				}
			}
			b.keys = keys
		}
	}
	for round := range o.Rounds { // last: they take those of a day's lifetime with them
		if err := b.removals(ctx, stores, round); err != nil {
			return nil, err
		}
	}
	settings, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	run := &result.Run{
		Started: began.UTC().Truncate(time.Second), Seconds: time.Since(began).Seconds(), Machine: m, Settings: settings,
		Peers: []result.Peer{
			{Name: ours, About: "catalog on backend/postgres, default options", Module: "github.com/shelflife-db/shelflife", Version: "this checkout"},
			{Name: theirs, About: "a table of products, one statement for each operation, on the same server", Module: "github.com/jackc/pgx/v5", Version: machine.Versions()["github.com/jackc/pgx/v5"]},
		},
	}
	b.collect.Into(run)
	judge(run)
	return run, nil
}

// order returns the sides in the order in which a round measures them.
func order(round int) []string {
	if round%2 == 0 {
		return []string{ours, theirs}
	}
	return []string{theirs, ours}
}

func (b *bench) wants(name string) bool {
	return len(b.Workloads) == 0 || slices.ContainsFunc(b.Workloads, func(p string) bool { ok, _ := path.Match(p, name); return ok })
}

// accounts yields the products of a set, an account at a time.
func accounts(set *dataset.Set, load func([]dataset.Product) error) error {
	for i := 0; i < set.Len(); {
		n := i + 1
		for n < set.Len() && set.Key(n).Account == set.Key(i).Account {
			n++
		}
		if err := load(set.Batch(i, n)); err != nil {
			return err
		}
		i = n
	}
	return nil
}

// loadAll makes the products of both sides, each a part in turn.
func (b *bench) loadAll(ctx context.Context, stores map[string][2]store) error {
	took := map[string]time.Duration{}
	err := accounts(b.set, func(products []dataset.Product) error {
		for _, name := range order(0) {
			began := time.Now()
			if err := stores[name][0].load(ctx, products); err != nil {
				return fmt.Errorf("import on %s: %w", name, err)
			}
			took[name] += time.Since(began)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for name, d := range took {
		b.collect.Add(importing, name, result.Observation{Value: float64(b.set.Len()) / d.Seconds()})
	}
	far, near := stores[ours][1].(*library), stores[ours][0].(*library)
	for _, p := range b.pages {
		if err := near.seek(ctx, p); err != nil {
			return err
		}
	}
	far.cursors = near.cursors
	if _, err := b.admin.Exec(ctx, "VACUUM ANALYZE"); err != nil {
		return err
	}
	for name, table := range map[string]string{ours: "shelflife", theirs: "products"} {
		size, err := b.number(ctx, "SELECT pg_total_relation_size('"+table+"')::float8")
		if err != nil {
			return err
		}
		b.collect.Add(disk, name, result.Observation{Value: size / float64(b.set.Len())})
	}
	for i := 0; i < b.set.Len(); i += max(1, b.set.Len()/200) {
		for name, both := range stores {
			if err := b.check(ctx, both[0], i); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// check compares product i with what was made or written.
func (b *bench) check(ctx context.Context, s store, i int) error {
	p, err := s.get(ctx, b.keys[i])
	if err != nil {
		return err
	}
	_, err = b.edits.Check(b.set, i, &p, false)
	return err
}

// measure runs a workload for a segment, after a warm-up.
func (b *bench) measure(ctx context.Context, w workload, name string, s store, round int) error {
	if w.slow {
		all := measure.Segment{Workers: mostWorkers, Duration: time.Hour, MaxOps: len(b.keys)}
		var next atomic.Int64
		if _, err := all.Run(ctx, func(ctx context.Context, _, _ int) error { return s.use(ctx, b.keys[next.Add(1)-1]) }); err != nil {
			return err
		}
	}
	op, err := w.op(b, s)
	if err != nil {
		return err
	}
	if _, err := (measure.Segment{Workers: w.workers, Duration: b.Duration / 4}).Run(ctx, op); err != nil {
		return err
	}
	if op, err = w.op(b, s); err != nil {
		return err
	}
	log, err := b.number(ctx, writtenLog)
	if err != nil {
		return err
	}
	var sample measure.Sample
	before := b.used()
	err = b.profiled(name, round, func() (err error) {
		sample, err = measure.Segment{Workers: w.workers, Duration: b.Duration}.Run(ctx, op)
		return err
	})
	if err != nil {
		return err
	}
	used := b.used().since(before)
	logAfter, err := b.number(ctx, writtenLog)
	if err != nil {
		return err
	}
	b.collect.Add(w.Workload, name, result.Of(sample))
	b.collect.Add(result.Workload{Name: w.Name + "-wal", Title: "write-ahead log, " + w.Title, Unit: "B/op", LowerIsBetter: true}, name,
		result.Observation{Value: (logAfter - log) / float64(sample.Total())})
	b.addCPU(w.Workload, "µs/op", name, used, float64(sample.Total()))
	fmt.Fprintf(os.Stderr, "round %d/%d  %-18s %-10s %12.6g %s\n", round+1, b.Rounds, w.Name, name, sample.Rate(), w.Unit)
	for range 20 {
		if err := b.check(ctx, s, rand.IntN(len(b.keys))); err != nil {
			return err
		}
	}
	return nil
}

// profiled calls fn, under the profiler where that was asked for and it is time.
func (b *bench) profiled(name string, round int, fn func() error) error {
	if b.CPUProfile == "" || name != ours || round != b.Rounds-1 {
		return fn()
	}
	return measure.Profiled(b.CPUProfile, fn)
}

const writtenLog = "SELECT (pg_current_wal_lsn() - '0/0')::float8"

// number asks the server.
func (b *bench) number(ctx context.Context, sql string) (n float64, err error) {
	err = b.admin.QueryRow(ctx, sql).Scan(&n)
	return n, err
}

// cpu is processor time of both sides. That of links is the client's.
type cpu struct{ client, server time.Duration }

func (c cpu) since(before cpu) cpu { return cpu{c.client - before.client, c.server - before.server} }

// addCPU adds what n operations of a workload took of it.
func (b *bench) addCPU(w result.Workload, unit, name string, used cpu, n float64) {
	add := func(side string, d time.Duration) {
		of := result.Workload{Name: w.Name + "-cpu-" + side, Title: "CPU of the " + side + ", " + w.Title, Unit: unit, LowerIsBetter: true}
		b.collect.Add(of, name, result.Observation{Value: float64(d.Microseconds()) / n})
	}
	add("client", used.client)
	add("server", used.server)
}

// used returns the processor time that this process and the server have taken.
func (b *bench) used() cpu {
	u := cpu{client: measure.ProcessorTime()}
	postmaster := strconv.Itoa(b.server.PID())
	out, err := exec.Command("ps", "-o", "pid=", "--ppid", postmaster).Output()
	if err != nil {
		return u
	}
	const tick = 10 * time.Millisecond
	for _, pid := range append(strings.Fields(string(out)), postmaster) {
		text, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		f := strings.Fields(rest)
		last := 13
		if pid == postmaster {
			last = 15 // those that have ended, too
		}
		for _, n := range f[11:last] {
			ticks, _ := strconv.Atoi(n)
			u.server += time.Duration(ticks) * tick
		}
	}
	return u
}

func (b *bench) sources(workers int) []*rand.Rand {
	b.segment++
	all := make([]*rand.Rand, workers)
	for i := range all {
		all[i] = rand.New(rand.NewPCG(b.segment, uint64(i)))
	}
	return all
}

const mostWorkers = 64

func (b *bench) edit(s store, pick func(*rand.Rand) dataset.Key) (measure.Op, error) {
	random, buffers, segment := b.sources(mostWorkers), make([][]byte, mostWorkers), b.segment
	return func(ctx context.Context, w, n int) error {
		buffers[w] = b.edits.Append(buffers[w][:0], segment<<40|uint64(w)<<32|uint64(n))
		return s.edit(ctx, pick(random[w]), buffers[w])
	}, nil
}

func uniformEdit(b *bench, s store) (measure.Op, error) {
	return b.edit(s, func(r *rand.Rand) dataset.Key { return b.keys[r.IntN(len(b.keys))] })
}

func hotEdit(b *bench, s store) (measure.Op, error) {
	return b.edit(s, func(*rand.Rand) dataset.Key { return b.keys[7] })
}

func uniformUse(b *bench, s store) (measure.Op, error) {
	random := b.sources(mostWorkers)
	return func(ctx context.Context, w, _ int) error { return s.use(ctx, b.keys[random[w].IntN(len(b.keys))]) }, nil
}

func uniformGet(b *bench, s store) (measure.Op, error) {
	random := b.sources(mostWorkers)
	return func(ctx context.Context, w, _ int) error {
		_, err := s.get(ctx, b.keys[random[w].IntN(len(b.keys))])
		return err
	}, nil
}

func engineGet(timed bool) func(*bench, store) (measure.Op, error) {
	return func(b *bench, s store) (measure.Op, error) {
		l, ok := s.(*library)
		if !ok {
			return nil, peer.ErrNotOffered
		}
		random := b.sources(mostWorkers)
		return func(ctx context.Context, w, _ int) error {
			return l.engineGet(ctx, b.keys[random[w].IntN(len(b.keys))], timed)
		}, nil
	}
}

func pageOf50(b *bench, s store) (measure.Op, error) {
	random := b.sources(mostWorkers)
	return func(ctx context.Context, w, _ int) error {
		p := b.pages[random[w].IntN(len(b.pages))]
		n, err := s.page(ctx, p)
		if err == nil && n != p.Limit {
			err = fmt.Errorf("page of %s behind %q has %d products", p.Account, p.After, n)
		}
		return err
	}, nil
}

// removals makes products that expire and sweeps them, and an account and removes
// it.
func (b *bench) removals(ctx context.Context, stores map[string][2]store, round int) error {
	if !b.wants(sweeping.Name) && !b.wants(removing.Name) {
		return nil
	}
	mortal := b.set.Mortal(fmt.Sprintf("mortal%d", round)).Resize(b.Mortals)
	for _, name := range order(round) {
		if err := b.removalsOf(ctx, name, stores[name][0], mortal, round); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (b *bench) removalsOf(ctx context.Context, name string, s store, mortal *dataset.Set, round int) (err error) {
	if err := accounts(mortal, func(p []dataset.Product) error { return s.load(ctx, p) }); err != nil {
		return err
	}
	account := fmt.Sprintf("one-account-%d", round)
	for i := 0; i < b.Mortals; i += 100 {
		products := b.set.Batch(i, i+100)
		for j := range products {
			products[j].Account, products[j].ValidForDays = account, 0
		}
		if err := s.load(ctx, products); err != nil {
			return err
		}
	}
	sweeper := s
	if name == ours {
		ahead := new(peer.Clock)
		l, err := openLibrary(ctx, b.server.DSN("postgres"), b.Connections, ahead)
		if err != nil {
			return err
		}
		// Its own sweeper must not go on with its clock.
		defer func() { err = errors.Join(err, l.close()) }()
		sweeper = l
	}
	if err := b.warm(ctx, sweeper, round); err != nil {
		return err
	}
	for _, what := range []struct {
		result.Workload
		do func() (int, error)
	}{
		// Behind the mortals' day, and before any deadline of the others: those of a
		// day are as they are in both.
		{sweeping, func() (int, error) { return sweeper.sweep(ctx, time.Now().Add(25*time.Hour)) }},
		{removing, func() (int, error) { return s.remove(ctx, account) }},
	} {
		if !b.wants(what.Name) {
			continue
		}
		n, took := 0, time.Duration(0)
		before := b.used()
		err := b.profiled(name, round, func() (err error) {
			began := time.Now()
			n, err = what.do()
			took = time.Since(began)
			return err
		})
		if err == nil && n < b.Mortals {
			err = fmt.Errorf("removed %d of %d", n, b.Mortals)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", what.Name, err)
		}
		used := b.used().since(before)
		b.collect.Add(what.Workload, name, result.Observation{Value: float64(n) / took.Seconds()})
		b.addCPU(what.Workload, "µs/product", name, used, float64(n))
		fmt.Fprintf(os.Stderr, "round %d/%d  %-18s %-10s %12.6g %s (%d)\n", round+1, b.Rounds, what.Name, name, float64(n)/took.Seconds(), what.Unit, n)
	}
	return nil
}

// warm removes small accounts, at the same time, so that a store has its connections
// and the server has planned what is done over them.
func (b *bench) warm(ctx context.Context, s store, round int) error {
	var each sync.WaitGroup
	errs := make([]error, b.Connections/2)
	for i := range errs {
		each.Go(func() {
			for n := range 3 {
				products := b.set.Batch(0, 20)
				account := fmt.Sprintf("warm-%d-%d-%d", round, i, n)
				for j := range products {
					products[j].Account, products[j].ID, products[j].ValidForDays = account, fmt.Sprint(j), 0
				}
				err := s.load(ctx, products)
				if err == nil {
					_, err = s.remove(ctx, account)
				}
				errs[i] = errors.Join(errs[i], err)
			}
		})
	}
	each.Wait()
	return errors.Join(errs...)
}

// judge fills in the goals.
func judge(run *result.Run) {
	goal := func(w result.Workload, want float64) {
		report.JudgeRatio(run, want, w.Title+", to SQL by hand", w.Name, ours, theirs)
	}
	for _, w := range workloads {
		goal(w.Workload, w.want)
	}
	goal(importing, 0.9)
	goal(sweeping, 0.5)
	goal(removing, 0.5)
}
