package catalog

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/ttl"
)

// TestPace: work rests for as long as it took, and no longer than paceRest.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := ttl.NewManualClock(time.Unix(0, 0))
		p := newPace(clock)
		ended := make(chan error)
		rests := func(ctx context.Context, worked, want time.Duration) {
			clock.Advance(worked)
			go func() { ended <- p.rest(ctx) }()
			synctest.Wait()
			if want > 0 {
				clock.Advance(want - 1)
				synctest.Wait()
				select {
				case <-ended:
					t.Fatal("it did not rest for long enough")
				default:
				}
				clock.Advance(1)
			}
			require.NoError(t, <-ended)
		}
		rests(t.Context(), paceWork-1, 0)
		rests(t.Context(), 1, paceWork) // the work since the last rest
		rests(t.Context(), 3*time.Millisecond, 3*time.Millisecond)
		rests(t.Context(), time.Hour, paceRest)

		ctx, cancel := context.WithCancel(t.Context())
		clock.Advance(time.Hour)
		go func() {
			_, err := pacedWriter{new(bytes.Buffer), ctx, p}.Write([]byte("x"))
			ended <- err
		}()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		require.NoError(t, (*pace)(nil).rest(ctx))
	})
}
