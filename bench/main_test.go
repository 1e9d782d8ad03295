package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/bench/internal/result"
	"github.com/shelflife-db/shelflife/bench/internal/workload"
)

func TestConfigOfTheCommandLine(t *testing.T) {
	for _, tc := range []struct {
		args []string
		mode string
		want func(*workload.Config)
	}{
		{nil, "full", func(*workload.Config) {}},
		{[]string{"--quick"}, "quick", func(c *workload.Config) { *c = workload.Quick() }},
		{[]string{"--dir=.", "--cpuprofile=x"}, "full", func(*workload.Config) {}},
		{[]string{"--large=0", "--larger=9", "--huge=7"}, "custom", func(c *workload.Config) { c.Large, c.Larger, c.Huge = 0, 9, 7 }},
		{[]string{"-w", "get-*,page-50", "-p", "sqlite"}, "custom", func(c *workload.Config) {
			c.Workloads, c.Peers = []string{"get-*", "page-50"}, []string{"sqlite"}
		}},
		{[]string{"--writers=2,3", "--rounds=9", "--duration=5s", "--products=300", "--readers=1", "--clients=4", "--seed=5"}, "custom",
			func(c *workload.Config) {
				c.Writers, c.Rounds, c.Duration, c.Products = []int{2, 3}, 9, 5*time.Second, 300
				c.Readers, c.Clients, c.Seed = 1, 4, 5
			}},
	} {
		var o options
		parser, err := kong.New(&o)
		require.NoError(t, err)
		_, err = parser.Parse(tc.args)
		require.NoError(t, err)
		got, mode := o.config()
		want := workload.Full()
		tc.want(&want)
		require.Equal(t, tc.mode, mode, "%v", tc.args)
		require.True(t, want.Same(&got), "%v", tc.args)
	}
}

func TestSaveWritesJSONAndChart(t *testing.T) {
	o := options{Out: filepath.Join(t.TempDir(), "new")}
	require.NoError(t, o.save(&result.Run{Mode: "quick", Settings: json.RawMessage(`{}`)}))
	data, err := os.ReadFile(filepath.Join(o.Out, "quick.json"))
	require.NoError(t, err)
	var back result.Run
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, "quick", back.Mode)
	chart, err := os.ReadFile(filepath.Join(o.Out, "quick.svg"))
	require.NoError(t, err)
	require.Contains(t, string(chart), "<svg")
}
