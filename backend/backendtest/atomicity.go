package backendtest

import (
	"context"
	"fmt"
	"runtime"

	"github.com/shelflife-db/shelflife/backend"
)

var atomicityTests = []test{
	{"ErrorWritesNothing", nil, testErrorWritesNothing},
	{"ErrorIsReturnedAsItIs", nil, testErrorIdentity},
	{"ReadErrorIsReturnedAsItIs", nil, testReadErrorIdentity},
	{"Rerun", nil, testRerun},
	{"AllOrNothing", nil, testAllOrNothing},
	{"Panic", nil, testPanic},
}

func testErrorWritesNothing(s *store) {
	before := []kv{{"g/a/", "1"}, {"g/b/", "2"}, {"g/c/", "3"}, {"h/a/", "4"}}
	s.put(durable, before...)
	for _, o := range []backend.UpdateOptions{durable, buffered, {Reclaim: true}} {
		err := s.Update(s.ctx, []backend.Scope{whole("g"), whole("h")}, o, func(_ context.Context, t backend.Txn) error {
			for _, err := range []error{
				t.Put(key("g", "a"), []byte("changed")),
				t.Put(key("g", "new"), []byte("new")),
				t.Delete(key("g", "b"), 1),
				t.DeleteRange(under("h")),
			} {
				if err != nil {
					return err
				}
			}
			return errTest
		})
		s.is("Update", err, errTest)
		s.checkScan(s, backend.Range{}, forward, before)
	}
}

// testPanic ends callbacks by a panic and by runtime.Goexit, as t.FailNow does: nothing
// is written, and the engine holds nothing of the call any longer, or what comes
// after it would wait.
func testPanic(s *store) {
	before := []kv{{"g/a/", "1"}}
	s.put(durable, before...)
	for end, stop := range map[string]func(){"panic": func() { panic(errTest) }, "Goexit": runtime.Goexit} {
		for name, call := range map[string]func(){
			"Update": func() {
				_ = s.Update(s.ctx, []backend.Scope{whole("g")}, durable, func(_ context.Context, t backend.Txn) error {
					t.OnVisible(func() { s.Errorf("%s in Update: OnVisible ran", end) })
					if err := t.Put(key("g", "a"), []byte("changed")); err != nil {
						return err
					}
					stop()
					return nil
				})
			},
			"Get": func() {
				_, _ = s.Get(s.ctx, key("g", "a"), func([]byte) error { stop(); return nil })
			},
			"Scan": func() {
				for range s.Scan(s.ctx, under("g"), forward) {
					stop()
				}
			},
		} {
			ended := make(chan any)
			go func() {
				// A Goexit recovers nil.
				defer func() { ended <- recover() }()
				call()
				s.Errorf("%s in %s: the call returned", end, name)
			}()
			if got := <-ended; end == "panic" && got != errTest {
				s.Errorf("%s in %s: recovered %v, want %v", end, name, got, errTest)
			}
			s.checkScan(s, backend.Range{}, forward, before)
			s.put(durable, before...)
		}
	}
}

// wrapper is an error that an engine has no reason to know.
type wrapper struct{ err error }

func (w *wrapper) Error() string { return "wrapped: " + w.err.Error() }
func (w *wrapper) Unwrap() error { return w.err }

var foreign = []error{
	errTest,
	&wrapper{errTest},
	&wrapper{context.Canceled},
	&wrapper{backend.ErrUnknownOutcome},
	&wrapper{backend.ErrUnavailable},
	&wrapper{backend.ErrClosed},
}

func testErrorIdentity(s *store) {
	for _, want := range foreign {
		for _, write := range []bool{false, true} {
			err := s.Update(s.ctx, []backend.Scope{item("g", "i")}, durable, func(_ context.Context, t backend.Txn) error {
				if write {
					if err := t.Put(key("g", "i"), []byte("v")); err != nil {
						return err
					}
				}
				return want
			})
			if err != want {
				s.Errorf("the callback returned %v, Update %v", want, err)
			}
			s.check(s, key("g", "i"), "")
		}
	}
	if err := s.Ready(); err != nil {
		s.Errorf("Ready after errors of callbacks: %v", err)
	}
}

