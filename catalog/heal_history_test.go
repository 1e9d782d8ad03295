package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// passingFaults are writes that fail for want of room, at random, so many in all.
type passingFaults struct {
	left   atomic.Int64 // writes to the next
	faults atomic.Int64
	hit    atomic.Int64
}

func (p *passingFaults) String() string { return "passing faults" }

func (p *passingFaults) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || p.left.Add(-1) != 0 {
		return nil
	}
	p.hit.Add(1)
	if p.faults.Add(-1) > 0 {
		p.left.Store(200)
	}
	return []error{syscall.ENOSPC, syscall.EDQUOT}[p.hit.Load()%2]
}

// healedHistory is what writers did to products of their own: the title is a
// count, which each edit raises.
type healedHistory struct {
	t *testing.T
	c *catalog.Catalog
	// acked is what was acknowledged of each, tried what was tried.
	acked, tried [crashWriters]atomic.Int64
	unknown      atomic.Int64
}

func (h *healedHistory) title(ctx context.Context, w int) (n int64, err error) {
	p, err := h.c.Get(ctx, acme, fmt.Sprint("p", w))
	if err != nil {
		return 0, ignore(err, catalog.ErrNotFound)
	}
	return strconv.ParseInt(p.Title, 10, 64)
}

// awaitHealed returns when the store takes writes. One that is stopped for good
// never does: then it fails the test.
func awaitHealed(t *testing.T, c *catalog.Catalog) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for err := c.Ready(); err != nil; err = c.Ready() {
		if errors.Is(err, backend.ErrStopped) {
			t.Errorf("it does not heal: %v", err)
			return
		}
		<-poll.C
	}
}

func (h *healedHistory) promised(err error) bool {
	return errors.Is(err, catalog.ErrUnavailable) || errors.Is(err, catalog.ErrUnknownOutcome)
}

// write raises the count of a product. It knows what it must find there.
func (h *healedHistory) write(w int, rng *rand.Rand) error {
	ctx := context.Background()
	before, err := h.title(ctx, w)
	if err != nil {
		return err
	}
	if before < h.acked[w].Load() || before > h.tried[w].Load() {
		return fmt.Errorf("product %d is at %d; %d was acknowledged, %d tried", w, before, h.acked[w].Load(), h.tried[w].Load())
	}
	n := h.tried[w].Load() + 1
	h.tried[w].Store(n)
	p := withImage(catalog.Patch{Title: catalog.Set(strconv.FormatInt(n, 10))})
	if oneIn(rng, 4) {
		p.Images = imagesOf(samples().small[0].data, samples().large[0].data)
	}
	_, err = h.c.Upsert(ctx, acme, fmt.Sprint("p", w), p)
	if err == nil {
		h.acked[w].Store(n)
		if _, err = h.c.Use(ctx, acme, fmt.Sprint("p", w)); err == nil {
			return nil
		}
	}
	if errors.Is(err, catalog.ErrUnknownOutcome) {
		h.unknown.Add(1)
	}
	return err
}

// TestHistoryOfHealing has writers and readers at work while writes fail for want
// of room, again and again. No call reads less than was acknowledged before, nor
// what was never written; each failure is one of those that are promised; the store heals
// by itself; and a power cut behind that takes nothing that was acknowledged.
func TestHistoryOfHealing(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	mem := vfs.NewCrashableMem()
	faults := new(passingFaults)
	c, err := openOn(errorfs.Wrap(mem, faults), ttl.NewManualClock(epoch), catalog.Options{})
	require.NoError(t, err)
	h := &healedHistory{t: t, c: c}
	faults.faults.Store(3)
	faults.left.Store(50 + rng.Int64N(200))

	var writers, readers sync.WaitGroup
	var done atomic.Bool
	for w := range crashWriters {
		rng := rand.New(rand.NewPCG(seed, uint64(w+1)))
		writers.Go(func() {
			for n := 0; (n < 60 || faults.faults.Load() > 0) && !t.Failed(); n++ {
				if err := h.write(w, rng); err != nil && !h.promised(err) {
					t.Error(err)
				}
				awaitHealed(t, c)
			}
		})
	}
	readers.Go(func() {
		poll := time.NewTicker(5 * time.Millisecond)
		defer poll.Stop()
		for !done.Load() && !t.Failed() {
			if c.Ready() != nil {
				<-poll.C
			}
			for w := range crashWriters {
				acked := h.acked[w].Load()
				n, err := h.title(t.Context(), w)
				if tried := h.tried[w].Load(); err == nil && (n < acked || n > tried) {
					t.Errorf("product %d is read at %d; %d was acknowledged before, %d tried", w, n, acked, tried)
				} else if err != nil && !h.promised(err) {
					t.Error(err)
				}
			}
			for _, err := range c.All(t.Context(), acme, catalog.AllOptions{}) {
				if err != nil && !h.promised(err) {
					t.Error(err)
				}
			}
		}
	})
	writers.Wait()
	done.Store(true)
	readers.Wait()
	require.EqualValues(t, 3, faults.hit.Load())
	awaitHealed(t, c)
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	// In the background the last fault may have been met, and not be reported yet.
	require.NoError(t, ignore(c.Close(), catalog.ErrUnavailable))
	t.Logf("%d outcomes were not known", h.unknown.Load())
	for name, disk := range map[string]vfs.FS{"closed": mem, "crashed": crashed} {
		h.c, err = openOn(disk, ttl.NewManualClock(epoch), catalog.Options{})
		require.NoError(t, err)
		for w := range crashWriters {
			n, err := h.title(t.Context(), w)
			require.NoError(t, err)
			require.GreaterOrEqual(t, n, h.acked[w].Load(), name)
			require.LessOrEqual(t, n, h.tried[w].Load(), name)
		}
		report, err := h.c.Check(t.Context())
		require.NoError(t, err)
		require.Empty(t, report.Problems)
		require.NoError(t, h.c.Close())
	}
}
