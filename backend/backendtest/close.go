package backendtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/shelflife-db/shelflife/backend"
)

var closeTests = []test{
	{"EveryCallAfterwards", nil, testAfterClose},
	{"Repeated", nil, testCloseRepeated},
	{"OpenSnapshot", nil, testCloseWithSnapshot},
	{"RunningScan", nil, testCloseWithScan},
	{"RunningUpdate", nil, testCloseWithUpdate},
	{"DuringUse", nil, testCloseDuringUse},
	{"SecondHandle", []Exception{SingleHandle}, testCloseOneHandle},
	{"Goroutines", nil, testGoroutines},
}

func testAfterClose(s *store) {
	s.put(durable, kv{"g/a/", "1"})
	// A sequence made before, but not begun.
	seq := s.Scan(s.ctx, backend.Range{}, forward)
	if err := s.Close(); err != nil {
		s.Fatalf("Close: %v", err)
	}
	checkClosed(s, s)
	for e, err := range seq {
		s.is("Scan begun after Close", err, backend.ErrClosed)
		if e.Key != nil {
			s.Errorf("it yields %q", e.Key)
		}
	}
}

// checkClosed expects ErrClosed from every call of b.
func checkClosed(s, b *store) {
	s.Helper()
	for name, err := range everyCall(s.ctx, b) {
		s.is(name+" after Close", err, backend.ErrClosed)
	}
	s.is("Ready after Close", b.Ready(), backend.ErrClosed)
}

func testCloseRepeated(s *store) {
	s.put(durable, kv{"g/a/", "1"})
	errs := make([]error, workers)
	s.parallel(workers, func(w int) error {
		errs[w] = s.Close()
		if _, _, err := get(s.ctx, s, key("g", "a")); !errors.Is(err, backend.ErrClosed) {
			return fmt.Errorf("get after Close: %w", err)
		}
		return nil
	})
	for _, err := range append(errs, s.Close()) {
		if err != errs[0] {
			s.Errorf("the results of Close differ: %v and %v", err, errs[0])
		}
	}
	if errs[0] != nil {
		s.Errorf("Close: %v", errs[0])
	}
}

// testCloseWithSnapshot closes under snapshots that are never closed, and one
// that is closed afterwards.
func testCloseWithSnapshot(s *store) {
	s.put(durable, kv{"g/a/", "1"})
	var snaps []backend.Snapshot
	for range 3 {
		snap, err := s.Snapshot(s.ctx)
		if err != nil {
			s.Fatal(err)
		}
		snaps = append(snaps, snap)
	}
	s.check(snaps[0], key("g", "a"), "1")
	if err := s.Close(); err != nil {
		s.Errorf("Close: %v", err)
	}
	for _, snap := range snaps {
		checkClosedReader(s, "snapshot after Close", snap)
	}
	for range 2 {
		if err := snaps[0].Close(); err != nil {
			s.Errorf("Close of a snapshot after that of its store: %v", err)
		}
	}
	checkClosedReader(s, "closed snapshot after Close", snaps[0])
}

