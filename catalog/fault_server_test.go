package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// faultsOfServer is about how many faults of each kind TestFaultScriptOnPostgres
// makes where it is not told to make all.
const faultsOfServer = 6

// TestFaultScriptOnPostgres fails requests to the server, one in each run of the
// script of TestFaultScript, from the first one that opens the store to the last of
// a store that was opened again. It is every single one where the catalog's tests
// are asked to run on PostgreSQL, else some. No call lies about what it did, errors
// are typed, and the store goes on by itself.
func TestFaultScriptOnPostgres(t *testing.T) {
	dsn := postgrestest.Database(t)
	l := postgrestest.NewLink(t, dsn)
	table := 0
	for i, mode := range []struct {
		name  string
		fault postgrestest.Fault
	}{
		{"lost on the way", postgrestest.Lost},
		{"answer lost", postgrestest.Unheard},
		{"disk full", postgrestest.Refused},
		{"server ends", postgrestest.Rollback},
	} {
		t.Run(mode.name, func(t *testing.T) {
			hits, failed := int64(0), 0
			stride := int64(*faultStride)
			if testing.Short() {
				stride *= 4
			}
			for index := int64(i + 1); ; index += stride {
				var requests, last atomic.Int64
				l.Fail(func(int64) postgrestest.Fault {
					if n := requests.Add(1); n == index {
						last.Store(n)
						return mode.fault
					}
					return postgrestest.None
				})
				table++
				o := postgres.Options{Table: fmt.Sprint("store_", table), Partition: encoding.AccountPartition{}, Parts: 4, Connections: 4, Loops: 4}
				s := &faultScript{t: t, clock: ttl.NewManualClock(epoch), may: map[string]map[string]bool{}, heals: true}
				s.run(onServer(l.DSN(), o))
				asked := requests.Load()
				l.Fail(nil)
				s.requireIntact(onServer(dsn, o))
				if last.Load() == 0 {
					require.Greater(t, index, int64(50))
					t.Logf("%d faults in %d requests, %d of them failed a write", hits, asked, failed)
					return
				}
				if hits++; s.failed {
					failed++
				}
				if os.Getenv(catalogOnPostgres) == "" {
					stride = max(stride, asked/faultsOfServer)
				}
			}
		})
	}
}

// onServer opens the store of a connection string, whose clock is that of the script.
func onServer(dsn string, o postgres.Options) opener {
	return func(clock ttl.Clock, co catalog.Options) (*catalog.Catalog, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		b, err := postgres.Open(ctx, dsn, &o)
		if err != nil {
			return nil, err
		}
		co.Clock = clock
		c, err := catalog.Open(ctx, backendtest.Clocked(b, clock.Now), &co)
		if err != nil {
			return nil, errors.Join(err, b.Close())
		}
		return c, nil
	}
}
