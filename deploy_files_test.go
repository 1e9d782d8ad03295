package shelflife_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/metrics"
)

// metricNames returns the names and labels of all metrics that a catalog on an engine
// has, those of a histogram as they are queried.
func metricNames(t *testing.T, b backend.Backend) map[string]string {
	t.Helper()
	calls := metrics.NewCalls(nil)
	c, err := catalog.Open(t.Context(), b, &catalog.Options{Observe: calls.Observe})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		calls.Describe(descs)
		metrics.NewCollector(c).Describe(descs)
	}()
	named := regexp.MustCompile(`fqName: "(\w+)".*constLabels: \{(.*?)\}, variableLabels: \[(.*?)\]`)
	names := map[string]string{}
	for d := range descs {
		m := named.FindStringSubmatch(d.String())
		require.NotNil(t, m, d.String())
		name, labels := m[1], m[2]+m[3]
		names[name] = labels
		if strings.HasSuffix(name, "_duration_seconds") {
			names[name+"_bucket"] = labels + " le"
		}
	}
	return names
}

var (
	metricName = regexp.MustCompile(`shelflife_\w+`)
	selector   = regexp.MustCompile(`(shelflife_\w+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`(\w+)(?:=|!=|=~|!~)"`)
)

// TestDeployedMetricsExist: what the dashboard and the alerts ask for is there, with
// the labels by which they choose.
func TestDeployedMetricsExist(t *testing.T) {
	names := metricNames(t, memory.New(nil))
	b, err := pebble.Open(t.Context(), filepath.Join(t.TempDir(), "store"), nil)
	require.NoError(t, err)
	for name, labels := range metricNames(t, b) {
		names[name] = labels
	}
	p, err := postgres.Open(t.Context(), postgrestest.Database(t), nil)
	require.NoError(t, err)
	for name, labels := range metricNames(t, p) {
		names[name] = labels
	}
	alerts, err := os.ReadFile("deploy/alerts.yml")
	require.NoError(t, err)
	require.Greater(t, requireMetrics(t, names, string(alerts)), 10)
	text, err := os.ReadFile("deploy/grafana-dashboard.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Query any }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	asked := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			asked += requireMetrics(t, names, target.Expr)
		}
	}
	require.Greater(t, asked, 30)
	require.Positive(t, requireMetrics(t, names, string(text)))
}

// requireMetrics returns how many metrics of ours a text names, all of which are there.
func requireMetrics(t *testing.T, names map[string]string, text string) (n int) {
	t.Helper()
	for _, name := range metricName.FindAllString(text, -1) {
		require.Contains(t, names, name)
		n++
	}
	for _, m := range selector.FindAllStringSubmatch(strings.ReplaceAll(text, `\"`, `"`), -1) {
		for _, label := range labelName.FindAllStringSubmatch(m[2], -1) {
			if label[1] != "job" && label[1] != "instance" {
				require.Contains(t, names[m[1]], label[1], "a label of %s", m[1])
			}
		}
	}
	return n
}

// promtool returns the program, or skips the test; .ci/run needs it.
func promtool(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		require.Empty(t, os.Getenv("SHELFLIFE_REQUIRE_PROMTOOL"), "promtool must be installed here")
		t.Skip("skipped: promtool is not installed")
	}
	return path
}

// TestAlerts: each alert fires where it should and is silent where it should be.
func TestAlerts(t *testing.T) {
	rules, err := os.ReadFile("deploy/alerts.yml")
	require.NoError(t, err)
	tests, err := os.ReadFile("deploy/alerts_test.yml")
	require.NoError(t, err)
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(rules), -1)
	require.NotEmpty(t, alerts)
	for _, alert := range alerts {
		require.Equal(t, 1, strings.Count(string(tests), `"`+alert[1]+` fires"`))
		require.Equal(t, 1, strings.Count(string(tests), `"`+alert[1]+` is silent"`))
	}
	path := promtool(t)
	run(t, "deploy", path, "check", "rules", "alerts.yml")
	run(t, "deploy", path, "test", "rules", "alerts_test.yml")
}

// TestUnit: systemd takes the units, where it is installed.
func TestUnit(t *testing.T) {
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("skipped: systemd-analyze is not installed")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "shelflife")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755))
	for _, name := range []string{"shelflife.service", "shelflife.socket"} {
		text, err := os.ReadFile(filepath.Join("deploy", name))
		require.NoError(t, err)
		text = []byte(strings.ReplaceAll(string(text), "/usr/local/bin/shelflife", program))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	out := run(t, dir, path, "verify", "./shelflife.service", "./shelflife.socket")
	require.Empty(t, out)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "shelflife.service.d"), 0o700))
	text, err := os.ReadFile("deploy/shelflife.service.d/postgres.conf")
	require.NoError(t, err)
	text = []byte(strings.ReplaceAll(string(text), "/usr/local/bin/shelflife", program))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "shelflife.service.d", "postgres.conf"), text, 0o600))
	require.Empty(t, run(t, dir, path, "verify", "./shelflife.service"))
}

// TestUnitOnPostgres: what takes the place of the unit's command has the unit's flags, but
// for the folder, in whose place the environment names the database.
func TestUnitOnPostgres(t *testing.T) {
	command := func(name string) []string {
		text, err := os.ReadFile(filepath.Join("deploy", name))
		require.NoError(t, err)
		found := regexp.MustCompile(`(?m)^ExecStart=(\S.*)$`).FindAllStringSubmatch(string(text), -1)
		require.Len(t, found, 1)
		return strings.Split(strings.Replace(found[0][1], " --data %S/shelflife", "", 1), " ")
	}
	onDatabase := command("shelflife.service.d/postgres.conf")
	require.NotContains(t, onDatabase, "--data")
	require.Subset(t, onDatabase, command("shelflife.service"))
}
