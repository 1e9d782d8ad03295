// Package backendtest is the conformance suite for implementations of
// [backend.Backend], in this module or another, with benchmarks to compare
// them:
//
//	func TestBackend(t *testing.T) {
//		backendtest.Run(t, backendtest.Harness{Open: open, Reopen: reopen, ...})
//	}
//
// What an engine can't be tested for is declared as an [Exception], and its tests are
// skipped by that name; nothing is left out silently. Run it with -race too. Where
// several tests fail, mend what those of Read, Range and Ownership show before the
// rest: it makes others fail in ways that say less.
package backendtest

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shelflife-db/shelflife/backend"
)

// Harness is how Run handles one kind of store. Open is required. Where
// one of the other functions is nil, its Exception must be declared.
//
// The functions fail the test themselves where something goes wrong.
type Harness struct {
	// Open opens a new, empty store. The suite closes it.
	Open func(t *testing.T) backend.Backend

	// Reopen closes b and opens the same data again. Nil needs NotPersistent.
	Reopen func(t *testing.T, b backend.Backend) backend.Backend

	// Crash ends b as a crash of the process and of the machine would, so that
	// everything is lost that was not durable, and opens the data again. It
	// releases what b held, without making anything durable by that; the suite
	// does not use b afterwards. No call runs on b meanwhile. A copy of the files shows
	// what the crash of a process leaves, since the system keeps what was written and
	// not synced: it takes a file system under the engine that forgets that. An engine
	// that can't have one declares NoCrash. Nil needs NoCrash.
	Crash func(t *testing.T, b backend.Backend) backend.Backend

	// Second opens another handle on the data of b, as a second process would,
	// with a Close of its own. The suite closes it. Nil needs SingleHandle.
	Second func(t *testing.T, b backend.Backend) backend.Backend

	// Stall has the store of b stop answering, without an error, until resume is
	// called: calls on their way hang, and what was sent may or may not take
	// effect later. The engine is opened so that its calls give up within half a
	// minute. The suite calls resume. Nil needs NoStall.
	Stall func(t *testing.T, b backend.Backend) (resume func())

	// Heal has b fail in a write as a full disk would, then has room for it, and
	// returns when b has healed: see backend.Healer. Other calls may run on b. Nil
	// needs NoHeal.
	Heal func(t *testing.T, b backend.Backend)

	// Bulk has two Updates in three of the suite be made with UpdateOptions.Bulk, which
	// must change nothing. An engine that heeds the hint runs the suite without and with
	// it, here for Updates of any size. Default: false.
	Bulk bool

	// SlowRestarts has tests that reopen or crash the store over and over do so
	// an eighth as often: for stores whose restart takes a second. It changes no
	// other test. Default: false.
	SlowRestarts bool

	// Exceptions are what the engine does not offer. One that does not apply
	// fails the test. Default: none.
	Exceptions []Exception

	// Seed makes the random tests repeat a run: they log the seed that they
	// use. Default: 0, a new one each time.
	Seed uint64
}

// An Exception is something that an engine openly does not offer or that can't
// be tested on it.
type Exception string

const (
	// NotPersistent says that the data ends with the last handle on it, so
	// that nothing can be reopened.
	NotPersistent Exception = "not persistent"
	// NoCrash says that a crash can't be simulated: the promises of durability
	// are not tested.
	NoCrash Exception = "no crash"
	// SingleHandle says that a store can be open only once at a time.
	SingleHandle Exception = "single handle"
	// NoSize says that Size always returns 0.
	NoSize Exception = "no size"
	// LaggingSize says that Size rests on statistics that may lag far behind
	// what was written: its figures are not compared with what is stored.
	LaggingSize Exception = "lagging size"
	// NoStall says that the store can't be made to stop answering.
	NoStall Exception = "no stall"
	// NoHeal says that the engine does not heal by itself.
	NoHeal Exception = "no heal"
)

