package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/httppeer"
	"github.com/shelflife-db/shelflife/bench/internal/machine"
	"github.com/shelflife-db/shelflife/bench/internal/measure"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

// run is a run in progress.
type run struct {
	Config
	progress io.Writer
	begin    time.Time
	collect  *result.Collector

	peers   []peer.Peer
	servers []httppeer.Peer

	set    *dataset.Set
	photos *dataset.Set // the products that have an uploaded image
	keys   []dataset.Key
	zipf   *dataset.Zipf
	edits  *dataset.Edits
	images [][]byte
	// photoOf is the image that each product of photos has, by the name of the
	// stored data.
	photoOf map[string][]int
	// segments counts what has to be told apart by what it wrote.
	segments uint64
}

// photoProducts is how many products have an uploaded image.
const photoProducts = 32

// Run measures what c says and writes its progress, a line at a time. An error
// says that something failed or that a peer returned wrong data: there is no
// result then.
func Run(ctx context.Context, c Config, peers []peer.Peer, servers []httppeer.Peer, progress io.Writer) (out *result.Run, err error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Dir, err = os.MkdirTemp(c.Dir, "shelflife-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.Dir)) }()
	r := &run{
		Config: c, progress: progress, begin: time.Now(), collect: result.NewCollector(), photoOf: map[string][]int{},
	}
	for _, p := range peers {
		if matches(c.Peers, p.Name) {
			r.peers = append(r.peers, p)
		}
	}
	for _, s := range servers {
		if matches(c.Peers, s.Name) {
			r.servers = append(r.servers, s)
		}
	}
	if err := r.checkProfile(); err != nil {
		return nil, err
	}
	if out, err = r.describe(); err != nil {
		return nil, err
	}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	for _, stage := range []func(context.Context) error{
		r.load, r.reads, r.durableWrites, r.bufferedWrites, r.uses, r.sweeps, r.openings, r.bulkLoads, r.large, r.larger, r.huge, r.overHTTP,
	} {
		if err := stage(ctx); err != nil {
			return nil, err
		}
	}
	r.collect.Into(out)
	out.Seconds = time.Since(r.begin).Seconds()
	return out, nil
}

// prepare makes the data.
func (r *run) prepare() (err error) {
	if r.set, err = openSet(&r.Config); err != nil {
		return err
	}
	r.photos = r.set.Under("photo").Resize(photoProducts)
	r.keys = r.set.Keys()
	r.zipf = dataset.NewZipf(r.set.Len(), r.Seed)
	r.edits = dataset.NewEdits(r.set)
	r.images, err = dataset.Photos(r.Seed)
	return err
}

func openSet(c *Config) (*dataset.Set, error) {
	if c.Data == "" {
		return dataset.New(c.Products, c.Seed), nil
	}
	f, err := os.Open(c.Data)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return dataset.ReadNDJSON(f, c.Products, c.Seed)
}

func (r *run) describe() (*result.Run, error) {
	settings, err := json.Marshal(r.Config)
	if err != nil {
		return nil, err
	}
	m, err := machine.Describe(r.Dir)
	if err != nil {
		return nil, err
	}
	out := &result.Run{Started: r.begin.UTC().Truncate(time.Second), Machine: m, Settings: settings}
	versions := machine.Versions()
	versions["std"] = m.Go
	for _, p := range r.peers {
		out.Peers = append(out.Peers, result.Peer{Name: p.Name, About: p.About, Module: p.Module, Version: versions[p.Module]})
	}
	for _, s := range r.servers {
		out.Peers = append(out.Peers, result.Peer{Name: s.Name, About: s.About, Module: s.Module, Version: versions[s.Module]})
	}
	return out, nil
}

// wants reports whether any of the workloads was chosen.
func (r *run) wants(list ...result.Workload) bool {
	return slices.ContainsFunc(list, func(w result.Workload) bool { return matches(r.Workloads, w.Name) })
}

// wants reports whether any of the workloads was chosen and the turn's peer takes
// part in it.
func (t *turn) wants(list ...result.Workload) bool {
	return slices.ContainsFunc(list, func(w result.Workload) bool { return t.run.wants(w) && matches(t.peer.Only, w.Name) })
}

// options are those of every opening.
func (r *run) options(durable bool) peer.Options {
	return peer.Options{Durable: durable, Edits: r.edits, Models: r.set}
}

// dir is where the base store of a peer is.
func (r *run) dir(p peer.Peer) string { return filepath.Join(r.Dir, dataName(p)) }

// dataName is the name of the stored data that a peer works on.
func dataName(p peer.Peer) string {
	if p.Data != "" {
		return p.Data
	}
	return p.Name
}

// turn is one opening of a peer in a round of a stage.
type turn struct {
	*run
	peer  peer.Peer
	store peer.Store
	round int
}

// turns opens each peer in each round, A B A B, so that only one is open at a
// time, and calls fn with it if it takes part in any of the workloads.
func (r *run) turns(ctx context.Context, o peer.Options, list []result.Workload, fn func(ctx context.Context, t *turn) error) error {
	for round := range r.Rounds {
		for _, p := range r.peers {
			if t := (&turn{run: r, peer: p}); !t.wants(list...) {
				continue
			}
			store, err := p.Open(ctx, r.dir(p), o)
			if err != nil {
				return fmt.Errorf("%s: open: %w", p.Name, err)
			}
			if err := fn(ctx, &turn{r, p, store, round}); err != nil {
				return fmt.Errorf("%s: %w", p.Name, errors.Join(err, store.Close()))
			}
			if err := store.Close(); err != nil {
				return fmt.Errorf("%s: close: %w", p.Name, err)
			}
		}
	}
	return nil
}

// touch reads every product once, so that caches are as full as they get.
func (t *turn) touch(ctx context.Context) error {
	readers := max(t.Readers, 1)
	each := measure.Segment{Workers: readers, Duration: time.Hour, MaxOps: t.set.Len()}
	var next atomic.Int64
	_, err := each.Run(ctx, func(ctx context.Context, _, _ int) error {
		_, err := t.store.Get(ctx, t.keys[next.Add(1)-1], false)
		return err
	})
	return err
}

// segment is a segment of the configured length.
func (r *run) segment(workers int) measure.Segment {
	return measure.Segment{Workers: workers, Duration: r.Duration, MaxOps: r.MaxOps}
}

// Operations that take less than shortOp are timed in samples.
const (
	shortOp      = 10 * time.Microsecond
	shortOpEvery = 8
)

// segmentAfter is a segment after its warm-up, which has shown how long the
// operations take.
func (r *run) segmentAfter(warm measure.Sample, workers int) measure.Segment {
	s := r.segment(workers)
	if warm.P50 < shortOp {
		s.TimeEvery = shortOpEvery
	}
	return s
}

// warmUp is what precedes a segment.
func (r *run) warmUp(workers int) measure.Segment {
	s := r.segment(workers)
	s.Duration, s.MaxOps = s.Duration/2, s.MaxOps/4
	if r.MaxOps > 0 {
		s.MaxOps = max(s.MaxOps, 1)
	}
	return s
}

// add notes a round and reports it.
func (r *run) add(w result.Workload, peer string, round int, o result.Observation) {
	r.collect.Add(w, peer, o)
	r.say("round %d/%d  %-18s %-24s %14.6g %s", round+1, r.Rounds, peer, w.Name, o.Value, w.Unit)
}

// skip notes why there is nothing to be noted.
func (r *run) skip(w result.Workload, peer, reason string) { r.collect.Skip(w, peer, reason) }

func (r *run) say(format string, args ...any) {
	elapsed := time.Since(r.begin).Round(time.Second)
	fmt.Fprintf(r.progress, "%6s  %s\n", elapsed, fmt.Sprintf(format, args...))
}
