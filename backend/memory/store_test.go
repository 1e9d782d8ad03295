package memory_test

import (
	"flag"
	"testing"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/memory"
)

var seed = flag.Uint64("seed", 0, "repeats the random tests of a run that logged it; 0: random")

// harness treats another handle as another process: the data outlives them,
// and all of it is durable at once.
func harness(o *memory.Options) backendtest.Harness {
	reopen := func(t *testing.T, b backend.Backend) backend.Backend {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		return b.(*memory.Store).Handle()
	}
	return backendtest.Harness{
		Open:   func(*testing.T) backend.Backend { return memory.New(o) },
		Reopen: reopen,
		Crash:  reopen,
		Second: func(_ *testing.T, b backend.Backend) backend.Backend { return b.(*memory.Store).Handle() },
		Seed:   *seed,
		// A lock in this process's memory always answers.
		Exceptions: []backendtest.Exception{backendtest.NoStall, backendtest.NoHeal},
	}
}

func TestConformance(t *testing.T) {
	for name, o := range map[string]*memory.Options{
		"Default": nil,
		"Shared":  {Shared: true, Seed: *seed},
		"Limits":  {MaxKeySize: 2 << 10, MaxValueSize: 2 << 20, Shards: 256},
	} {
		t.Run(name, func(t *testing.T) { backendtest.Run(t, harness(o)) })
	}
}

// TestConformanceOfHealing: what is not durable is lost, as promised, and nothing
// else. Another handle has it all.
func TestConformanceOfHealing(t *testing.T) {
	h := harness(&memory.Options{Heals: true})
	h.Second = nil
	h.Heal = func(_ *testing.T, b backend.Backend) { b.(*memory.Store).Heal() }
	h.Exceptions = []backendtest.Exception{backendtest.NoStall, backendtest.SingleHandle}
	backendtest.Run(t, h)
}

func BenchmarkStore(b *testing.B) {
	backendtest.Benchmark(b, func(*testing.B) backend.Backend { return memory.New(nil) })
}
