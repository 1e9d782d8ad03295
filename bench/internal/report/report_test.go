package report

import (
	"bytes"
	"encoding/xml"
	"flag"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/bench/internal/machine"
	"github.com/shelflife-db/shelflife/bench/internal/measure"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

var update = flag.Bool("update", false, "write the golden files")

// example is a run with made figures.
func example() *result.Run {
	c := result.NewCollector()
	add := func(w result.Workload, peer string, value float64) {
		for _, factor := range []float64{0.9, 1, 1.2} {
			c.Add(w, peer, result.Observation{
				Value: value * factor, P50: time.Duration(1e9 / value), P99: time.Duration(9e9 / value), Allocs: 12, AllocBytes: 3456,
			})
		}
	}
	get := result.Workload{Name: "get-zipf", Title: "get, Zipf", Unit: "op/s"}
	add(get, "shelflife", 900_000)
	add(get, "shelflife-nocache", 300_000)
	add(get, "pebble", 450_000)
	add(get, "badger", 220_000)
	add(get, "bbolt", 510_000)
	add(get, "sqlite", 72_000)
	add(get, "buntdb", 400_000)
	disk := result.Workload{Name: "disk", Title: "disk per product <compacted>", Unit: "B", LowerIsBetter: true}
	add(disk, "shelflife", 420)
	add(disk, "badger", 500)
	sweep := result.Workload{Name: "sweep", Title: "sweep", Unit: "products/s"}
	add(sweep, "shelflife", 100_000)
	add(sweep, "pebble", 125_000)
	c.Skip(sweep, "badger", "can't be asked for")
	add(sweep, "bbolt", 25_000)
	add(sweep, "sqlite", 20_000)
	add(sweep, "buntdb", 10_000)
	web := result.Workload{Name: "http-get", Title: "HTTP GET", Unit: "op/s"}
	add(web, "shelflife-http", 30_000)
	add(web, "bare-http", 40_000)
	add(web, "pocketbase", 9_000)
	run := &result.Run{
		Mode: "full", Started: time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC), Seconds: 1000,
		Machine: machine.Description{CPU: "A CPU & more", Cores: 2, GOMAXPROCS: 2, MemoryMiB: 8192, OS: "linux/amd64", Go: "go1.26", SyncMicros: 200},
		Peers:   []result.Peer{{Name: "shelflife", About: "the library", Module: "example.test/lib", Version: "v1.0.0"}},
	}
	c.Into(run)
	Judge(run)
	return run
}

func TestGoldenReports(t *testing.T) {
	for file, write := range map[string]func(io.Writer, *result.Run) error{
		"testdata/chart.svg": Chart, "testdata/table.txt": Table,
	} {
		var b bytes.Buffer
		require.NoError(t, write(&b, example()))
		if *update {
			require.NoError(t, os.WriteFile(file, b.Bytes(), 0o644))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(want), b.String())
	}
}

func TestChartIsXMLForBothBackgrounds(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, Chart(&b, example()))
	require.Contains(t, b.String(), "prefers-color-scheme: dark")
	d := xml.NewDecoder(&b)
	for {
		_, err := d.Token()
		if err == io.EOF {
			return
		}
		require.NoError(t, err)
	}
}

func goalOf(t *testing.T, r *result.Run, text string) result.Goal {
	t.Helper()
	for _, g := range r.Goals {
		if g.Text == text {
			return g
		}
	}
	require.Fail(t, "no such goal", text)
	return result.Goal{}
}

func TestGoalsAreJudged(t *testing.T) {
	r := example()
	require.Len(t, r.Goals, len(goals))
	for text, want := range map[string]struct {
		state  string
		figure float64
	}{
		"get, Zipf, to the best embedded peer that copies":                              {Met, 900.0 / 510},
		"durable sweep, to raw Pebble's deletes":                                        {NotMet, 0.8},
		"HTTP GET, to the bare handler":                                                 {NotMet, 0.75},
		"view, uniform, no cache, to raw Pebble's get":                                  {NotMeasured, 0},
		"disk per product, compacted, to the smallest embedded peer":                    {NotMeasured, 0},
		"expiry index per product with a lifetime":                                      {NotMeasured, 0},
		"edit, not durable, to raw Pebble that reads first, worst of 1, 16, 64 writers": {NotMeasured, 0},
	} {
		g := goalOf(t, r, text)
		require.Equal(t, want.state, g.State, text)
		require.InDelta(t, want.figure, g.Figure, 1e-9, text)
	}
}

func TestGoalsOnTheBound(t *testing.T) {
	figure := func(v float64) figure { return func(*result.Run) (float64, string, bool) { return v, "", true } }
	for _, tc := range []struct {
		goal goal
		want string
	}{
		{atLeast(2, "", figure(2)), Met},
		{atLeast(2, "", figure(1.99)), NotMet},
		{atMost(2, "", "", figure(2)), Met},
		{atMost(2, "", "", figure(2.01)), NotMet},
		{atLeast(2, "", figure(math.Inf(1))), NotMeasured},
		{atLeast(2, "", figure(math.NaN())), NotMeasured},
		{atLeast(2, "", worst(figure(5), figure(1))), NotMet},
		{atLeast(2, "", worst(figure(5), figure(3))), Met},
	} {
		require.Equal(t, tc.want, tc.goal.judge(new(result.Run)).State)
	}
}

func TestGoalsAreOfDifferentTexts(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range goals {
		require.False(t, seen[g.text], g.text)
		seen[g.text] = true
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.00", 0.123: "0.12", 9.994: "9.99", 9.996: "10.0", 12.34: "12.3", 99.96: "100", 1234: "1234",
		9994: "9994", 9996: "10.0k", 123456: "123k", 999.6e3: "1.00M", 12.3e6: "12.3M", 2e9: "2.00G", math.NaN(): "-",
	} {
		require.Equal(t, want, number(v))
	}
}

func TestTableNamesEveryPeerAndGap(t *testing.T) {
	var b strings.Builder
	require.NoError(t, Table(&b, example()))
	require.Contains(t, b.String(), "badger: can't be asked for")
	require.Contains(t, b.String(), "of "+number(float64(len(goals)))[:2]+" met")
}

func TestMeasurementsAreMedians(t *testing.T) {
	m := example().Find("get-zipf", "shelflife")
	require.Equal(t, measure.Spread{Median: 900_000, Min: 810_000, Max: 1_080_000}, m.Value)
	require.Equal(t, 3, m.Rounds)
	require.InDelta(t, 12, m.Allocs.Median, 1e-9)
	require.Nil(t, example().Find("get-zipf", "nobody"))
}
