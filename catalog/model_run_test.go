package catalog_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

var (
	modelSeed = flag.Uint64("model.seed", 0, "begins the model test with the history of this seed; 0: random")
	modelOf   = flag.Int("model.ops", 10_000, "operations of the model test on each configuration; fewer with -race")
)

// historyLength is how many operations run on one store.
const historyLength = 1000

// modelConfig is a kind of store and the options of the catalogs on it.
type modelConfig struct {
	name    string
	handles int
	// store returns what opens a handle on a new store.
	store func() func() (backend.Backend, error)
	opts  catalog.Options
	// clocked says that the store has a clock of its own, and that those of the
	// catalogs are wrong.
	clocked bool
}

// modelRun is a history at work on a store and the model.
type modelRun struct {
	cfg        *modelConfig
	clock      *ttl.ManualClock
	open       func() (backend.Backend, error)
	catalogs   []*catalog.Catalog
	turn       int
	m          *model
	sweepGrace time.Duration
	// pauseUntil is when, in monotonic time, removals may go on after a leap.
	pauseUntil time.Duration
	held       []heldImage
	cursors    []heldCursor
	log        []string
	// answers counts what the operations came to.
	answers map[string]int

	// mu guards what comes from the catalogs' own goroutines.
	mu       sync.Mutex
	trespass error
	expired  []expiredProduct
}

// expiredProduct is what Options.OnExpire was told.
type expiredProduct struct {
	version catalog.Version
	text    string // account and JSON
}

func (r *modelRun) note(format string, args ...any) {
	r.log = append(r.log, fmt.Sprintf(format, args...))
}

// c returns one of the catalogs, in turn.
func (r *modelRun) c() *catalog.Catalog {
	r.turn++
	return r.catalogs[r.turn%len(r.catalogs)]
}

func (r *modelRun) start() error {
	for i := range r.cfg.handles {
		b, err := r.open()
		if err != nil {
			return err
		}
		opts := r.cfg.opts
		opts.Clock = r.clock
		if r.cfg.clocked {
			b = backendtest.Clocked(b, r.clock.Now)
			opts.Clock = skewedClock{r.clock, skews[i]}
		}
		opts.OnExpire = func(_ context.Context, _ *catalog.Catalog, e catalog.Expired) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.expired = append(r.expired, expiredProduct{e.Product.Version(), e.Account + " " + string(e.Product.AppendJSON(nil))})
		}
		checked := backendtest.Checked(b, scopeOf, func(err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.trespass = err
		})
		c, err := catalog.Open(context.Background(), checked, &opts)
		if err != nil {
			return errors.Join(err, b.Close())
		}
		catalog.EagerDeadSpans(c)
		catalog.EagerBulk(c)
		r.catalogs = append(r.catalogs, c)
	}
	return nil
}

func (r *modelRun) close() (err error) {
	for _, c := range r.catalogs {
		err = errors.Join(err, c.Close())
	}
	r.catalogs, r.held = nil, nil
	return err
}

