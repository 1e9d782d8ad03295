package backendtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/shelflife-db/shelflife/backend"
)

var stallTests = []test{
	{"Reads", []Exception{NoStall}, testStalledReads},
	{"Commits", []Exception{NoStall}, testStalledCommits},
	{"Patient", []Exception{NoStall}, testStalledPatient},
}

// inDoubt reports whether err is what a call may end with that got no answer.
func inDoubt(err error) bool {
	return errors.Is(err, backend.ErrUnavailable) || errors.Is(err, backend.ErrUnknownOutcome)
}

// recovered waits until the store takes Updates again and returns with one done.
func (s *store) recovered() {
	s.Helper()
	s.until("the store to recover", func() bool {
		return s.Update(s.ctx, []backend.Scope{item("recovered", "i")}, durable, func(_ context.Context, t backend.Txn) error {
			return t.Put(key("recovered", "i"), []byte("v"))
		}) == nil
	})
	s.until("Ready", func() bool { return s.Ready() == nil })
}

// testStalledReads expects reads of a store that does not answer to end by
// themselves.
func testStalledReads(s *store) {
	s.put(durable, kv{"g/a/", "1"})
	resume := s.h.Stall(s.T, s.raw)
	errs := make([]error, 3)
	s.parallel(len(errs), func(w int) error {
		switch w {
		case 0:
			_, _, errs[w] = get(s.ctx, s, key("g", "a"))
		case 1:
			_, errs[w] = getMany(s.ctx, s, [][]byte{key("g", "a")})
		default:
			_, errs[w] = scan(s.ctx, s, under("g"), forward)
		}
		return nil
	})
	resume()
	for i, err := range errs {
		s.is(fmt.Sprint("read ", i, " of a stalled store"), err, backend.ErrUnavailable)
	}
	s.recovered()
	s.check(s, key("g", "a"), "1")
}

// testStalledCommits lets the store stall while Updates write: each ends by
// itself, and what it answered is true afterwards.
func testStalledCommits(s *store) {
	for round := range 2 {
		name := func(w int) string { return fmt.Sprint(round, w) }
		for w := range workers {
			s.put(durable, kv{string(key("g", name(w))), "old"})
		}
		stalled := make(chan func(), 1)
		first := make(chan struct{}, workers)
		errs := make([]error, workers)
		s.parallel(workers+1, func(w int) error {
			if w == workers {
				if err := s.await("an Update", first); err != nil {
					return err
				}
				stalled <- s.h.Stall(s.T, s.raw)
				return nil
			}
			errs[w] = s.Update(s.ctx, []backend.Scope{item("g", name(w))}, durable, func(ctx context.Context, t backend.Txn) error {
				if _, _, err := get(ctx, t, key("g", name(w))); err != nil {
					return err
				}
				select {
				case first <- struct{}{}:
				default: // others have told, or this is a rerun
				}
				if w == 0 { // the others race against it
					resume := <-stalled
					stalled <- resume
				}
				return t.Put(key("g", name(w)), []byte("new"))
			})
			return nil
		})
		(<-stalled)()
		s.recovered()
		for w, err := range errs {
			v, _, readErr := get(s.ctx, s, key("g", name(w)))
			switch {
			case readErr != nil:
				s.Fatal(readErr)
			case err != nil && !inDoubt(err):
				s.Errorf("Update %d of a stalled store: %v", w, err)
			case w == 0 && err == nil:
				s.Errorf("Update %d succeeded while the store stalled", w)
			case err == nil && v != "new", errors.Is(err, backend.ErrUnavailable) && v != "old", v != "old" && v != "new":
				s.Errorf("Update %d returned %v, and the store has %q", w, err, v)
			}
		}
	}
}

// testStalledPatient expects a patient Update to outwait a stall that others
// do not.
func testStalledPatient(s *store) {
	s.put(durable, kv{"g/a/", "old"})
	stalled := make(chan func(), 1)
	inside := make(chan struct{}, 1)
	patient := start(func() error {
		return s.Update(s.ctx, []backend.Scope{item("g", "a")}, backend.UpdateOptions{Patient: true}, func(_ context.Context, t backend.Txn) error {
			select {
			case inside <- struct{}{}:
			default: // a rerun
			}
			resume := <-stalled
			stalled <- resume
			return t.Put(key("g", "a"), []byte("new"))
		})
	})
	if err := s.await("the callback", inside); err != nil {
		s.Fatal(err)
	}
	resume := s.h.Stall(s.T, s.raw)
	stalled <- resume
	// Another one gives up, under a scope of its own and under the same.
	for _, scope := range []backend.Scope{item("g", "b"), item("g", "a")} {
		err := s.Update(s.ctx, []backend.Scope{scope}, durable, func(_ context.Context, t backend.Txn) error {
			return t.Put(key(scope.Group, scope.Item, "other"), []byte("v"))
		})
		if !inDoubt(err) {
			s.Errorf("Update of %v in a stalled store: %v", scope, err)
		}
	}
	resume()
	if err := patient(); err != nil {
		s.Errorf("the patient Update: %v", err)
	}
	s.recovered()
	s.check(s, key("g", "a"), "new")
}
