package ttl

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBacklog: what is due counts while it waits and while the store is at work on it,
// which may be long.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, IndexOptions{Span: time.Hour}, 0, SweeperOptions{Grace: time.Second, BatchSize: 2})
		requireBacklog := func(due int, lag time.Duration) {
			t.Helper()
			gotDue, gotLag := r.Backlog()
			require.Equal(t, due, gotDue)
			require.Equal(t, ms(lag), gotLag)
		}
		requireBacklog(0, 0)
		for i, key := range []string{"a", "b", "c", "d"} {
			r.store.put(at(time.Duration(10+i)*time.Second, key))
		}
		r.sweep()
		requireBacklog(0, 0)
		r.clock.Advance(11*time.Second + 500*time.Millisecond)
		requireBacklog(1, 500*time.Millisecond)
		r.clock.Advance(2 * time.Second)
		requireBacklog(3, 2500*time.Millisecond)
		release := make(chan struct{})
		r.store.onExpire = func(due []Entry) (int, error) {
			<-release
			for _, e := range due {
				r.store.drop(e)
			}
			return len(due), nil
		}
		swept := make(chan struct{})
		go func() { defer close(swept); r.sweep() }()
		synctest.Wait() // two of them are in the hands of the store
		require.Equal(t, 2, r.index.Len())
		r.clock.Advance(time.Second)
		requireBacklog(4, 3500*time.Millisecond)
		close(release)
		<-swept
		requireBacklog(0, 0)
	})
}