// run replays a history on a new store. It returns what went wrong, and what
// was done until then.
func (cfg *modelConfig) run(ops []modelOp, answers map[string]int) (log []string, err error) {
	r := &modelRun{
		cfg: cfg, clock: ttl.NewManualClock(epoch), open: cfg.store(), m: newModel(),
		sweepGrace: cfg.opts.Sweeper.Grace, answers: answers,
	}
	if r.sweepGrace == 0 {
		r.sweepGrace = 5 * time.Second // at least: use windows come on top
	}
	if cfg.opts.ImageGrace != 0 {
		r.m.grace = max(cfg.opts.ImageGrace, 0).Milliseconds()
	}
	r.m.observe(epoch)
	defer func() {
		if p := recover(); p != nil {
			log, err = r.log, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	err = r.start()
	for i := 0; i < len(ops) && err == nil; i++ {
		op := &ops[i]
		err = op.do(r, rand.New(rand.NewPCG(op.seed, 0)), op.key)
		if err == nil {
			r.mu.Lock()
			err = r.trespass
			r.mu.Unlock()
		}
	}
	if err == nil {
		err = r.finish()
	}
	answers["expired"] += len(r.expired)
	return r.log, errors.Join(err, r.close())
}

// finish has everything expire and be swept, deletes the rest, and finds
// nothing left in the store.
func (r *modelRun) finish() error {
	if err := r.compareAll(nil, modelKey{}); err != nil {
		return err
	}
	if err := r.check(nil, modelKey{}); err != nil {
		return err
	}
	r.clock.Leap(max(0, time.UnixMilli(r.m.latest).Sub(r.clock.Now())))
	if err := r.move(366 * day); err != nil {
		return err
	}
	if err := r.sweepAll(); err != nil {
		return err
	}
	report, err := r.catalogs[0].Check(context.Background())
	if err != nil {
		return err
	}
	kept := 0
	for _, p := range r.m.products {
		if p.days == 0 {
			kept++
		}
	}
	if report.Products != kept {
		return fmt.Errorf("%d products after all lifetimes, want %d", report.Products, kept)
	}
	if err := r.compareAll(nil, modelKey{}); err != nil {
		return err
	}
	for _, account := range modelAccounts {
		if _, err := r.c().DeleteAccount(context.Background(), account); err != nil {
			return err
		}
	}
	if err := r.sweepAll(); err != nil {
		return err
	}
	if err := r.close(); err != nil {
		return err
	}
	return errors.Join(r.nothingLeft(), r.expiredOnce())
}

// sweepAll sweeps past every grace and pause.
func (r *modelRun) sweepAll() error {
	for range 3 {
		r.clock.Advance(20*time.Minute + r.sweepGrace)
		if err := r.observe(); err != nil {
			return err
		}
		if err := r.sweepEach(false); err != nil {
			return err
		}
	}
	return nil
}

// nothingLeft looks into the store itself.
func (r *modelRun) nothingLeft() error {
	b, err := r.open()
	if err != nil {
		return err
	}
	return errors.Join(onlyMeta(b), b.Close())
}

// onlyMeta returns an error if there are keys other than those of the meta
// space.
func onlyMeta(b backend.Backend) error {
	for e, err := range b.Scan(context.Background(), backend.Range{}, backend.ScanOptions{KeysOnly: true}) {
		if err != nil {
			return err
		}
		if e.Key[0] != encoding.SpaceMeta {
			return fmt.Errorf("left in the store: %q", e.Key)
		}
	}
	return nil
}

// expiredOnce checks what OnExpire was told: every product that expired, as it
// was last, once; none that was deleted.
func (r *modelRun) expiredOnce() error {
	told := map[catalog.Version]int{}
	for _, e := range r.expired {
		told[e.version]++
		if !r.m.versions[e.version] {
			return fmt.Errorf("unknown product expired: %s", e.text)
		}
	}
	total := 0
	for _, p := range r.m.all {
		last := p.life.final
		n := told[last.version]
		total += n
		_, mortal := last.deadline()
		switch fate := last.life.fate; {
		case fate == deleted && n != 0:
			return fmt.Errorf("deleted, but told to have expired: %s", last.json())
		case fate == wiped && n > 1, fate == "" && !mortal && n != 0:
			return fmt.Errorf("told %d times: %s", n, last.json())
		case (fate == replaced || fate == swept || fate == "" && mortal) && n != 1:
			return fmt.Errorf("expired, but told %d times: %s", n, last.json())
		}
	}
	if total != len(r.expired) {
		return fmt.Errorf("%d expiries of %d were told of an older state", len(r.expired)-total, len(r.expired))
	}
	for _, e := range r.expired {
		known := false
		for _, p := range r.m.all {
			if last := p.life.final; last.version == e.version {
				known = last.account+" "+last.json() == e.text
			}
		}
		if !known {
			return fmt.Errorf("told of another state: %s", e.text)
		}
	}
	return nil
}

// shrink returns a short part of a failing history that fails too.
func (cfg *modelConfig) shrink(ops []modelOp, deadline time.Duration) []modelOp {
	clock := ttl.SystemClock()
	fails := func(part []modelOp) bool {
		_, err := cfg.run(part, map[string]int{})
		return err != nil
	}
	for size := (len(ops) + 1) / 2; size > 0; {
		removed := false
		for begin := 0; begin < len(ops) && clock.Elapsed() < deadline; {
			part := append(append([]modelOp(nil), ops[:begin]...), ops[min(begin+size, len(ops)):]...)
			if fails(part) {
				ops, removed = part, true
			} else {
				begin += size
			}
		}
		if clock.Elapsed() >= deadline {
			break
		}
		if !removed || size > len(ops) {
			size /= 2
		}
	}
	return ops
}

// history returns the operations of a seed.
func history(seed uint64) []modelOp {
	rng := rand.New(rand.NewPCG(seed, 0))
	ops := make([]modelOp, historyLength)
	for i := range ops {
		ops[i] = drawOp(rng)
	}
	return ops
}

// TestModel replays random histories of the whole API on the model and on
// catalogs, and compares every answer. It prints the seed and a short form of
// a history that fails; see the flags.
func TestModel(t *testing.T) {
	first := *modelSeed
	if first == 0 {
		first = rand.Uint64()
	}
	for i := range modelConfigs {
		cfg := &modelConfigs[i]
		t.Run(cfg.name, func(t *testing.T) {
			t.Parallel()
			answers := map[string]int{}
			histories := max(1, *modelOf/historyLength/modelRaceFactor)
			for i := range histories {
				seed := first + uint64(i)
				ops := history(seed)
				log, err := cfg.run(ops, answers)
				if err == nil {
					continue
				}
				ops = cfg.shrink(ops, 20*time.Second)
				short, again := cfg.run(ops, answers)
				if again == nil {
					short, again = log[max(0, len(log)-20):], errors.New("not when it was replayed")
				}
				t.Fatalf("replay with -run '^TestModel$/^%s$' -model.seed=%d -model.ops=1\n%v\nshrunk to:\n%s\n%v",
					cfg.name, seed, err, strings.Join(short, "\n"), again)
			}
			t.Logf("%d operations from -model.seed=%d: %v", histories*historyLength, first, answers)
		})
	}
}
