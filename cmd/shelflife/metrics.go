package main

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/metrics"
)

// metricsHandler serves the metrics of a catalog, of its calls and of the process.
func metricsHandler(cat *catalog.Catalog, calls *metrics.Calls, log *slog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(calls, metrics.NewCollector(cat),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: scrapeLog{log}})
}

// scrapeLog gets what goes wrong at a scrape.
type scrapeLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (l scrapeLog) Println(v ...any) {
	l.log.Warn("metrics can't be shown", "error", fmt.Sprint(v...))
}
