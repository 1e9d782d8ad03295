package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
)

// fill writes to a file of its own until its volume has had no byte left for a
// while, longer than a store takes between two looks.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	for full := 0; full < 15; full++ {
		for size := 1 << 20; size > 0; {
			if _, err = f.Write(make([]byte, size)); err != nil {
				require.ErrorIs(t, err, syscall.ENOSPC)
				size /= 2
			}
		}
		<-time.After(100 * time.Millisecond)
	}
}

// TestDeletionsOnAFullVolume: something else takes all the room that there is, also
// that which deletions need. They are admitted nevertheless, before and after an
// opening, and give so much room that the store can be written again.
func TestDeletionsOnAFullVolume(t *testing.T) {
	const values, size = 100, 400 << 10
	for _, reopened := range []bool{false, true} {
		t.Run(fmt.Sprintf("reopened=%t", reopened), func(t *testing.T) {
			volume := mount(t, "tmpfs", "tmpfs", 0, "size=96m,mode=0700")
			path := filepath.Join(volume, "store")
			open := func() *pebble.Store {
				s, err := pebble.Open(t.Context(), path, nil)
				require.NoError(t, err)
				return s
			}
			s := open()
			rng := rand.NewChaCha8([32]byte{1})
			key := func(i int) []byte { return fmt.Appendf(nil, "key %04d", i) }
			put := func(i, size int) error {
				value := make([]byte, size)
				_, _ = rng.Read(value) // it never fails, and no compression makes it smaller
				return s.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
					return x.Put(key(i), value)
				})
			}
			remove := func(i int) error {
				return s.Update(t.Context(), nil, backend.UpdateOptions{Reclaim: true}, func(_ context.Context, x backend.Txn) error {
					return x.Delete(key(i), size)
				})
			}
			for i := range values {
				require.NoError(t, put(i, size))
			}
			require.Eventually(t, func() bool {
				_, err := os.Stat(filepath.Join(path, "ballast"))
				return err == nil
			}, time.Minute, 10*time.Millisecond)

			fill(t, filepath.Join(volume, "foreign"))
			if reopened {
				_ = s.Close() // which may lack room
				s = open()
			}
			require.Eventually(t, func() bool { return errors.Is(s.Ready(), backend.ErrUnavailable) }, time.Minute, time.Millisecond)
			require.ErrorIs(t, put(values, 1), backend.ErrUnavailable)
			for i := range values - 1 {
				// One may come in a moment in which the store has not looked yet, and
				// fail its log for want of room, from which the store heals.
				require.Eventually(t, func() bool { return remove(i) == nil }, time.Minute, time.Millisecond)
			}
			require.Eventually(t, func() bool { return put(values, 1) == nil }, 2*time.Minute, 10*time.Millisecond, "with the foreign file still there")
			for i := range values + 1 {
				found, err := s.Get(t.Context(), key(i), func([]byte) error { return nil })
				require.NoError(t, err)
				require.Equal(t, i >= values-1, found, i)
			}
			require.NoError(t, s.Close())
		})
	}
}
