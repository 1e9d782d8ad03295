package catalog_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// catalogOnPostgres is the environment variable that has every test that runs on
// each kind of store run on PostgreSQL as well, as CI does.
const catalogOnPostgres = "SHELFLIFE_POSTGRES_CATALOG"

var postgresTables atomic.Int64

// onPostgres returns what opens a handle on a new store, each as a process of
// its own would: they share nothing but the server. Without one t is skipped.
func onPostgres(t testing.TB) func() (backend.Backend, error) {
	t.Helper()
	if os.Getenv(catalogOnPostgres) == "" {
		t.Skipf("set %s=1 to run the catalog's tests on PostgreSQL too, which takes minutes", catalogOnPostgres)
	}
	dsn := postgrestest.Shared(t)
	o := postgres.Options{
		Table:     fmt.Sprint("store_", os.Getpid(), "_", postgresTables.Add(1)),
		Partition: encoding.AccountPartition{}, Parts: 4, Connections: 4, Loops: 8,
	}
	return func() (backend.Backend, error) { return postgres.Open(context.Background(), dsn, &o) }
}

// TestModelOnPostgres is TestModel with two processes' worth of catalogs on one
// server, whose clock is that of the test.
func TestModelOnPostgres(t *testing.T) {
	first := *modelSeed
	if first == 0 {
		first = rand.Uint64()
	}
	for i, o := range []catalog.Options{{}, {Sweeper: lateSweeper, Index: tinyIndex, ImageGrace: -1}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			onPostgres(t) // or skip
			cfg := &modelConfig{"postgres", 2, func() func() (backend.Backend, error) { return onPostgres(t) }, o, true}
			answers := map[string]int{}
			log, err := cfg.run(history(first), answers)
			require.NoError(t, err, "replay with -model.seed=%d\n%s", first, strings.Join(log[max(0, len(log)-30):], "\n"))
			t.Logf("-model.seed=%d: %v", first, answers)
		})
	}
}
