package backendtest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/shelflife-db/shelflife/backend"
)

var visibleTests = []test{
	{"OnceAndInOrder", nil, testVisibleOnce},
	{"OnlyOnCommit", nil, testVisibleOnlyOnCommit},
	{"WithoutWrites", nil, testVisibleWithoutWrites},
	{"WhenVisible", nil, testVisibleWhen},
	{"BeforeOverlapping", nil, testVisibleBeforeOverlapping},
}

func testVisibleOnce(s *store) {
	for range rounds(50) {
		var mu sync.Mutex
		var calls []int
		s.update([]backend.Scope{item("g", "i")}, durable, func(ctx context.Context, t backend.Txn) error {
			for i := range 5 {
				t.OnVisible(func() {
					mu.Lock()
					defer mu.Unlock()
					calls = append(calls, i)
				})
			}
			_, err := add(ctx, t, key("g", "i"), 1)
			return err
		})
		mu.Lock()
		if !slices.Equal(calls, []int{0, 1, 2, 3, 4}) {
			s.Errorf("the functions ran as %v, want each once, in order, before Update returned", calls)
		}
		mu.Unlock()
	}
}

func testVisibleOnlyOnCommit(s *store) {
	err := s.Update(s.ctx, []backend.Scope{item("g", "i")}, durable, func(_ context.Context, t backend.Txn) error {
		t.OnVisible(func() { s.Error("OnVisible of an Update that failed") })
		if err := t.Put(key("g", "i"), []byte("v")); err != nil {
			return err
		}
		return errTest
	})
	s.is("Update", err, errTest)
}

// testVisibleWithoutWrites: an Update that writes nothing commits too.
func testVisibleWithoutWrites(s *store) {
	calls := 0
	s.update([]backend.Scope{item("g", "i")}, durable, func(_ context.Context, t backend.Txn) error {
		t.OnVisible(func() { calls++ })
		return nil
	})
	if calls != 1 {
		s.Errorf("OnVisible ran %d times, want once", calls)
	}
}

// testVisibleWhen has another goroutine read as soon as OnVisible was called.
func testVisibleWhen(s *store) {
	n := rounds(50)
	visible := make(chan int, n)
	s.parallel(2, func(w int) error {
		if w == 0 {
			defer close(visible)
			for i := range n {
				err := s.Update(s.ctx, []backend.Scope{item("g", fmt.Sprint(i))}, backend.UpdateOptions{Buffered: i%4 != 0}, func(_ context.Context, t backend.Txn) error {
					t.OnVisible(func() { visible <- i })
					return t.Put(key("g", fmt.Sprint(i)), []byte("v"))
				})
				if err != nil {
					return err
				}
			}
			return nil
		}
		for i := range visible {
			if _, found, err := get(s.ctx, s, key("g", fmt.Sprint(i))); err != nil || !found {
				return fmt.Errorf("commit %d is announced as visible, but Get: %t, %w", i, found, err)
			}
		}
		return nil
	})
}

// testVisibleBeforeOverlapping keeps a copy of a counter up to date by
// OnVisible alone: where the engine is exclusive it never lags behind in an
// overlapping Update.
func testVisibleBeforeOverlapping(s *store) {
	var mu sync.Mutex
	copied := uint64(0)
	exclusive := s.Properties().Exclusive
	n := rounds(60)
	s.parallel(workers, func(w int) error {
		for i := range n {
			scope := item("g", "i")
			if (w+i)%5 == 0 {
				scope = whole("g")
			}
			err := s.Update(s.ctx, []backend.Scope{scope}, backend.UpdateOptions{Buffered: i%8 != 0}, func(ctx context.Context, t backend.Txn) error {
				n, err := number(ctx, t, key("g", "i"))
				if err != nil {
					return err
				}
				mu.Lock()
				c := copied
				mu.Unlock()
				if exclusive && c != n {
					return fmt.Errorf("read %d in an Update, while OnVisible has announced %d", n, c)
				}
				t.OnVisible(func() {
					mu.Lock()
					defer mu.Unlock()
					copied = max(copied, n+1)
				})
				return putNumber(t, key("g", "i"), n+1)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	if copied != uint64(workers*n) {
		s.Errorf("OnVisible has announced %d, want %d", copied, workers*n)
	}
}
