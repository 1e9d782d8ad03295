package backendtest

import (
	"fmt"
	"runtime"
	"sync"
)

// parallel runs fn in n goroutines and fails the test with their errors. fn
// must not end its goroutine.
func (s *store) parallel(n int, fn func(worker int) error) {
	s.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = fn(i) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			s.Errorf("worker %d: %v", i, err)
		}
	}
	if s.Failed() {
		s.FailNow()
	}
}

// start runs fn in a goroutine of its own; the returned function waits for its
// result, and must be called.
func start(fn func() error) (wait func() error) {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	return func() error { return <-done }
}

// await waits for ch, unless the test takes too long.
func (s *store) await(what string, ch <-chan struct{}) error {
	select {
	case <-ch:
		return nil
	case <-s.ctx.Done():
		return fmt.Errorf("waiting for %s: %w", what, s.ctx.Err())
	}
}

// until waits for cond, unless the test takes too long.
func (s *store) until(what string, cond func() bool) {
	s.Helper()
	for !cond() {
		if err := s.ctx.Err(); err != nil {
			s.Fatalf("waiting for %s: %v", what, err)
		}
		runtime.Gosched()
	}
}
