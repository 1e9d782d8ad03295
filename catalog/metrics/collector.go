package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
)

// Collector reads the figures of a catalog and its engine when it is scraped. It is
// safe for concurrent use.
type Collector struct {
	catalog *catalog.Catalog
	build   prometheus.Metric
}

var _ prometheus.Collector = (*Collector)(nil)

// NewCollector returns a Collector of c, which it does not own: it goes on, with what
// is known, when c is closed.
func NewCollector(c *catalog.Catalog) *Collector { return &Collector{c, buildInfo()} }

// metric is one of the catalog's own.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*catalog.Figures) float64
}

func gauge(name, help string, value func(*catalog.Figures) float64) metric {
	return metric{prometheus.NewDesc("shelflife_"+name, help, nil, nil), prometheus.GaugeValue, value}
}

func counter(name, help string, value func(*catalog.Figures) float64) metric {
	return metric{prometheus.NewDesc("shelflife_"+name, help, nil, nil), prometheus.CounterValue, value}
}

var catalogMetrics = []metric{
	gauge("ready", "1 if the store takes writes.", func(f *catalog.Figures) float64 { return flag(f.Ready == nil) }),
	gauge("damaged", "1 if damage was met in the store since the start.", func(f *catalog.Figures) float64 { return flag(f.Damage != nil) }),
	gauge("pending_uses", "Products with a use that waits to be written into its record.", func(f *catalog.Figures) float64 { return float64(f.PendingUses) }),
	gauge("deadlines", "Deadlines held in memory.", func(f *catalog.Figures) float64 { return float64(f.IndexEntries) }),
	gauge("cache_bytes", "Memory of the cache of products.", func(f *catalog.Figures) float64 { return float64(f.CacheBytes) }),
	counter("cache_hits_total", "Products that were found in the cache.", func(f *catalog.Figures) float64 { return float64(f.CacheHits) }),
	counter("cache_misses_total", "Products that were not in the cache.", func(f *catalog.Figures) float64 { return float64(f.CacheMisses) }),
	gauge("image_grace_bytes", "Replaced and deleted image bytes that stay for their readers.", func(f *catalog.Figures) float64 { return float64(f.GraceBytes) }),
	gauge("sweeper_lag_seconds", "How long the earliest deadline that is due has waited for the sweeper.", func(f *catalog.Figures) float64 { return f.SweepLag.Seconds() }),
	gauge("sweeper_due", "Deadlines in memory that wait for the sweeper.", func(f *catalog.Figures) float64 { return float64(f.Due) }),
	gauge("sweeper_paused", "1 while removals pause, as the clock has leapt.", func(f *catalog.Figures) float64 { return flag(f.Sweeper.Paused) }),
	gauge("sweeper_set_aside", "Deadlines that keep failing and wait for another try.", func(f *catalog.Figures) float64 { return float64(f.Sweeper.SetAside) }),
	counter("sweeper_handled_total", "Deadlines handled: what was removed, and what turned out to live longer.", func(f *catalog.Figures) float64 { return float64(f.Sweeper.Expired) }),
	counter("sweeper_errors_total", "Errors that the sweeper met.", func(f *catalog.Figures) float64 { return float64(f.Sweeper.Errors) }),
	counter("sweeper_leaps_total", "Leaps of the clock.", func(f *catalog.Figures) float64 { return float64(f.Sweeper.Leaps) }),
}

var lastBackup = prometheus.NewDesc("shelflife_backup_last_timestamp_seconds",
	"The time of the state that the last backup has which was checked and written since the start.", nil, nil)

func flag(set bool) float64 {
	if set {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	f := c.catalog.Figures()
	for _, m := range catalogMetrics {
		descs <- m.desc
	}
	descs <- lastBackup
	descs <- c.build.Desc()
	described := map[string]bool{}
	for i := range f.Backend {
		if name := f.Backend[i].Name; !described[name] {
			described[name] = true
			descs <- engineDesc(f.Engine, &f.Backend[i])
		}
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	f := c.catalog.Figures()
	for _, m := range catalogMetrics {
		metrics <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&f))
	}
	if !f.LastBackup.IsZero() {
		metrics <- prometheus.MustNewConstMetric(lastBackup, prometheus.GaugeValue, float64(f.LastBackup.UnixMilli())/1000)
	}
	metrics <- c.build
	for i := range f.Backend {
		metrics <- engineMetric(f.Engine, &f.Backend[i])
	}
}

func engineDesc(engine string, f *backend.Figure) *prometheus.Desc {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(engine))
	var labels []string
	if f.Label != "" {
		labels = []string{f.Label}
	}
	return prometheus.NewDesc("shelflife_"+name+"_"+f.Name, f.Help, labels, nil)
}

func engineMetric(engine string, f *backend.Figure) prometheus.Metric {
	kind := prometheus.GaugeValue
	if f.Counter {
		kind = prometheus.CounterValue
	}
	var labels []string
	if f.Label != "" {
		labels = []string{f.Of}
	}
	desc := engineDesc(engine, f)
	m, err := prometheus.NewConstMetric(desc, kind, f.Value, labels...)
	if err != nil { // an engine has named it so that it can't be shown
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}
