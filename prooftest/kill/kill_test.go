package kill

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/prooftest/internal/serve"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

var (
	killTimes = flag.Int("kill.times", 20, "how often the server is killed")
	killSeed  = flag.Uint64("kill.seed", 0, "seed of the calls and of when to kill; 0: random")
)

// TestKill kills a server with SIGKILL, again and again, while writers are at
// work over HTTP, and sometimes while it recovers. What was acknowledged is
// there afterwards, whole; of the call that each writer had under way all or
// nothing; and of the uses those from before the last windows. In the end the
// store is sound, and a sweep leaves no bytes without an owner.
func TestKill(t *testing.T) {
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-kill.seed=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	binary, data := serve.Build(t), filepath.Join(t.TempDir(), "store")
	all := make([]*writer, writers)
	for i := range all {
		all[i] = &writer{
			account: i, rng: rand.New(rand.NewPCG(seed, uint64(i+1))),
			client: &http.Client{Transport: new(http.Transport), Timeout: patience},
			known:  map[string]*product{}, uses: map[string][]use{},
		}
	}
	var sum figures
	var inRecovery int
	var killed time.Time
	for n := 0; n <= *killTimes; n++ {
		if n > 0 && rng.IntN(3) == 0 {
			// While it recovers, too.
			s := start(t, binary, data)
			time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond)
			s.Kill()
			inRecovery++
		}
		if n > 0 && rng.IntN(4) == 0 {
			requireSound(t, binary, data)
		}
		s := start(t, binary, data)
		url := s.URL(t)
		for _, w := range all {
			w.url = url
			w.client.CloseIdleConnections()
			require.NoError(t, w.verify(killed, &sum), "after kill %d, seed %d", n, seed)
		}
		if n == *killTimes {
			s.Kill()
			break
		}
		ended := make([]error, writers)
		var wg sync.WaitGroup
		for i, w := range all {
			wg.Go(func() { ended[i] = w.run() })
		}
		time.Sleep(time.Duration(100+rng.IntN(1900)) * time.Millisecond)
		killed = time.Now()
		s.Kill()
		wg.Wait()
		require.NoError(t, errors.Join(ended...), "seed %d", seed)
	}
	requireSound(t, binary, data)
	acked := 0
	for _, w := range all {
		acked += w.acked
	}
	t.Logf("%d kills and %d during recovery, %d calls acknowledged; calls under way at a kill: %d whole, %d not at all; %d products and images compared; %d uses lost, the oldest from %v before the kill",
		*killTimes, inRecovery, acked, sum.applied, sum.lost, sum.products, sum.usesLost, sum.oldestLost.Round(time.Millisecond))
	if *killTimes >= 20 {
		require.Positive(t, sum.applied+sum.lost, "no call was ever caught")
	}
	requireNoOrphans(t, data, all)
}

// requireSound runs shelflife check.
func requireSound(t *testing.T, binary, data string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, "check", "--data", data).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// requireNoOrphans sweeps when all that was replaced may go, and counts what is
// left.
func requireNoOrphans(t *testing.T, data string, all []*writer) {
	ctx := context.Background()
	store, err := pebble.Open(ctx, data, nil)
	require.NoError(t, err)
	clock := ttl.NewManualClock(time.Now().Add(12 * time.Hour))
	c, err := catalog.Open(ctx, store, &catalog.Options{Clock: clock})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	_, err = c.Sweep(ctx)
	require.NoError(t, err)
	products, uploads := 0, 0
	for _, w := range all {
		stats, err := c.Stats(ctx, accountOf(w.account))
		require.NoError(t, err)
		require.Equal(t, len(w.known), stats.Products)
		products += stats.Products
		uploads += stats.Uploads
	}
	report, err := c.Check(ctx)
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	require.Equal(t, products, report.Products)
	require.Equal(t, uploads, report.Blobs, "bytes without an owner")
}
