package backendtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/backend"
)

var healTests = []test{
	{"KeepsPrefix", []Exception{NoHeal}, testHealKeepsPrefix},
	{"DurableBeginsAnew", []Exception{NoHeal}, testHealDurable},
	{"EndsLoopsAndSnapshots", []Exception{NoHeal}, testHealEnds},
	{"TellsBeforeItAdmits", []Exception{NoHeal}, testHealTells},
	{"UnderWriters", []Exception{NoHeal}, testHealUnderWriters},
}

func (s *store) heal() {
	s.Helper()
	before := backend.Generation(s.raw)
	s.h.Heal(s.T, s.raw)
	if after := backend.Generation(s.raw); after <= before {
		s.Fatalf("it has healed, and its generation is %d, as before or less: %d", after, before)
	}
	if err := s.Ready(); err != nil {
		s.Fatalf("it has healed, and is not ready: %v", err)
	}
}

// testHealKeepsPrefix is testPrefix on a store that stays open.
func testHealKeepsPrefix(s *store) {
	r := s.rand(0)
	first := 0
	name := func(i int) string { return fmt.Sprintf("%06d", i) }
	for range s.restarts(12) {
		acknowledged, last := first, first+1+r.IntN(30)
		for i := first; i < last; i++ {
			o := backend.UpdateOptions{Buffered: r.IntN(6) != 0}
			s.put(o, kv{string(key("g", name(i))), "v"})
			if !o.Buffered {
				acknowledged = i + 1
			}
		}
		s.heal()
		all, err := scan(s.ctx, s, under("g"), keysOnly)
		if err != nil {
			s.Fatal(err)
		}
		for i, e := range all {
			if e.key != string(key("g", name(i))) {
				s.Fatalf("after it has healed commit %d is missing while %q is there", i, e.key)
			}
		}
		if len(all) < acknowledged || len(all) > last {
			s.Fatalf("%d commits are there, %d were durable, %d made", len(all), acknowledged, last)
		}
		first = len(all)
	}
}

// testHealDurable: what one generation knows to be durable says nothing of the next.
func testHealDurable(s *store) {
	for i := range 5 {
		v := fmt.Sprint(i)
		// A place in the log that is far beyond those of the next generation.
		for range 20 {
			s.put(durable, kv{"g/far/", v})
		}
		s.heal()
		s.put(buffered, kv{"g/i/", v})
		if err := s.Durable(s.ctx, []backend.Scope{item("g", "i")}); err != nil {
			s.Fatal(err)
		}
		s.heal()
		s.check(s, key("g", "i"), v)
		s.put(buffered, kv{"g/j/", v})
		// One that only reads makes durable what it has read.
		s.update([]backend.Scope{item("g", "j")}, durable, func(ctx context.Context, t backend.Txn) error {
			_, _, err := get(ctx, t, key("g", "j"))
			return err
		})
		s.heal()
		s.check(s, key("g", "j"), v)
	}
}

func testHealEnds(s *store) {
	for i := range 10 {
		s.put(durable, kv{fmt.Sprintf("g/%d/", i), "v"})
	}
	snap, err := s.Snapshot(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	steps := 0
	for e, err := range s.Scan(s.ctx, under("g"), forward) {
		if steps++; steps > 1 {
			s.is("the next step of a loop", err, backend.ErrUnavailable)
			break
		}
		if err != nil {
			s.Fatal(err)
		}
		s.heal()
		s.put(durable, kv{"h/body/", "a loop's body may write"})
		if string(e.Value) != "v" {
			s.Errorf("the entry of the step became %q", e.Value)
		}
	}
	if steps != 2 {
		s.Errorf("the loop took %d steps", steps)
	}
	_, _, err = get(s.ctx, snap, key("g", "1"))
	s.is("Get of a snapshot", err, backend.ErrUnavailable)
	for _, err := range snap.Scan(s.ctx, under("g"), forward) {
		s.is("Scan of a snapshot", err, backend.ErrUnavailable)
	}
	for range 2 {
		if err := snap.Close(); err != nil {
			s.Errorf("Close of a snapshot: %v", err)
		}
	}
}

// testHealTells: no call of the new generation ends before the caller was told.
func testHealTells(s *store) {
	s.put(durable, kv{"g/i/", "v"})
	var calls sync.WaitGroup
	var told atomic.Bool
	backend.OnHeal(s.raw, func(generation uint64) {
		if g := backend.Generation(s.raw); g != generation {
			s.Errorf("generation %d while %d is told", g, generation)
		}
		for name, call := range map[string]func() error{
			"Get": func() error {
				_, _, err := get(s.ctx, s.raw, key("g", "i"))
				return err
			},
			"Update": func() error {
				return s.raw.Update(s.ctx, []backend.Scope{item("g", "i")}, buffered, func(context.Context, backend.Txn) error { return nil })
			},
			"Snapshot": func() error {
				snap, err := s.raw.Snapshot(s.ctx)
				if err != nil {
					return err
				}
				return snap.Close()
			},
		} {
			calls.Go(func() {
				if err := call(); err != nil {
					s.Errorf("%s that waits: %v", name, err)
				}
				if !told.Load() {
					s.Errorf("%s was admitted before the caller was told", name)
				}
			})
		}
		for range 10_000 {
			runtime.Gosched()
		}
		told.Store(true)
	})
	s.heal()
	calls.Wait()
}

// testHealUnderWriters: what was acknowledged as durable is there, OnVisible
// functions of one generation are over before the next is told of, and each
// failure is one of those that are promised.
func testHealUnderWriters(s *store) {
	var now atomic.Uint64
	backend.OnHeal(s.raw, now.Store)
	var stop atomic.Bool
	counts := make([]uint64, workers)
	var writers sync.WaitGroup
	for w := range workers {
		writers.Go(func() {
			for !stop.Load() {
				var n, generation uint64
				err := s.raw.Update(s.ctx, []backend.Scope{item("g", fmt.Sprint(w))}, durable, func(ctx context.Context, t backend.Txn) error {
					generation = backend.Generation(s.raw)
					t.OnVisible(func() {
						if g := now.Load(); g != generation {
							s.Errorf("OnVisible of generation %d runs in %d", generation, g)
						}
					})
					var err error
					n, err = add(ctx, t, key("g", fmt.Sprint(w)), 1)
					return err
				})
				switch {
				case err == nil:
					counts[w] = n
				case !oneOf(err, backend.ErrUnavailable, backend.ErrUnknownOutcome), oneOf(err, backend.ErrStopped):
					s.Errorf("Update: %v", err)
					return
				}
			}
		})
	}
	for range s.restarts(4) {
		s.heal()
	}
	stop.Store(true)
	writers.Wait()
	s.heal()
	for w, n := range counts {
		got, err := number(s.ctx, s, key("g", fmt.Sprint(w)))
		if err != nil || got < n {
			s.Errorf("worker %d: %d, %v; %d was acknowledged", w, got, err, n)
		}
	}
}

// oneOf reports whether err matches one of those.
func oneOf(err error, those ...error) bool {
	for _, e := range those {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
