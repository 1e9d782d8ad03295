package pebble_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// TestGetManyAscending: keys that ascend are found whether they lie side by side or have
// others, some of them deleted, between them, and those that are not there are not.
func TestGetManyAscending(t *testing.T) {
	rng := newRand(t)
	s := open(t, vfs.NewMem())
	defer func() { require.NoError(t, s.Close()) }()
	scope := []backend.Scope{{Group: "g"}}
	key := func(i int) []byte { return fmt.Appendf(nil, "g/%04d", i) }
	const n = 600
	there := make([]bool, n)
	require.NoError(t, s.Update(t.Context(), scope, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
		for i := range there {
			if there[i] = rng.IntN(4) > 0; there[i] {
				if err := txn.Put(key(i), fmt.Append(nil, i)); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	require.NoError(t, s.Update(t.Context(), scope, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
		for i := range there {
			if rng.IntN(4) > 0 {
				continue
			}
			there[i] = false
			if err := txn.Delete(key(i), 0); err != nil {
				return err
			}
		}
		return nil
	}))
	for _, step := range []int{1, 2, 5, 40} {
		var asked []int
		for i := rng.IntN(step); i < n; i += 1 + rng.IntN(step) {
			asked = append(asked, i)
		}
		keys := make([][]byte, 0, len(asked))
		want := map[int]string{}
		for _, i := range asked {
			keys = append(keys, key(i))
			if there[i] {
				want[i] = fmt.Sprint(i)
			}
		}
		got := map[int]string{}
		require.NoError(t, s.Update(t.Context(), scope, backend.UpdateOptions{}, func(ctx context.Context, txn backend.Txn) error {
			return txn.GetMany(ctx, keys, func(i int, value []byte) error {
				got[asked[i]] = string(value)
				return nil
			})
		}))
		require.Equal(t, want, got, "step %d", step)
	}
}
