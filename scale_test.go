package shelflife_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// What docs/scale.md reckons with.
const (
	scaleAccounts = 100_000
	scaleProducts = 1_000_000_000
	scaleUses     = 50_000     // per second
	scaleNodes    = 8          // that share the parts
	nodeUses      = 10_000     // per second, that a node is taken to manage
	sweepDue      = 10_000_000 // products that are due at once
	nodeSweep     = 2_000      // per second, that a node is taken to remove
)

// simulateScale places accounts of Zipf's sizes in parts, as the store does, and the
// parts on nodes, and returns what that does to sweeps and to the busiest node, as the
// table of docs/scale.md.
func simulateScale() string {
	// The size of an account, and its share of the uses, is one over its rank.
	total := 0.0
	for rank := 1; rank <= scaleAccounts; rank++ {
		total += 1 / float64(rank)
	}
	var b strings.Builder
	fmt.Fprintln(&b, "parts  fullest part  busiest part  busiest node: dealt out  weighed  waits p50  p99  sweep of 10 million")
	for _, parts := range []int{16, 64, 256, 1024} {
		share := make([]float64, parts)
		for rank := 1; rank <= scaleAccounts; rank++ {
			key := encoding.AppendProductKey(nil, fmt.Sprintf("account-%06d", rank), "p")
			share[encoding.AccountPartition{}.Part(key, parts)] += 1 / float64(rank) / total
		}
		dealt, weighed := dealtOut(share), weighedOut(share)
		p50, p99 := waits(weighed * scaleUses)
		fmt.Fprintf(&b, "%5d  %8.0f mio  %8.0f /s  %20.0f %%  %5.0f %%  %9s  %s  %15.0f min\n",
			parts, slices.Max(share)*scaleProducts/1e6, slices.Max(share)*scaleUses, 100*scaleNodes*dealt, 100*scaleNodes*weighed,
			p50, p99, weighed*sweepDue/nodeSweep/60)
	}
	return b.String()
}

// dealtOut returns the share of the busiest node where parts are dealt out by their
// numbers.
func dealtOut(share []float64) float64 {
	nodes := make([]float64, scaleNodes)
	for i, s := range share {
		nodes[i%scaleNodes] += s
	}
	return slices.Max(nodes)
}

// weighedOut returns the same where each part, the busiest first, goes to the node
// that has the least to do.
func weighedOut(share []float64) float64 {
	sorted := slices.Sorted(slices.Values(share))
	slices.Reverse(sorted)
	nodes := make([]float64, scaleNodes)
	for _, s := range sorted {
		least := 0
		for i := range nodes {
			if nodes[i] < nodes[least] {
				least = i
			}
		}
		nodes[least] += s
	}
	return slices.Max(nodes)
}

// waits returns how long uses wait in front of a node that so many come to in a
// second, at random, and which does one after the other in equal time.
func waits(rate float64) (p50, p99 string) {
	if rate >= nodeUses {
		return "for ever", "for ever"
	}
	rng := rand.New(rand.NewPCG(1, 2))
	const calls = 1_000_000
	all := make([]float64, calls) // in seconds
	wait := 0.0
	for i := range all {
		wait = math.Max(0, wait+1.0/nodeUses-rng.ExpFloat64()/rate)
		all[i] = wait
	}
	slices.Sort(all)
	show := func(s float64) string { return fmt.Sprintf("%.1f ms", 1000*s) }
	return show(all[calls/2]), show(all[calls/100*99])
}

// The table of docs/scale.md is what the simulation prints.
func TestScaleDoc(t *testing.T) {
	text, err := os.ReadFile("docs/scale.md")
	require.NoError(t, err)
	table := simulateScale()
	require.Contains(t, string(text), "```text\n"+table+"```\n", "docs/scale.md, which should have\n%s", table)
}

// What docs/scale.md says of PgBouncer works as it is printed, on a server of the
// test's own.
func TestBouncerDoc(t *testing.T) {
	settings := blocksOf(t, "docs/scale.md", "ini", "text")
	require.Len(t, settings, 1)
	text, err := os.ReadFile("docs/scale.md")
	require.NoError(t, err)
	_, query, found := strings.Cut(string(text), "@bouncer:6432/shelflife?")
	require.True(t, found)
	query, _, _ = strings.Cut(query, "\n")
	dsn := postgrestest.Bouncer(t, postgrestest.Database(t), strings.TrimPrefix(settings[0], "[pgbouncer]\n"))
	for range 2 { // the second connects to what is there
		store, err := postgres.Open(t.Context(), dsn+"&"+query, &postgres.Options{Partition: catalog.AccountPartition{}})
		require.NoError(t, err)
		c, err := catalog.Open(t.Context(), store, nil)
		require.NoError(t, err)
		for i := range 20 {
			_, err := c.Upsert(t.Context(), "acme", fmt.Sprint(i), catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1"}})})
			require.NoError(t, err)
			_, err = c.Use(t.Context(), "acme", fmt.Sprint(i))
			require.NoError(t, err)
		}
		n := 0
		for _, err := range c.All(t.Context(), "acme", catalog.AllOptions{}) {
			require.NoError(t, err)
			n++
		}
		require.Equal(t, 20, n)
		require.NoError(t, c.Close())
	}
}
