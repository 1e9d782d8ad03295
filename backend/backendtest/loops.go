package backendtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/shelflife-db/shelflife/backend"
)

var loopTests = []test{
	{"StarveNobody", nil, testLoopsStarveNobody},
	{"Nested", nil, testNestedLoops},
	{"Limit", nil, testLimit},
}

// manyEntries fills the group g with more than an engine fetches at once.
func manyEntries(s *store) []kv {
	s.Helper()
	var entries []kv
	for i := range 2000 {
		entries = append(entries, kv{fmt.Sprintf("g/%04d/", i), fmt.Sprint("value ", i)})
	}
	s.update([]backend.Scope{whole("g")}, durable, func(_ context.Context, t backend.Txn) error {
		for _, e := range entries {
			if err := t.Put([]byte(e.key), []byte(e.value)); err != nil {
				return err
			}
		}
		return nil
	})
	return entries
}

// shortCalls makes the calls that never wait for loops.
func shortCalls(s *store, scope backend.Scope) error {
	if v, _, err := get(s.ctx, s, key("g", "0007")); err != nil || v != "value 7" {
		return fmt.Errorf("get in a loop: %q, %w", v, err)
	}
	if all, err := getMany(s.ctx, s, [][]byte{key("g", "0007"), key("g", "none")}); err != nil || len(all) != 1 {
		return fmt.Errorf("getMany in a loop: %v, %w", all, err)
	}
	return s.Update(s.ctx, []backend.Scope{scope}, durable, func(ctx context.Context, t backend.Txn) error {
		_, err := add(ctx, t, key(scope.Group, scope.Item), 1)
		return err
	})
}

// testLoopsStarveNobody has many loops run at the same time, all of which call
// the engine when all have begun, or found that there are too many.
func testLoopsStarveNobody(s *store) {
	manyEntries(s)
	const loops = 24
	begun, all := make(chan struct{}, loops), make(chan struct{})
	go func() {
		defer close(all)
		for range loops {
			if s.await("the loops", begun) != nil {
				return
			}
		}
	}()
	finished := make([]bool, loops)
	s.parallel(loops, func(w int) error {
		steps := 0
		for _, err := range s.Scan(s.ctx, under("g"), forward) {
			if errors.Is(err, backend.ErrUnavailable) && steps == 0 {
				begun <- struct{}{}
				return nil // the engine has no more loops to give
			}
			if err != nil {
				return err
			}
			if steps++; steps == 1 {
				begun <- struct{}{}
				<-all
			}
			if steps%500 == 1 {
				if err := shortCalls(s, item("loop", fmt.Sprint(w))); err != nil {
					return err
				}
			}
		}
		if finished[w] = true; steps != 2000 {
			return fmt.Errorf("%d entries, want 2000", steps)
		}
		return nil
	})
	n := 0
	for _, f := range finished {
		if f {
			n++
		}
	}
	if n == 0 {
		s.Error("not one loop ran")
	}
}

// testNestedLoops opens loops and snapshots in the steps of loops until there
// are many or the engine has no more, and makes short calls in the innermost.
func testNestedLoops(s *store) {
	manyEntries(s)
	var nest func(depth int) error
	nest = func(depth int) error {
		if depth == 40 {
			return shortCalls(s, item("loop", "i"))
		}
		var from backend.Reader = s
		if depth%2 == 1 {
			snap, err := s.Snapshot(s.ctx)
			if errors.Is(err, backend.ErrUnavailable) && depth > 1 {
				return shortCalls(s, item("loop", "i"))
			}
			if err != nil {
				return err
			}
			defer snap.Close()
			from = snap
		}
		steps := 0
		for _, err := range from.Scan(s.ctx, under("g"), backend.ScanOptions{Reverse: depth%3 == 0}) {
			if errors.Is(err, backend.ErrUnavailable) && steps == 0 && depth > 1 {
				return shortCalls(s, item("loop", "i"))
			}
			if err != nil {
				return err
			}
			if steps++; steps == 1 {
				if err := nest(depth + 1); err != nil {
					return err
				}
			}
			if steps == 700 {
				break
			}
		}
		if steps != 700 {
			return fmt.Errorf("%d entries at depth %d, want 700", steps, depth)
		}
		return nil
	}
	if err := nest(0); err != nil {
		s.Fatal(err)
	}
	s.check(s, key("loop", "i"), "\x00\x00\x00\x00\x00\x00\x00\x01")
}

// testLimit: the hint changes nothing of what a loop sees while nothing is
// written.
func testLimit(s *store) {
	entries := manyEntries(s)
	snap, err := s.Snapshot(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	defer snap.Close()
	s.update([]backend.Scope{whole("g")}, durable, func(ctx context.Context, t backend.Txn) error {
		return limited(ctx, t, entries)
	})
	for name, r := range map[string]backend.Reader{"the store": s, "a snapshot": snap} {
		if err := limited(s.ctx, r, entries); err != nil {
			s.Errorf("%s: %v", name, err)
		}
	}
}

func limited(ctx context.Context, r backend.Reader, entries []kv) error {
	for _, limit := range []int{-1, 1, 2, 50, 1999, 2000, 2001} {
		for _, o := range []backend.ScanOptions{{Limit: limit}, {Limit: limit, Reverse: true}} {
			want := entries
			if o.Reverse {
				want = reversed(entries)
			}
			all, err := scan(ctx, r, under("g"), o)
			if err != nil {
				return err
			}
			if err := same(all, want); err != nil {
				return fmt.Errorf("with %+v: %w", o, err)
			}
			i := 0
			for e, err := range r.Scan(ctx, under("g"), o) {
				if err != nil {
					return err
				}
				if string(e.Key) != want[i].key {
					return fmt.Errorf("with %+v entry %d is %q, want %q", o, i, e.Key, want[i].key)
				}
				if i++; i == limit {
					break
				}
			}
		}
	}
	return nil
}
