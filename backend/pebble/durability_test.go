package pebble

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// TestPositions: every commit lies behind what was durable before it, also
// behind a mark, which has no operation of its own.
func TestPositions(t *testing.T) {
	s, err := Open(t.Context(), "d", &Options{FS: vfs.NewMem(), MemTableSize: minMemTableSize})
	require.NoError(t, err)
	d := s.turn.Load().durable
	commit := func(size, n int, durable bool) pendingSync {
		b := s.turn.Load().db.NewBatch()
		for i := range n {
			require.NoError(t, b.Set(fmt.Append(nil, i), make([]byte, size), nil))
		}
		p, err := d.commit(b, durable)
		require.NoError(t, err)
		return p
	}
	var last uint64
	for _, size := range []int{1, minMemTableSize} { // in the memtable, and apart from it
		for _, n := range []int{1, 3} {
			p := commit(size, n, false)
			require.Greater(t, p.pos, last)
			require.Less(t, d.upTo.Load(), p.pos, "no call has synced it")
			require.NoError(t, d.wait(s.turn.Load().hang.Wait(t.Context(), s.turn.Load().fail, false), p.pos))
			require.GreaterOrEqual(t, d.upTo.Load(), p.pos)

			q := commit(size, n, true)
			require.Greater(t, q.pos, d.upTo.Load())
			require.NoError(t, d.outcome(s.turn.Load().hang.Wait(t.Context(), s.turn.Load().fail, false), q))
			require.Equal(t, q.pos, d.upTo.Load())

			// With another in front, whose sync is not this one's.
			other := d.rounds.Lead()
			p = commit(size, n, true)
			require.Greater(t, p.pos, q.pos)
			require.Less(t, d.syncing.Load(), p.pos)
			d.rounds.Go(other, func() error { return nil })
			require.NoError(t, d.outcome(s.turn.Load().hang.Wait(t.Context(), s.turn.Load().fail, false), p))
			require.GreaterOrEqual(t, d.upTo.Load(), p.pos)

			require.NoError(t, d.sync())
			last = d.upTo.Load()
		}
	}
	require.NoError(t, s.Close())
}

// TestCloseWaitsForSyncs: Pebble is not closed below a sync that no call waits
// for any more.
func TestCloseWaitsForSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), "d", &Options{FS: vfs.NewMem(), MemTableSize: minMemTableSize})
		require.NoError(t, err)
		release := make(chan struct{})
		synced := make(chan error, 1)
		s.turn.Load().syncs.Go(func() {
			<-release
			synced <- s.turn.Load().durable.sync()
		})
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		synctest.Wait()
		require.Empty(t, closed)
		close(release)
		require.NoError(t, <-closed)
		require.NoError(t, <-synced)
	})
}
