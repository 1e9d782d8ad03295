package workload

import (
	"fmt"

	"github.com/shelflife-db/shelflife/bench/internal/measure"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

func (r *run) checkProfile() error {
	if r.CPUProfile == "" {
		return nil
	}
	var chosen []result.Workload
	for _, w := range r.All() {
		if r.wants(w) {
			chosen = append(chosen, w)
		}
	}
	if len(chosen) != 1 || len(r.peers)+len(r.servers) != 1 {
		return fmt.Errorf("bench: a profile needs one workload and one peer, not %d and %d", len(chosen), len(r.peers)+len(r.servers))
	}
	return nil
}

// profiled calls fn, under the profiler in the last round if there is to be a
// profile. Every round overwrites the one before, so that a workload of
// several segments leaves that of its last.
func (r *run) profiled(round int, fn func() error) error {
	if r.CPUProfile == "" || round != r.Rounds-1 {
		return fn()
	}
	return measure.Profiled(r.CPUProfile, fn)
}
