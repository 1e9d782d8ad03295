package metrics

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

const modulePath = "github.com/shelflife-db/shelflife"

// buildInfo is a metric that says what runs.
func buildInfo() prometheus.Metric {
	version, revision := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version, revision = versionIn(info)
	}
	return prometheus.MustNewConstMetric(
		prometheus.NewDesc("shelflife_build_info", "Always 1; the labels say what this was built from.", nil,
			prometheus.Labels{"version": version, "revision": revision, "goversion": runtime.Version()}),
		prometheus.GaugeValue, 1)
}

// versionIn returns the version of this module in a program: of its own binary, or of
// a host that depends on it. The revision is that of the former.
func versionIn(info *debug.BuildInfo) (version, revision string) {
	if info.Main.Path != modulePath {
		for _, m := range info.Deps {
			if m.Path == modulePath {
				if m.Replace != nil {
					m = m.Replace
				}
				return m.Version, ""
			}
		}
		return "unknown", ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return info.Main.Version, revision
}
