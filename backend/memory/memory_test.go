package memory_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
)

var group = []backend.Scope{{Group: "g"}}

func put(t *testing.T, s *memory.Store, key, value string) {
	t.Helper()
	require.NoError(t, s.Update(t.Context(), group, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
		return txn.Put([]byte(key), []byte(value))
	}))
}

// runs returns how often the callbacks of some Updates ran.
func runs(t *testing.T, o *memory.Options) []int {
	t.Helper()
	s := memory.New(o)
	defer func() { require.NoError(t, s.Close()) }()
	all := make([]int, 100)
	for i := range all {
		require.NoError(t, s.Update(t.Context(), group, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
			all[i]++
			found, err := txn.Get(t.Context(), fmt.Append(nil, i), func([]byte) error { return nil })
			require.NoError(t, err)
			require.False(t, found, "written by a run that did not count")
			return txn.Put(fmt.Append(nil, i), nil)
		}))
	}
	return all
}

func TestShared(t *testing.T) {
	alone := runs(t, nil)
	require.NotContains(t, alone, 2)
	require.False(t, memory.New(&memory.Options{Shared: true}).Properties().Exclusive)
	require.True(t, memory.New(nil).Properties().Exclusive)

	one := runs(t, &memory.Options{Shared: true, Seed: 1})
	for _, n := range []int{1, 2, 3, 4} {
		require.Contains(t, one, n)
	}
	require.NotContains(t, one, 5)
	require.Equal(t, one, runs(t, &memory.Options{Shared: true, Seed: 1}), "the same seed")
	require.NotEqual(t, one, runs(t, &memory.Options{Shared: true, Seed: 2}), "another seed")
}

// TestSharedRerunSeesOthers runs until a callback was rerun on a state that
// another Update had changed between two of its runs.
func TestSharedRerunSeesOthers(t *testing.T) {
	s := memory.New(&memory.Options{Shared: true, Seed: 1})
	defer s.Close()
	put(t, s, "k", "0")
	for changed := false; !changed; {
		seen := map[string]bool{}
		started := make(chan struct{}, 8)
		done := make(chan error, 1)
		go func() {
			<-started
			done <- s.Update(t.Context(), group, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
				return txn.Put([]byte("k"), fmt.Append(nil, len(seen), changed, t.Name()))
			})
		}()
		require.NoError(t, s.Update(t.Context(), group, backend.UpdateOptions{}, func(ctx context.Context, txn backend.Txn) error {
			_, err := txn.Get(ctx, []byte("k"), func(v []byte) error { seen[string(v)] = true; return nil })
			started <- struct{}{}
			runtime.Gosched() // the other one comes to wait for its turn
			return err
		}))
		require.NoError(t, <-done)
		changed = len(seen) > 1
		put(t, s, "k", "0")
	}
}

func TestHandle(t *testing.T) {
	a := memory.New(&memory.Options{Shards: 7})
	b := a.Handle()
	put(t, a, "k", "v")
	require.NoError(t, a.Close())
	require.ErrorIs(t, a.Ready(), backend.ErrClosed)
	require.NoError(t, b.Ready())
	c := a.Handle()
	for _, s := range []*memory.Store{b, c} {
		require.Equal(t, 7, s.Properties().Shards)
		found, err := s.Get(t.Context(), []byte("k"), func(v []byte) error {
			require.Equal(t, "v", string(v))
			return nil
		})
		require.NoError(t, err)
		require.True(t, found)
		require.NoError(t, s.Close())
	}
}

func TestSize(t *testing.T) {
	s := memory.New(nil)
	defer s.Close()
	check := func(r backend.Range, want int64) {
		t.Helper()
		got, err := s.Size(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	put(t, s, "a", "123")
	put(t, s, "b", "12345")
	put(t, s, "b", "1")
	put(t, s, "c", "")
	check(backend.Range{}, 4+2+1)
	check(backend.Range{Start: []byte("b")}, 2+1)
	check(backend.Range{Start: []byte("b"), End: []byte("c")}, 2)
	require.NoError(t, s.Update(t.Context(), group, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
		require.NoError(t, txn.Delete([]byte("a"), 0))
		require.NoError(t, txn.Delete([]byte("none"), 0))
		return txn.DeleteRange(backend.Range{Start: []byte("c"), End: []byte("d")})
	}))
	check(backend.Range{}, 2)
}

// TestMisuse: what Checked would find must at least not break the store.
func TestMisuse(t *testing.T) {
	s := memory.New(nil)
	defer s.Close()
	put(t, s, "k", "v")
	var kept backend.Txn
	require.NoError(t, s.Update(t.Context(), group, backend.UpdateOptions{}, func(ctx context.Context, txn backend.Txn) error {
		kept = txn
		for range txn.Scan(ctx, backend.Range{}, backend.ScanOptions{}) {
			require.Error(t, txn.Put([]byte("k"), nil))
			require.Error(t, txn.Delete([]byte("k"), 0))
		}
		require.Error(t, txn.DeleteRange(backend.Range{Start: []byte("k")}))
		return nil
	}))
	require.Error(t, kept.Put([]byte("k"), nil))
	_, err := kept.Get(t.Context(), []byte("k"), func([]byte) error { return nil })
	require.Error(t, err)
}

// TestGoexit ends the goroutine in a callback: the store goes on.
func TestGoexit(t *testing.T) {
	s := memory.New(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Update(t.Context(), group, backend.UpdateOptions{}, func(context.Context, backend.Txn) error {
			runtime.Goexit()
			return nil
		})
	}()
	<-done
	put(t, s, "k", "v")
	require.NoError(t, s.Close())
}

// TestCloseEndsWaiting: an Update that waits for its turn does not hold up
// Close.
func TestCloseEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		leave := make(chan struct{})
		results := make(chan error, 2)
		go func() {
			results <- s.Update(t.Context(), group, backend.UpdateOptions{}, func(context.Context, backend.Txn) error {
				<-leave
				return nil
			})
		}()
		synctest.Wait()
		go func() {
			results <- s.Update(t.Context(), group, backend.UpdateOptions{}, func(context.Context, backend.Txn) error {
				t.Error("the callback ran")
				return nil
			})
		}()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		require.ErrorIs(t, <-results, backend.ErrClosed)
		require.Empty(t, closed)
		close(leave)
		require.NoError(t, <-results)
		require.NoError(t, <-closed)
	})
}

func ExampleStore() {
	ctx := context.Background()
	store := memory.New(nil)
	defer store.Close()

	fruit := []backend.Scope{{Group: "fruit"}}
	err := store.Update(ctx, fruit, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
		for _, name := range []string{"pear", "apple", "fig"} {
			if err := txn.Put([]byte("fruit/"+name), []byte("fresh")); err != nil {
				return err
			}
		}
		return txn.Delete([]byte("fruit/fig"), 0)
	})
	if err != nil {
		fmt.Println(err)
	}
	for entry, err := range store.Scan(ctx, backend.Range{}, backend.ScanOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %s\n", entry.Key, entry.Value)
	}
	// Output:
	// fruit/apple: fresh
	// fruit/pear: fresh
}
