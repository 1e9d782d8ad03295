package linear

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

var (
	linearSeed  = flag.Uint64("linear.seed", 0, "seed of what the clients call; 0: random. How they interleave is not replayed")
	linearCalls = flag.Int("linear.calls", 200_000, "calls on each kind of store")
)

// enoughContention is the least share of calls that must have run while
// another client was at work on the same product.
const enoughContention = 0.5

// stores are the kinds of store; shared and postgres have two catalogs, which go by
// the store's clock there: their own are off by hours and days.
var stores = []struct {
	name    string
	open    func(t *testing.T) []backend.Backend
	opts    catalog.Options
	overlay bool // uses wait in memory
	// slower divides the number of calls.
	slower int
}{
	{"memory", inMemory, catalog.Options{}, true, 1},
	{"memory-nocache-nowindow", inMemory, catalog.Options{CacheBytes: -1, UseWindow: catalog.NoUseWindow}, false, 1},
	{"shared", func(*testing.T) []backend.Backend {
		s := memory.New(&memory.Options{Shared: true, Shards: 4})
		return []backend.Backend{s.Handle(), s.Handle()}
	}, catalog.Options{}, false, 1},
	{"postgres", onPostgres, catalog.Options{}, false, 20},
	{"pebble", onPebble, catalog.Options{}, true, 1},
	{"pebble-nowindow", onPebble, catalog.Options{UseWindow: catalog.NoUseWindow}, false, 1},
	{"pebble-tinyoverlay", onPebble, catalog.Options{UseCapacity: 1, CacheBytes: 5000}, true, 1},
}

func inMemory(*testing.T) []backend.Backend { return []backend.Backend{memory.New(nil)} }

func onPostgres(t *testing.T) []backend.Backend {
	dsn := postgrestest.Database(t)
	o := &postgres.Options{Partition: encoding.AccountPartition{}, Parts: 4}
	var both []backend.Backend
	for range 2 {
		s, err := postgres.Open(t.Context(), dsn, o)
		require.NoError(t, err)
		both = append(both, s)
	}
	return both
}

func onPebble(t *testing.T) []backend.Backend {
	s, err := pebble.Open(t.Context(), "db", &pebble.Options{FS: vfs.NewMem(), CacheSize: 1 << 20, MemTableSize: 256 << 10})
	require.NoError(t, err)
	return []backend.Backend{s}
}

func open(t *testing.T, backends []backend.Backend, o catalog.Options, seed uint64) *load {
	l := &load{clock: ttl.NewManualClock(epoch), times: []int64{epoch.UnixMilli()}, seed: seed, kinds: map[string]int{}}
	o.Clock = l.clock
	for i, b := range backends {
		if len(backends) > 1 {
			b = backendtest.Clocked(b, l.clock.Now)
			o.Clock = wrongClock{l.clock, []time.Duration{6 * time.Hour, -31 * 24 * time.Hour}[i]}
		}
		c, err := catalog.Open(t.Context(), yielding{b}, &o)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		l.catalogs = append(l.catalogs, c)
	}
	return l
}

// wrongClock is a clock whose wall clock is wrong.
type wrongClock struct {
	ttl.Clock
	ahead time.Duration
}

func (c wrongClock) Now() time.Time { return c.Clock.Now().Add(c.ahead) }

// TestLinearizable has many clients at work on the same products and finds, for
// each product, an order of all calls that explains every answer.
func TestLinearizable(t *testing.T) {
	seed := *linearSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			l := open(t, s.open(t), s.opts, seed)
			l.overlay, l.brief = s.overlay, s.name == "postgres"
			for n := 0; l.calls < *linearCalls/s.slower; n++ {
				start := l.clock.Now().UnixMilli()
				histories, err := l.round(n)
				require.NoError(t, err, "seed %d", seed)
				for id, ops := range histories {
					requireLinearizable(t, spec{s.overlay, l.times}.model(start), id, ops, seed)
				}
			}
			share := float64(l.overlapping) / float64(l.calls)
			t.Logf("%d calls of %d clients, %.0f%% under contention, replay with -linear.seed=%d: %v",
				l.calls, clients, 100*share, seed, l.kinds)
			require.GreaterOrEqual(t, share, enoughContention, "too little contention proves nothing")
			report, err := l.catalogs[0].Check(t.Context())
			require.NoError(t, err)
			require.Empty(t, report.Problems)
		})
	}
}

// stuck describes where the longest order that was found ends: the state, and
// the operations that have begun and can't follow.
func stuck(m porcupine.Model, info porcupine.LinearizationInfo, ops []porcupine.Operation) string {
	var longest []porcupine.Operation
	for _, partition := range info.PartialLinearizationsOperations() {
		for _, order := range partition {
			if len(order) > len(longest) {
				longest = order
			}
		}
	}
	var b strings.Builder
	s := m.Init()
	placed := map[porcupine.Operation]bool{}
	line := func(op porcupine.Operation) {
		fmt.Fprintf(&b, "  client %d [%d, %d] %s\n", op.ClientId, op.Call, op.Return, m.DescribeOperation(op.Input, op.Output))
	}
	for i, op := range longest {
		_, s = m.Step(s, op.Input, op.Output)
		placed[op] = true
		if len(longest)-i <= 8 {
			line(op)
		}
	}
	fmt.Fprintf(&b, "then %s, where none can follow of\n", m.DescribeState(s))
	first := int64(math.MaxInt64)
	for _, op := range ops {
		if !placed[op] {
			first = min(first, op.Return)
		}
	}
	for _, op := range ops {
		if !placed[op] && op.Call <= first {
			line(op)
		}
	}
	return b.String()
}

func requireLinearizable(t *testing.T, m porcupine.Model, id string, ops []porcupine.Operation, seed uint64) {
	t.Helper()
	result, info := porcupine.CheckOperationsVerbose(m, ops, 20*time.Second)
	if result == porcupine.Ok {
		return
	}
	path := filepath.Join(t.ArtifactDir(), id+".html")
	require.NoError(t, porcupine.VisualizePath(m, info, path))
	t.Fatalf("%s: %s, %d operations, seed %d; see %s with -artifacts\n%s", id, result, len(ops), seed, path, stuck(m, info, ops))
}