func testReadErrorIdentity(s *store) {
	s.put(durable, kv{"g/i/", "v"}, kv{"g/j/", "w"})
	snap, err := s.Snapshot(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	defer snap.Close()
	read := func(ctx context.Context, name string, r backend.Reader) {
		for _, want := range foreign {
			found, err := r.Get(ctx, key("g", "i"), func([]byte) error { return want })
			if err != want || !found {
				s.Errorf("%s: Get returned %t, %v; its fn %v", name, found, err, want)
			}
			calls := 0
			err = r.GetMany(ctx, [][]byte{key("g", "i"), key("g", "j")}, func(int, []byte) error {
				calls++
				return want
			})
			if err != want || calls != 1 {
				s.Errorf("%s: GetMany returned %v after %d calls; its fn %v", name, err, calls, want)
			}
		}
	}
	read(s.ctx, "store", s)
	read(s.ctx, "snapshot", snap)
	s.update([]backend.Scope{whole("g")}, durable, func(ctx context.Context, t backend.Txn) error {
		read(ctx, "transaction", t)
		return nil
	})
}

// testRerun relies on what callbacks may do: set variables that a rerun sets
// again. What they hold afterwards must be from the run that was committed,
// and every run must start from nothing written.
func testRerun(s *store) {
	n := rounds(200)
	k, marker := key("g", "i"), key("g", "i", "marker")
	s.parallel(4, func(w int) error {
		last := uint64(0)
		for range n {
			var got uint64
			running := false
			err := s.Update(s.ctx, []backend.Scope{item("g", "i")}, buffered, func(ctx context.Context, t backend.Txn) error {
				if running {
					return fmt.Errorf("the callback runs concurrently with itself")
				}
				running = true
				defer func() { running = false }()
				if _, found, err := get(ctx, t, marker); err != nil || found {
					return fmt.Errorf("a run starts with the writes of another one: %t, %w", found, err)
				}
				if err := t.Put(marker, []byte("x")); err != nil {
					return err
				}
				var err error
				if got, err = add(ctx, t, k, 1); err != nil {
					return err
				}
				return t.Delete(marker, 1)
			})
			if err != nil {
				return err
			}
			if got <= last {
				return fmt.Errorf("counted %d after %d", got, last)
			}
			last = got
		}
		return nil
	})
	if got, err := number(s.ctx, s, k); err != nil || got != uint64(4*n) {
		s.Errorf("%d Updates counted to %d, %v", 4*n, got, err)
	}
}

// testAllOrNothing has readers look for half a commit of puts, deletes and a
// range delete.
func testAllOrNothing(s *store) {
	const keys = 20
	n := rounds(100)
	done := make(chan struct{})
	s.parallel(3, func(w int) error {
		if w > 0 {
			for {
				all, err := scan(s.ctx, s, under("g"), backend.ScanOptions{Reverse: w == 1})
				if err != nil {
					return err
				}
				if len(all) != 0 && len(all) != keys {
					return fmt.Errorf("a scan saw %d keys of %d", len(all), keys)
				}
				for _, e := range all {
					if e.value != all[0].value {
						return fmt.Errorf("a scan saw the values %q and %q of two commits", e.value, all[0].value)
					}
				}
				select {
				case <-done:
					return nil
				default:
				}
			}
		}
		defer close(done)
		for i := range n {
			err := s.Update(s.ctx, []backend.Scope{whole("g")}, buffered, func(_ context.Context, t backend.Txn) error {
				if i%3 == 2 {
					return t.DeleteRange(under("g"))
				}
				for j := range keys {
					if err := t.Put(key("g", fmt.Sprintf("%03d", j)), fmt.Append(nil, i)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
