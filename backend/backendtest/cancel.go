package backendtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shelflife-db/shelflife/backend"
)

var cancelTests = []test{
	{"Before", nil, testCancelBefore},
	{"DeadlineBefore", nil, testDeadlineBefore},
	{"Waiting", nil, testCancelWaiting},
	{"InCallback", nil, testCancelInCallback},
	{"AfterCommit", nil, testCancelAfterCommit},
	{"DuringScan", nil, testCancelDuringScan},
	{"AtRandom", nil, testCancelAtRandom},
}

// everyCall calls everything that takes a context.
func everyCall(ctx context.Context, s *store) map[string]error {
	errs := map[string]error{}
	_, _, errs["Get"] = get(ctx, s, key("g", "a"))
	_, errs["GetMany"] = getMany(ctx, s, [][]byte{key("g", "a"), key("g", "b")})
	_, errs["Scan"] = scan(ctx, s, backend.Range{}, forward)
	_, errs["Scan of nothing"] = scan(ctx, s, under("nothing"), reverse)
	_, errs["Size"] = s.Size(ctx, backend.Range{})
	errs["Durable"] = s.Durable(ctx, []backend.Scope{whole("g")})
	snap, err := s.Snapshot(ctx)
	if errs["Snapshot"] = err; err == nil {
		errs["Close of a snapshot"] = snap.Close()
	}
	for name, o := range map[string]backend.UpdateOptions{"Update": durable, "Update, buffered": buffered} {
		errs[name] = s.Update(ctx, []backend.Scope{item("g", "a")}, o, func(_ context.Context, t backend.Txn) error {
			s.Errorf("%s: the callback ran", name)
			return t.Put(key("g", "a"), []byte("written"))
		})
	}
	return errs
}

func testCancelBefore(s *store) {
	s.put(durable, kv{"g/a/", "1"})
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	for name, err := range everyCall(ctx, s) {
		s.is(name, err, context.Canceled)
	}
	s.check(s, key("g", "a"), "1")
}

func testDeadlineBefore(s *store) {
	s.put(durable, kv{"g/a/", "1"})
	ctx, cancel := context.WithDeadline(s.ctx, time.Unix(0, 0))
	defer cancel()
	for name, err := range everyCall(ctx, s) {
		s.is(name, err, context.DeadlineExceeded)
	}
	s.check(s, key("g", "a"), "1")
}

// testCancelWaiting cancels an Update while another one holds its scope. An
// engine that detects conflicts may run its callback all the same.
func testCancelWaiting(s *store) {
	inside, leave := make(chan struct{}, 1), make(chan struct{})
	holder := start(func() error {
		return s.Update(s.ctx, []backend.Scope{whole("g")}, durable, func(_ context.Context, t backend.Txn) error {
			select {
			case inside <- struct{}{}:
			default: // a rerun
			}
			return s.await("the waiting Updates", leave)
		})
	})
	err := s.await("the callback", inside)
	if err == nil {
		for _, scopes := range [][]backend.Scope{{item("g", "a")}, {whole("g")}, {item("free", "x"), item("g", "a")}} {
			ctx, cancel := context.WithCancel(s.ctx)
			waiter := start(func() error {
				return s.Update(ctx, scopes, durable, func(ctx context.Context, t backend.Txn) error {
					<-ctx.Done()
					return nil
				})
			})
			cancel()
			s.is(fmt.Sprint("waiting Update of ", scopes), waiter(), context.Canceled)
		}
	}
	close(leave)
	if err := errors.Join(err, holder()); err != nil {
		s.Error(err)
	}
	// Nothing is left behind of those that gave up.
	s.put(durable, kv{"g/a/", "v"}, kv{"free/x/", "v"})
}