// testCloseWithScan closes while loops are in the middle of a step: the next
// one is their last.
func testCloseWithScan(s *store) {
	var entries []kv
	for i := range 200 {
		entries = append(entries, kv{fmt.Sprintf("g/%03d/", i), fmt.Sprint("value ", i)})
	}
	s.put(durable, entries...)
	snap, err := s.Snapshot(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	defer snap.Close()

	readers := []backend.Reader{s, snap}
	inside, leave := make(chan struct{}), make(chan struct{})
	var loops []func() error
	for i := range 4 {
		r, o := readers[i%2], backend.ScanOptions{Reverse: i >= 2}
		loops = append(loops, start(func() error {
			steps := 0
			for e, err := range r.Scan(s.ctx, under("g"), o) {
				if steps++; steps == 2 {
					if !errors.Is(err, backend.ErrClosed) {
						return fmt.Errorf("the step after Close: %q, %w", e.Key, err)
					}
					continue
				}
				if err != nil || steps > 1 {
					return fmt.Errorf("step %d: %w", steps, err)
				}
				v := string(e.Value)
				inside <- struct{}{}
				<-leave
				if string(e.Value) != v {
					return fmt.Errorf("the value became %q in the step during which Close was called", e.Value)
				}
			}
			if steps != 2 {
				return fmt.Errorf("%d steps", steps)
			}
			return nil
		}))
	}
	for range loops {
		if err := s.await("the loops", inside); err != nil {
			s.Fatal(err)
		}
	}
	closed := start(s.Close)
	s.until("Close to begin", func() bool {
		_, _, err := get(s.ctx, s, key("g", "a"))
		return errors.Is(err, backend.ErrClosed)
	})
	close(leave)
	for i, loop := range loops {
		if err := loop(); err != nil {
			s.Errorf("loop %d: %v", i, err)
		}
	}
	if err := closed(); err != nil {
		s.Errorf("Close: %v", err)
	}
}

// testCloseWithUpdate closes while an Update is in its callback: Close waits
// for it, and it ends as if nothing was.
func testCloseWithUpdate(s *store) {
	s.put(durable, kv{"g/b/", "old"})
	inside, leave := make(chan struct{}, 1), make(chan struct{})
	var visible atomic.Bool
	update := start(func() error {
		return s.Update(s.ctx, []backend.Scope{whole("g")}, durable, func(ctx context.Context, t backend.Txn) error {
			select {
			case inside <- struct{}{}:
			default: // a rerun
			}
			if err := s.await("Close", leave); err != nil {
				return err
			}
			t.OnVisible(func() { visible.Store(true) })
			all, err := scan(ctx, t, under("g"), forward)
			if err != nil || len(all) != 1 {
				return fmt.Errorf("scan in the callback: %q, %w", all, err)
			}
			return t.Put(key("g", "a"), []byte("v"))
		})
	})
	err := s.await("the callback", inside)
	var closedTooEarly atomic.Bool
	closed := start(func() error {
		err := s.Close()
		closedTooEarly.Store(!visible.Load())
		return err
	})
	if err == nil {
		s.until("Close to begin", func() bool {
			_, _, err := get(s.ctx, s, key("g", "a"))
			return errors.Is(err, backend.ErrClosed)
		})
	}
	close(leave)
	// An engine that runs a callback again may refuse the rerun.
	result := update()
	if result != nil && !errors.Is(result, backend.ErrClosed) {
		s.Errorf("Update: %v", result)
	}
	if result != nil && s.Properties().Exclusive {
		s.Errorf("Update that was running when Close was called: %v", result)
	}
	if err := errors.Join(err, closed()); err != nil {
		s.Errorf("Close: %v", err)
	}
	if result == nil && closedTooEarly.Load() {
		s.Error("Close returned before the running Update had committed")
	}
	if s.h.Reopen == nil {
		return
	}
	s.reopen()
	want := "v"
	if result != nil {
		want = ""
	}
	s.check(s, key("g", "a"), want)
}

// testCloseDuringUse closes while everything runs: calls succeed or return
// ErrClosed, and what succeeded is there.
func testCloseDuringUse(s *store) {
	for i := range 100 {
		s.put(buffered, kv{fmt.Sprintf("g/%03d/", i), "v"})
	}
	var calls atomic.Int64
	committed := make([]uint64, workers)
	enough := make(chan struct{})
	closed := start(func() error {
		return errors.Join(s.await("some calls", enough), s.Close())
	})
	s.parallel(workers, func(w int) error {
		for {
			err := useOnce(s, w, &committed[w])
			if calls.Add(1) == 200 {
				close(enough)
			}
			if errors.Is(err, backend.ErrClosed) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	if err := closed(); err != nil {
		s.Errorf("Close: %v", err)
	}
	checkClosed(s, s)
	if s.h.Reopen == nil {
		return
	}
	s.reopen()
	for w, n := range committed {
		if got, err := number(s.ctx, s, key("count", fmt.Sprint(w))); err != nil || got != n {
			s.Errorf("worker %d made %d commits, its counter is %d, %v", w, n, got, err)
		}
	}
}

// useOnce makes one call, of a kind that depends on the worker.
func useOnce(s *store, w int, committed *uint64) error {
	switch w {
	case 0, 1, 2:
		scopes := []backend.Scope{item("count", fmt.Sprint(w)), item("count", "all")}
		err := s.Update(s.ctx, scopes, backend.UpdateOptions{Buffered: w > 0}, func(ctx context.Context, t backend.Txn) error {
			_, err := add(ctx, t, key("count", fmt.Sprint(w)), 1)
			return err
		})
		if err == nil {
			*committed++
		}
		return err
	case 3:
		snap, err := s.Snapshot(s.ctx)
		if err != nil {
			return err
		}
		all, err := scan(s.ctx, snap, under("g"), forward)
		if err == nil && len(all) != 100 {
			err = fmt.Errorf("%d entries, want 100", len(all))
		}
		return errors.Join(err, snap.Close())
	case 4:
		all, err := scan(s.ctx, s, under("g"), reverse)
		if err == nil && len(all) != 100 {
			err = fmt.Errorf("%d entries, want 100", len(all))
		}
		return err
	case 5:
		_, err := getMany(s.ctx, s, [][]byte{[]byte("g/001/"), []byte("g/050/")})
		return err
	case 6:
		if _, err := s.Size(s.ctx, under("g")); err != nil {
			return err
		}
		return s.Durable(s.ctx, []backend.Scope{whole("count")})
	default:
		_, _, err := get(s.ctx, s, []byte("g/007/"))
		return err
	}
}

// testCloseOneHandle closes one of two handles.
func testCloseOneHandle(s *store) {
	other := s.second()
	s.put(durable, kv{"g/a/", "1"})
	if err := s.Close(); err != nil {
		s.Errorf("Close: %v", err)
	}
	checkClosed(s, s)
	other.check(other, key("g", "a"), "1")
	other.put(durable, kv{"g/a/", "2"})
	other.check(other, key("g", "a"), "2")
}

// testGoroutines opens, uses and closes stores, and expects the number of
// goroutines to come back to what it was after the first one, which may have
// started some for the whole process.
func testGoroutines(s *store) {
	before := 0
	for i := range 4 {
		other := &store{T: s.T, h: s.h, ctx: s.ctx}
		other.use(s.h.Open(s.T))
		other.put(durable, kv{"g/a/", "1"})
		snap, err := other.Snapshot(s.ctx)
		if err != nil {
			s.Fatal(err)
		}
		other.check(snap, key("g", "a"), "1")
		if err := other.Close(); err != nil {
			s.Errorf("Close: %v", err)
		}
		if i == 0 {
			before = settled(s)
		}
	}
	s.until(fmt.Sprintf("the goroutines to end: %d before", before), func() bool { return runtime.NumGoroutine() <= before })
}

// settled returns the number of goroutines when it has not fallen for a while.
func settled(s *store) int {
	n := runtime.NumGoroutine()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for same := 0; same < 10; same++ {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return n
		}
		if now := runtime.NumGoroutine(); now < n {
			n, same = now, 0
		}
	}
	return n
}
