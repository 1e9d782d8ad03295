package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/bench/internal/report"
	"github.com/shelflife-db/shelflife/bench/internal/roster"
	"github.com/shelflife-db/shelflife/bench/internal/workload"
)

// A store is killed in a process of its own, which is this binary again.
func TestMain(m *testing.M) {
	if workload.ChildMain(roster.Stores()) {
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// smoke is every workload with next to nothing to do.
func smoke(t *testing.T) workload.Config {
	return workload.Config{
		Products: 200, Large: 400, Larger: 800, Huge: 400, HTTPProducts: 50,
		Writers: []int{1, 16, 64}, Readers: 2, Clients: 4,
		Rounds: 1, Duration: time.Minute, MaxOps: 40, Seed: 7, Dir: t.TempDir(),
	}
}

// lines writes the progress of a run to the log of a test.
type lines struct{ t *testing.T }

func (l lines) Write(p []byte) (int, error) {
	l.t.Logf("%s", p)
	return len(p), nil
}

// Every workload must run on every peer, or say why not, with right results.
func TestEveryWorkloadOnEveryPeer(t *testing.T) {
	c := smoke(t)
	run, err := workload.Run(t.Context(), c, roster.Stores(), roster.Servers(), lines{t})
	require.NoError(t, err)
	report.Judge(run)
	for _, w := range c.All() {
		require.NotEmpty(t, run.On(w.Name), "%s was measured on no peer", w.Name)
	}
	for _, m := range run.Measurements {
		require.Positive(t, m.Value.Median, "%s on %s", m.Workload, m.Peer)
	}
	for _, g := range run.Goals {
		require.NotEqual(t, report.NotMeasured, g.State, "%s", g.Text)
	}
	gaps := map[string]string{}
	for _, g := range run.Gaps {
		gaps[g.Peer+" "+g.Workload] = g.Reason
	}
	want := map[string]string{
		"pebble use-durable":   "not offered",
		"pebble use-buffered":  "not offered",
		"pebble get-expired":   "the floor knows no lifetimes",
		"badger sweep":         "removal can't be asked for",
		"badger sweep-get-p99": "removal can't be asked for",
	}
	for _, name := range []string{"pebble", "badger", "bbolt", "sqlite", "buntdb"} {
		for _, w := range c.All() {
			if strings.HasPrefix(w.Name, "view-") || w.Name == "get-many-50" || w.Name == "image-write" || w.Name == "image-lend" || w.Name == "touch" {
				want[name+" "+w.Name] = "not offered"
			}
		}
	}
	want["pocketbase http-list"], want["pocketbase http-list-handler"] = "not offered", "not offered"
	want["pocketbase http-image"], want["pocketbase http-image-handler"] = "not offered", "not offered"
	require.Equal(t, want, gaps)
}
