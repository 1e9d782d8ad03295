package catalog_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
)

// imagesStored returns how many images the store has bytes of.
func (w *world) imagesStored() int {
	report, err := w.catalogs[0].Check(w.t.Context())
	require.NoError(w.t, err)
	require.Empty(w.t, report.Problems)
	return report.Blobs
}

// contract 5: the grace of image bytes ends early where they pass their budget,
// for the oldest first.
func TestImageGraceBytes(t *testing.T) {
	const size, waiting = 1_300_000, 2 // more chunks each than are read ahead
	configure := func(o *catalog.Options) { o.ImageGraceBytes = waiting*(size+4<<10) + size/2 }
	onEveryStore(t, configure, func(t *testing.T, w *world) {
		replace := func(i int) { w.upsert("p", catalog.Patch{Images: imagesOf(noise(i, size))}) }
		open := func() *catalog.ImageReader {
			r, err := w.c().OpenImage(t.Context(), acme, "p", 0)
			require.NoError(t, err)
			return r
		}
		replace(0)
		oldest := open()
		_, err := io.ReadFull(oldest, make([]byte, 100))
		require.NoError(t, err)
		const times = 12
		for i := range times {
			replace(1 + i)
		}
		newest := open()
		replace(1 + times)
		// Each catalog counts what it has released itself.
		require.Eventually(t, func() bool { return w.imagesStored() <= 1+waiting*w.handles }, time.Minute, time.Millisecond)
		_, err = io.ReadAll(oldest)
		require.ErrorIs(t, err, catalog.ErrImageGone)
		got, err := io.ReadAll(newest)
		require.NoError(t, err)
		require.Equal(t, noise(times, size), got)
		got, err = io.ReadAll(open())
		require.NoError(t, err)
		require.Equal(t, noise(1+times, size), got)

		// What has ended by itself makes room again.
		w.clock.Advance(15 * time.Minute)
		w.sweepAll()
		require.Equal(t, 1, w.imagesStored())
		newest = open()
		replace(0)
		got, err = io.ReadAll(newest)
		require.NoError(t, err)
		require.Equal(t, noise(1+times, size), got)
	})
}

// TestImageGraceBytesUnbounded: a negative budget leaves everything its grace.
func TestImageGraceBytesUnbounded(t *testing.T) {
	w := memoryWorld(t)
	w.opts.ImageGraceBytes = -1
	w.reopen()
	for i := range 20 {
		w.upsert("p", catalog.Patch{Images: imagesOf(noise(i, 10_000))})
	}
	require.Equal(t, 20, w.imagesStored())
}

// TestImageGraceBytesTriedAgain: what could not be removed early is removed when
// the store takes writes again, or by the sweeper, whichever is first.
func TestImageGraceBytesTriedAgain(t *testing.T) {
	w := memoryWorld(t)
	w.opts.ImageGraceBytes = 1
	p := w.watch()
	refused := make(chan struct{}, 100)
	fn := func(_ context.Context, _ []backend.Scope, o backend.UpdateOptions) error {
		if !o.Reclaim {
			return nil
		}
		refused <- struct{}{}
		return backend.ErrUnavailable
	}
	p.beforeUpdate.Store(&fn)
	for i := range 3 {
		w.upsert("p", catalog.Patch{Images: imagesOf(noise(i, 10_000))})
	}
	<-refused
	require.Equal(t, 3, w.imagesStored())
	p.beforeUpdate.Store(nil)
	require.Eventually(t, func() bool {
		w.clock.Advance(time.Second)
		return w.imagesStored() == 1
	}, time.Minute, time.Millisecond)
	require.Less(t, w.clock.Now().Sub(epoch), 15*time.Minute, "not by the sweeper")
	w.clock.Advance(15 * time.Minute)
	w.sweepAll()
	require.Equal(t, 1, w.imagesStored())
}
