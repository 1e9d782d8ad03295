// Package workload says what is measured and measures it.
package workload

import (
	"encoding/json"
	"fmt"
	"path"
	"runtime"
	"time"
)

// Config says what a run does. Workloads and peers are chosen by patterns of
// path.Match; an empty list means all.
type Config struct {
	Workloads []string `json:"workloads,omitempty"`
	Peers     []string `json:"peers,omitempty"`
	// Products is the size of most stores; Large, Larger and Huge, the last of small
	// products, are those of the stores that show whether size matters. 0 leaves out
	// what needs such a store. HTTPProducts is that of the stores behind HTTP.
	Products     int `json:"products"`
	Large        int `json:"large"`
	Larger       int `json:"larger"`
	Huge         int `json:"huge"`
	HTTPProducts int `json:"httpProducts"`
	// Writers are the numbers of goroutines that write, ascending; the one in
	// the middle serves where there is one number. Readers is that of
	// goroutines that read, Clients that of HTTP clients.
	Writers []int `json:"writers"`
	Readers int   `json:"readers"`
	Clients int   `json:"clients"`
	Rounds  int   `json:"rounds"`
	// Duration is that of one segment, MaxOps bounds its operations where it
	// is not 0.
	Duration time.Duration `json:"nanoseconds"`
	MaxOps   int           `json:"maxOps,omitempty"`
	Seed     uint64        `json:"seed"`
	// Data is a file of products, "" for generated ones.
	Data string `json:"data,omitempty"`
	// Dir is where the stores are made, and removed at the end.
	Dir string `json:"-"`
	// CPUProfile is a file for the profile of the last segment; it needs one
	// workload and one peer.
	CPUProfile string `json:"-"`
}

// Full returns the configuration of a full run.
func Full() Config {
	return Config{
		Products: 200_000, Large: 1_000_000, Larger: 5_000_000, Huge: 10_000_000, HTTPProducts: 20_000,
		Writers: []int{1, 16, 64}, Readers: runtime.GOMAXPROCS(0), Clients: 16,
		Rounds: 3, Duration: time.Second, Seed: 1,
	}
}

// Quick returns the configuration of a run of some minutes.
func Quick() Config {
	c := Full()
	c.Products, c.Large, c.Larger, c.Huge, c.HTTPProducts = 20_000, 0, 0, 0, 2_000
	c.Rounds, c.Duration = 2, 200*time.Millisecond
	return c
}

func (c *Config) check() error {
	switch {
	case c.Products < 200:
		return fmt.Errorf("bench: %d products, at least 200 are needed", c.Products)
	case len(c.Writers) == 0:
		return fmt.Errorf("bench: no number of writers")
	case c.Rounds < 1:
		return fmt.Errorf("bench: %d rounds", c.Rounds)
	}
	for _, w := range c.Writers {
		if w < 1 || w > maxWriters {
			return fmt.Errorf("bench: %d writers, at most %d are possible", w, maxWriters)
		}
	}
	for _, p := range append(append([]string{}, c.Workloads...), c.Peers...) {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("bench: pattern %q: %w", p, err)
		}
	}
	return nil
}

func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok {
			return true
		}
	}
	return len(patterns) == 0
}

func (c *Config) writers() int { return c.Writers[len(c.Writers)/2] }

func (c *Config) mostWriters() int { return c.Writers[len(c.Writers)-1] }

// Same reports whether c and other measure the same in the same way.
func (c *Config) Same(other *Config) bool {
	a, errA := json.Marshal(c)
	b, errB := json.Marshal(other)
	return errA == nil && errB == nil && string(a) == string(b)
}
