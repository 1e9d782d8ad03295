package pebble_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// TestCloseDuringUse closes a store while every kind of call runs on it:
// nothing hangs, panics or fails with anything else than ErrClosed, and what
// was acknowledged is there afterwards.
func TestCloseDuringUse(t *testing.T) {
	for range 3 {
		fs := vfs.NewMem()
		s := open(t, fs)
		require.NoError(t, put(t.Context(), s, 0, 0, backend.UpdateOptions{}))
		abandoned, err := s.Snapshot(t.Context())
		require.NoError(t, err)

		calls := map[string]func(n int) error{
			"update":   func(n int) error { return put(t.Context(), s, 1, n, backend.UpdateOptions{}) },
			"buffered": func(n int) error { return put(t.Context(), s, 2, n, backend.UpdateOptions{Buffered: true}) },
			"group": func(int) error {
				return s.Update(t.Context(), []backend.Scope{{Group: "g"}}, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
					return x.DeleteRange(backend.Range{Start: key(3, 0), End: key(4, 0)})
				})
			},
			"durable": func(int) error { return s.Durable(t.Context(), scope(2)) },
			"get": func(int) error {
				_, err := s.Get(t.Context(), key(0, 0), func([]byte) error { return nil })
				return err
			},
			"many": func(int) error {
				return s.GetMany(t.Context(), [][]byte{key(0, 0), key(1, 0)}, func(int, []byte) error { return nil })
			},
			"scan": func(int) error { return drain(t.Context(), s) },
			"snapshot": func(int) error {
				n, err := s.Snapshot(t.Context())
				if err != nil {
					return err
				}
				return errors.Join(drain(t.Context(), n), n.Close())
			},
			"abandoned": func(int) error { return drain(t.Context(), abandoned) },
			"size": func(int) error {
				_, err := s.Size(t.Context(), backend.Range{})
				return err
			},
		}
		var wg sync.WaitGroup
		running := make(chan struct{}, len(calls))
		var acked int
		for name, call := range calls {
			wg.Go(func() {
				for n := 0; ; n++ {
					if err := call(n); err != nil {
						if !errors.Is(err, backend.ErrClosed) {
							t.Errorf("%s: %v", name, err)
						}
						if name == "update" {
							acked = n
						}
						return
					}
					if n == 5 {
						running <- struct{}{}
					}
				}
			})
		}
		for range calls {
			<-running
		}
		require.NoError(t, s.Close())
		wg.Wait()
		require.NoError(t, abandoned.Close())
		require.ErrorIs(t, s.Ready(), backend.ErrClosed)
		require.Nil(t, s.Metrics())

		s = open(t, fs)
		for n := range acked {
			require.True(t, has(t, s, 1, n))
		}
		require.NoError(t, s.Close())
	}
}

func drain(ctx context.Context, r backend.Reader) error {
	for _, err := range r.Scan(ctx, backend.Range{}, backend.ScanOptions{}) {
		if err != nil {
			return err
		}
	}
	return nil
}
