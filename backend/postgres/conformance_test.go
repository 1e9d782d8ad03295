package postgres_test

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
)

var seedFlag = flag.Uint64("seed", 0, "repeats the random tests of a run that logged it; 0: random")

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// store is what a handle was opened with.
type store struct {
	link    *postgrestest.Link
	options postgres.Options
}

// harness opens each store in a table of its own, through a link that can
// stall. Another handle is what another process would have: handles share
// nothing but the server.
func harness(t *testing.T, o postgres.Options) backendtest.Harness {
	return harnessOn(t, postgrestest.Database(t), o)
}

func harnessOn(t *testing.T, dsn string, o postgres.Options) backendtest.Harness {
	l := postgrestest.NewLink(t, dsn)
	var mu sync.Mutex
	stores := map[backend.Backend]store{}
	on := func(t *testing.T, st store) backend.Backend {
		s, err := postgres.Open(t.Context(), st.link.DSN(), &st.options)
		require.NoError(t, err)
		mu.Lock()
		defer mu.Unlock()
		stores[s] = st
		return s
	}
	of := func(b backend.Backend) store {
		mu.Lock()
		defer mu.Unlock()
		return stores[b]
	}
	reopen := func(t *testing.T, b backend.Backend) backend.Backend {
		require.NoError(t, b.Close())
		return on(t, of(b))
	}
	tables := 0
	return backendtest.Harness{
		Open: func(t *testing.T) backend.Backend {
			tables++
			o.Table = fmt.Sprint("store_", tables)
			return on(t, store{l, o})
		},
		Reopen: reopen,
		Second: func(t *testing.T, b backend.Backend) backend.Backend { return on(t, of(b)) },
		Stall: func(_ *testing.T, b backend.Backend) func() {
			l := of(b).link
			l.Stall()
			return l.Resume
		},
		// The end of a server takes seconds to recover from: TestKill does that.
		Exceptions: []backendtest.Exception{backendtest.NoCrash, backendtest.LaggingSize, backendtest.NoHeal},
		// A handle connects anew, and a link to a busy server is slow.
		SlowRestarts: true,
		Seed:         *seedFlag,
	}
}

func TestConformance(t *testing.T) {
	// How long a call waits is how long a stall lasts; a contended commit of the portable
	// way takes seconds on a busy machine.
	for name, o := range map[string]postgres.Options{
		"Default":  {CallTimeout: 3 * time.Second},
		"Portable": {CallTimeout: 5 * time.Second, Portable: true, CacheSize: -1},
		"Parts":    {CallTimeout: 3 * time.Second, Partition: lastByte{}, Parts: 5, Connections: 2},
	} {
		if testing.Short() && name != "Default" {
			continue
		}
		o.CommitTimeout = o.CallTimeout
		t.Run(name, func(t *testing.T) {
			t.Parallel() // mostly they wait: for a call that ends, for a server that does not answer
			backendtest.Run(t, harness(t, o))
		})
	}
}

// lastByte spreads keys by their last byte, the worst there is: all ranges lie
// in all parts.
type lastByte struct{}

func (lastByte) Name() string { return "last byte" }

func (lastByte) Part(key []byte, parts int) int {
	if len(key) == 0 {
		return 0
	}
	return int(key[len(key)-1]) % parts
}

func (lastByte) RangePart([]byte, []byte, int) (int, bool) { return 0, false }
