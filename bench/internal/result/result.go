// Package result holds what a run measured.
package result

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/shelflife-db/shelflife/bench/internal/machine"
	"github.com/shelflife-db/shelflife/bench/internal/measure"
)

// A Workload is one thing that is measured.
type Workload struct {
	// Name is short and unique: "get-zipf".
	Name string `json:"name"`
	// Title says what it is in a few words.
	Title string `json:"title"`
	// Unit is that of the value: "op/s".
	Unit string `json:"unit"`
	// LowerIsBetter is the direction of the value.
	LowerIsBetter bool `json:"lowerIsBetter,omitempty"`
}

// An Observation is what one round of a workload measured. Fields that do not
// apply are zero.
type Observation struct {
	Value float64
	// P50 and P99 are times of single operations.
	P50, P99 time.Duration
	// Allocs and AllocBytes are per operation.
	Allocs, AllocBytes float64
}

// Of returns the observation of a sample, with its rate as the value.
func Of(s measure.Sample) Observation {
	return Observation{s.Rate(), s.P50, s.P99, s.Allocs, s.AllocBytes}
}

// A Measurement summarizes the rounds of a workload on a peer.
type Measurement struct {
	Workload string `json:"workload"`
	Peer     string `json:"peer"`
	Rounds   int    `json:"rounds"`
	// Value is in the workload's unit.
	Value measure.Spread `json:"value"`
	// P50 and P99 are in microseconds.
	P50        *measure.Spread `json:"p50us,omitempty"`
	P99        *measure.Spread `json:"p99us,omitempty"`
	Allocs     *measure.Spread `json:"allocsPerOp,omitempty"`
	AllocBytes *measure.Spread `json:"allocBytesPerOp,omitempty"`
}

// A Gap says why a workload was not measured on a peer.
type Gap struct {
	Workload string `json:"workload"`
	Peer     string `json:"peer"`
	Reason   string `json:"reason"`
}

// Peer describes a store that took part.
type Peer struct {
	Name    string `json:"name"`
	About   string `json:"about"`
	Module  string `json:"module"`
	Version string `json:"version"`
}

// Run is everything about one run.
type Run struct {
	Mode         string              `json:"mode"`
	Started      time.Time           `json:"started"`
	Seconds      float64             `json:"seconds"`
	Machine      machine.Description `json:"machine"`
	Settings     json.RawMessage     `json:"settings"`
	Peers        []Peer              `json:"peers"`
	Workloads    []Workload          `json:"workloads"`
	Measurements []Measurement       `json:"measurements"`
	Gaps         []Gap               `json:"gaps,omitempty"`
	Goals        []Goal              `json:"goals"`
}

// A Goal is a figure that the library set out to reach.
type Goal struct {
	Text string `json:"text"`
	// Want is the bound: "≥ 0.70".
	Want string `json:"want"`
	// State is "met", "not met" or "not measured".
	State string `json:"state"`
	// Figure is what was measured, 0 where nothing was.
	Figure float64 `json:"figure"`
	// Detail says between what.
	Detail string `json:"detail,omitempty"`
}

// Find returns a measurement, nil if there is none.
func (r *Run) Find(workload, peer string) *Measurement {
	for i := range r.Measurements {
		if m := &r.Measurements[i]; m.Workload == workload && m.Peer == peer {
			return m
		}
	}
	return nil
}

// Collector gathers observations while a run goes on.
type Collector struct {
	workloads []Workload
	order     []pair
	rounds    map[pair][]Observation
	gaps      map[pair]string
}

type pair struct{ workload, peer string }

// NewCollector returns an empty collector.
func NewCollector() *Collector {
	return &Collector{rounds: map[pair][]Observation{}, gaps: map[pair]string{}}
}

// Add notes a round.
func (c *Collector) Add(w Workload, peer string, o Observation) {
	p := c.know(w, peer)
	c.rounds[p] = append(c.rounds[p], o)
}

// Skip notes why there is no round.
func (c *Collector) Skip(w Workload, peer, reason string) { c.gaps[c.know(w, peer)] = reason }

func (c *Collector) know(w Workload, peer string) pair {
	if !slices.Contains(c.workloads, w) {
		c.workloads = append(c.workloads, w)
	}
	p := pair{w.Name, peer}
	if !slices.Contains(c.order, p) {
		c.order = append(c.order, p)
	}
	return p
}

// Into fills in what was gathered.
func (c *Collector) Into(r *Run) {
	r.Workloads = slices.Clone(c.workloads)
	for _, w := range c.workloads {
		for _, p := range c.order {
			if p.workload != w.Name {
				continue
			}
			if reason, ok := c.gaps[p]; ok {
				r.Gaps = append(r.Gaps, Gap{p.workload, p.peer, reason})
			} else {
				r.Measurements = append(r.Measurements, summarize(p, c.rounds[p]))
			}
		}
	}
}

func summarize(p pair, rounds []Observation) Measurement {
	spread := func(of func(Observation) float64) *measure.Spread {
		values := make([]float64, len(rounds))
		used := false
		for i, o := range rounds {
			values[i] = of(o)
			used = used || values[i] != 0
		}
		s := measure.SpreadOf(values)
		if !used {
			return nil
		}
		return &s
	}
	m := Measurement{
		Workload: p.workload, Peer: p.peer, Rounds: len(rounds),
		P50:        spread(func(o Observation) float64 { return micros(o.P50) }),
		P99:        spread(func(o Observation) float64 { return micros(o.P99) }),
		Allocs:     spread(func(o Observation) float64 { return o.Allocs }),
		AllocBytes: spread(func(o Observation) float64 { return o.AllocBytes }),
	}
	if v := spread(func(o Observation) float64 { return o.Value }); v != nil {
		m.Value = *v
	}
	return m
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// On returns the measurements of a workload, of all peers.
func (r *Run) On(workload string) []Measurement {
	var out []Measurement
	for _, m := range r.Measurements {
		if m.Workload == workload {
			out = append(out, m)
		}
	}
	return out
}

// Lacks reports whether a peer has no such workload, which is known.
func (r *Run) Lacks(workload, peer string) bool {
	return slices.ContainsFunc(r.Gaps, func(g Gap) bool { return g.Workload == workload && g.Peer == peer })
}

// Save writes the run as JSON, and makes the folder.
func (r *Run) Save(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