// Run tests the backend that h opens, in subtests named by subject.
func Run(t *testing.T, h Harness) {
	t.Helper()
	h.validate(t)
	if h.Seed == 0 {
		h.Seed = rand.Uint64()
	}
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"Isolation", isolationTests},
		{"SharedIsolation", sharedIsolationTests},
		{"Atomicity", atomicityTests},
		{"Read", readTests},
		{"Range", rangeTests},
		{"Model", modelTests},
		{"Snapshot", snapshotTests},
		{"Freshness", freshnessTests},
		{"Durability", durabilityTests},
		{"Ownership", ownershipTests},
		{"Cancel", cancelTests},
		{"Nesting", nestingTests},
		{"Visible", visibleTests},
		{"Scope", scopeTests},
		{"Limits", limitTests},
		{"Properties", propertyTests},
		{"Stall", stallTests},
		{"Heal", healTests},
		{"Loops", loopTests},
		{"Close", closeTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, test := range group.tests {
				t.Run(test.name, func(t *testing.T) {
					if e, ok := h.excepts(test.needs); ok {
						t.Skipf("declared exception: %s", e)
					}
					test.run(newStore(t, h))
				})
			}
		})
	}
}

// test is one test of the suite.
type test struct {
	name  string
	needs []Exception // which must not be declared
	run   func(*store)
}

func (h Harness) validate(t *testing.T) {
	t.Helper()
	if h.Open == nil {
		t.Fatal("backendtest: Harness.Open is missing")
	}
	for _, c := range []struct {
		exception Exception
		given     bool
	}{
		{NotPersistent, h.Reopen != nil},
		{NoCrash, h.Crash != nil},
		{SingleHandle, h.Second != nil},
		{NoStall, h.Stall != nil},
		{NoHeal, h.Heal != nil},
	} {
		if declared := slices.Contains(h.Exceptions, c.exception); declared == c.given {
			t.Fatalf("backendtest: the exception %q is declared: %t, but its function is given: %t", c.exception, declared, c.given)
		}
	}
}

// excepts returns the first of needs that is declared.
func (h Harness) excepts(needs []Exception) (Exception, bool) {
	for _, e := range needs {
		if slices.Contains(h.Exceptions, e) {
			return e, true
		}
	}
	return "", false
}

// hang is how long a test may take before its calls are cancelled: it shows
// where an engine hangs instead of letting the whole run die.
const hang = 2 * time.Minute

// store is what one test works on.
type store struct {
	*testing.T
	h               Harness
	ctx             context.Context
	raw             backend.Backend
	backend.Backend        // raw, checked
	other           *store // a second handle for every other worker, or nil
}

// of returns the handle that a worker uses.
func (s *store) of(worker int) *store {
	if s.other != nil && worker%2 == 1 {
		return s.other
	}
	return s
}

// newStore opens a store, which is closed with the test.
func newStore(t *testing.T, h Harness) *store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	t.Cleanup(cancel)
	s := &store{T: t, h: h, ctx: ctx}
	s.use(h.Open(t))
	t.Cleanup(func() {
		if err := s.raw.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// use makes raw the backend of the test.
func (s *store) use(raw backend.Backend) {
	s.Helper()
	if raw == nil {
		s.Fatal("the harness returned no backend")
	}
	s.raw = raw
	if s.h.Bulk {
		raw = &inBulk{Backend: raw}
	}
	s.Backend = Checked(raw, scopeOf, func(err error) { s.Errorf("the suite or the engine: %v", err) })
}

// second returns another handle, which is closed with the test.
func (s *store) second() *store {
	s.Helper()
	other := &store{T: s.T, h: s.h, ctx: s.ctx}
	other.use(s.h.Second(s.T, s.raw))
	s.Cleanup(func() {
		if err := other.raw.Close(); err != nil {
			s.Errorf("Close of the second handle: %v", err)
		}
	})
	return other
}

func (s *store) reopen() {
	s.Helper()
	s.use(s.h.Reopen(s.T, s.raw))
}

func (s *store) crash() {
	s.Helper()
	s.use(s.h.Crash(s.T, s.raw))
}

// rand returns a source of its own for each n and logs how to repeat it.
func (s *store) rand(n uint64) *rand.Rand {
	s.Helper()
	s.Logf("Harness.Seed: %d", s.h.Seed)
	return rand.New(rand.NewPCG(s.h.Seed, n))
}

// rounds is n, or less of it in short runs.
func rounds(n int) int {
	if testing.Short() {
		return max(1, n/8)
	}
	return n
}

// restarts is rounds(n), or less of it where restarts are slow.
func (s *store) restarts(n int) int {
	if s.h.SlowRestarts {
		n = max(1, n/8)
	}
	return rounds(n)
}