func testCancelInCallback(s *store) {
	s.put(durable, kv{"g/a/", "1"})
	for _, o := range []backend.UpdateOptions{durable, buffered} {
		for _, own := range []error{nil, errTest} {
			ctx, cancel := context.WithCancel(s.ctx)
			err := s.Update(ctx, []backend.Scope{item("g", "a")}, o, func(inner context.Context, t backend.Txn) error {
				if err := t.Put(key("g", "a"), []byte("2")); err != nil {
					return err
				}
				t.OnVisible(func() { s.Error("OnVisible of a cancelled Update") })
				cancel()
				s.is("the context of the callback", inner.Err(), context.Canceled)
				return own
			})
			cancel()
			if own == nil || !errors.Is(err, own) {
				s.is("Update", err, context.Canceled)
			}
			s.check(s, key("g", "a"), "1")
		}
	}
	// Reads in the callback notice it.
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	err := s.Update(ctx, []backend.Scope{whole("g")}, durable, func(ctx context.Context, t backend.Txn) error {
		cancel()
		_, _, err := get(ctx, t, key("g", "a"))
		s.is("Get", err, context.Canceled)
		_, err = getMany(ctx, t, [][]byte{key("g", "a")})
		s.is("GetMany", err, context.Canceled)
		_, err = scan(ctx, t, under("g"), forward)
		s.is("Scan", err, context.Canceled)
		return err
	})
	s.is("Update", err, context.Canceled)
}

// testCancelAfterCommit cancels when the commit is visible: from then on the
// true result counts, and its promise of durability.
func testCancelAfterCommit(s *store) {
	for i := range 10 {
		ctx, cancel := context.WithCancel(s.ctx)
		k := key("g", fmt.Sprint(i))
		err := s.Update(ctx, []backend.Scope{item("g", fmt.Sprint(i))}, backend.UpdateOptions{Buffered: i%2 == 1}, func(_ context.Context, t backend.Txn) error {
			t.OnVisible(cancel)
			return t.Put(k, []byte("v"))
		})
		cancel()
		if err != nil {
			s.Errorf("an Update cancelled after its commit: %v", err)
		}
		s.check(s, k, "v")
	}
	if _, ok := s.h.excepts([]Exception{NoCrash}); ok {
		return
	}
	s.crash()
	for i := 0; i < 10; i += 2 {
		s.check(s, key("g", fmt.Sprint(i)), "v")
	}
}

func testCancelDuringScan(s *store) {
	const n = 5000
	s.update([]backend.Scope{whole("g")}, buffered, func(_ context.Context, t backend.Txn) error {
		for i := range n {
			if err := t.Put(key("g", fmt.Sprintf("%06d", i)), nil); err != nil {
				return err
			}
		}
		return nil
	})
	for _, o := range []backend.ScanOptions{forward, reverse, keysOnly} {
		ctx, cancel := context.WithCancel(s.ctx)
		steps := 0
		var last error
		for _, err := range s.Scan(ctx, under("g"), o) {
			steps++
			last = err
			cancel()
		}
		cancel()
		s.is("Scan", last, context.Canceled)
		if steps >= n {
			s.Errorf("the cancelled scan went on for %d of %d steps", steps, n)
		}
	}
}

// testCancelAtRandom cancels Updates wherever they happen to be: those that
// return nil have happened, those that return the context's error have not.
func testCancelAtRandom(s *store) {
	n := rounds(60)
	applied := make([]uint64, workers)
	s.parallel(workers, func(w int) error {
		for i := range n {
			ctx, cancel := context.WithCancel(s.ctx)
			wait := start(func() error {
				return s.Update(ctx, []backend.Scope{item("g", "i")}, backend.UpdateOptions{Buffered: i%4 != 0}, func(ctx context.Context, t backend.Txn) error {
					_, err := add(ctx, t, key("g", "i"), 1)
					return err
				})
			})
			if (i+w)%2 == 0 {
				cancel()
			}
			err := wait()
			cancel()
			switch {
			case err == nil:
				applied[w]++
			case !errors.Is(err, context.Canceled):
				return err
			}
		}
		return nil
	})
	sum := uint64(0)
	for _, n := range applied {
		sum += n
	}
	if got, err := number(s.ctx, s, key("g", "i")); err != nil || got != sum {
		s.Errorf("%d Updates returned nil, the counter is %d, %v", sum, got, err)
	}
}
