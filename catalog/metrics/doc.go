// Package metrics makes the figures of a catalog and its engine metrics of
// Prometheus.
//
// Calls are counted by a [Calls], which the catalog is opened with; all else is read
// from the catalog by a [Collector] when it is scraped. A host registers both, with a
// registry of its own:
//
//	calls := metrics.NewCalls(nil)
//	c, err := catalog.Open(ctx, engine, &catalog.Options{Observe: calls.Observe})
//	...
//	registry.MustRegister(calls, metrics.NewCollector(c))
//
// No metric has a label for accounts or products. A scrape waits neither for the disk
// nor for a database, so that it shows that they do not answer. Where a process has
// several catalogs each is registered with prometheus.WrapRegistererWith and a label.
//
// # What the metrics are
//
// All names begin with shelflife_.
//
//	calls_total{operation,result}       calls that have ended, see catalog.Operation
//	call_duration_seconds{operation}    how long they took; also as a native histogram
//	upsert_many_items_total{result}     the items of UpsertMany
//
// A result is ok, or of upserts created, edited or unchanged; or invalid, not_found,
// precondition_failed, quota_exceeded, canceled, unavailable, unknown_outcome, closed, damaged or
// error. Writes that the engine refuses, as on a full disk, are unavailable. The
// operation commit is what others wait for until they are durable, and what the
// background commits.
//
//	ready, damaged                      1 or 0: see Ready and Damage of the catalog
//	pending_uses, deadlines             what is held in memory
//	cache_bytes, cache_hits_total, cache_misses_total
//	image_grace_bytes                   image bytes that wait for the end of their grace
//	sweeper_lag_seconds, sweeper_due, sweeper_paused, sweeper_set_aside
//	sweeper_handled_total, sweeper_errors_total, sweeper_leaps_total
//	backup_last_timestamp_seconds       absent until a backup has succeeded since the start
//	build_info{version,revision,goversion}
//
// What the engine has is under its name, as pebble_disk_free_bytes or
// postgres_update_reruns_total{}: see backend.Measured.
package metrics
