// Package report presents what a run measured: the goals, a table for a terminal,
// a chart.
package report

import (
	"fmt"
	"math"

	"github.com/shelflife-db/shelflife/bench/internal/measure"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

// The states of a goal.
const (
	Met         = "met"
	NotMet      = "not met"
	NotMeasured = "not measured"
)

// The peers that goals name.
const (
	library      = "shelflife"
	uncached     = "shelflife-nocache"
	floor        = "pebble"
	readingFloor = "pebble-reading"
	libraryWeb   = "shelflife-http"
	floorWeb     = "bare-http"
	rivalWeb     = "pocketbase"
)

var (
	// rivals are the embedded stores that one would pick instead.
	rivals = []string{"badger", "bbolt", "sqlite", "buntdb"}
	// copying are those that keep products in files and copy what they return. BuntDB
	// has them all in memory and hands out the strings that it keeps.
	copying = []string{"badger", "bbolt", "sqlite"}
)

// goal is a bound on a figure of a run.
type goal struct {
	text   string
	atMost bool
	bound  float64
	unit   string // "×", or what the figure is in
	figure func(*result.Run) (value float64, detail string, ok bool)
}

var goals = []goal{
	// Callers who only look.
	atLeast(3, "view, hot, untouched, to raw Pebble's lent get", between("view-hot", library, "get-hot", floor)),
	atLeast(2, "view, hot, all fields, to raw Pebble's lent get", between("view-hot-fields", library, "get-hot", floor)),
	atLeast(1.5, "view, hot, to JSON, to raw Pebble's lent get", between("view-hot-json", library, "get-hot", floor)),
	atLeast(1.2, "view, Zipf, default cache, to raw Pebble's get", between("view-zipf", library, "get-zipf", floor)),
	atLeast(1.2, "view, Zipf, to BuntDB decoded", between("view-zipf", library, "get-zipf", "buntdb")),
	atLeast(0.80, "view, uniform, no cache, to raw Pebble's get", between("view-uniform", uncached, "get-uniform", floor)),
	atLeast(0.5, "page of 50 views, all fields, to raw Pebble's scan that touches all", between("view-page-50", library, "page-50", floor)),
	atLeast(2.5, "page of 50 views, all fields, to BuntDB decoded", between("view-page-50", library, "page-50", "buntdb")),
	atLeast(0.5, "image of 200 KB, read, to raw Pebble's copying read", ratio("image-read", library, floor)),
	atLeast(1, "image of 200 KB, written, to raw Pebble's copying read", between("image-write", library, "image-read", floor)),
	atLeast(1, "image of 200 KB, lent, to raw Pebble's copying read", between("image-lend", library, "image-read", floor)),

	// Callers who keep what they read.
	atLeast(0.7, "get, uniform, to the best embedded peer that copies", best("get-uniform", copying...)),
	atLeast(1, "get, Zipf, to the best embedded peer that copies", best("get-zipf", copying...)),
	atLeast(0.9, "get, uniform, to bbolt", best("get-uniform", "bbolt")),

	// Writers.
	atLeast(0.9, "durable edit, 1 writer, to raw Pebble that does not read", ratio("edit-durable-1", library, floor)),
	atLeast(0.95, "durable edit, 16 writers, to raw Pebble that does not read", ratio("edit-durable-16", library, floor)),
	atLeast(0.65, "durable edit, 64 writers, to raw Pebble that does not read", ratio("edit-durable-64", library, floor)),
	atLeast(0.8, "durable edit, 64 writers, Zipf, to raw Pebble that does not read", ratio("edit-durable-64-zipf", library, floor)),
	atMost(3, "×", "p99 of that, to raw Pebble's", tail("edit-durable-64-zipf", library, floor)),
	atLeast(0.8, "edit, not durable, to raw Pebble that reads first, worst of 1, 16, 64 writers",
		worst(ratio("edit-buffered-1", library, readingFloor), ratio("edit-buffered-16", library, readingFloor),
			ratio("edit-buffered-64", library, readingFloor))),
	atLeast(1.2, "edit, not durable, 16 writers, to the best embedded peer", best("edit-buffered-16", rivals...)),
	atLeast(0.7, "upload of 200 KB, durable, to raw Pebble's on fresh keys", ratio("image-upload", library, floor)),
	atLeast(1.8, "touch, not durable, Zipf, to raw Pebble's get", between("touch", library, "get-zipf", floor)),
	atLeast(12, "touch, not durable, to the best embedded peer's use", bestOf("touch", "use-buffered", rivals...)),
	atMost(250, " B", "log per use, Zipf", value("use-log", library)),
	atLeast(0.85, "durable sweep, to raw Pebble's deletes", ratio("sweep", library, floor)),
	atMost(1.5, "×", "p99 of get while sweeping, to that at rest", value("sweep-get-p99", library)),
	atMost(1, "×", "processor time of a bulk load, to raw Pebble's batches", ratio("bulk-load-cpu", library, floor)),
	atLeast(1.5, "bulk load, to the fastest embedded peer", best("bulk-load", rivals...)),

	// What size must not change.
	atMost(1.1, "×", "disk per product, compacted, to the smallest embedded peer", smallest("disk", rivals...)),
	atMost(25, " ms", "open of the large store after close", value("large-open-clean", library)),
	atMost(1.2, "×", "that, to the open of the base store", between("large-open-clean", library, "open-clean", library)),
	atMost(1.5, "×", "open of the large store after kill, to the base store's", between("large-open-killed", library, "open-killed", library)),
	atMost(5, " B", "expiry index per product with a lifetime", value("index-memory", library)),
	atMost(1.25, "×", "heap in the second half of the large import, to the first", value("large-import-heap", library)),
	atLeast(1/1.2, "import of the larger store, to the large one's", between("larger-import", library, "large-import", library)),
	atMost(1.2, "×", "disk per product of the larger store, to the large one's", between("larger-disk", library, "large-disk", library)),
	atMost(1.25, "×", "heap in the second half of the larger import, to the first", value("larger-import-heap", library)),
	atMost(1.2, "×", "time per product of the huge import, to its first tenth's", value("huge-import-slowdown", library)),
	atMost(10, " ms", "open of the huge store after close", value("huge-open-clean", library)),
	atMost(64, " MiB", "heap and cache after that, above an empty store's", value("huge-open-memory", library)),
	atLeast(0.5, "get, small working set of the huge store, to the base store", between("huge-get-hot", library, "get-hot", library)),

	// HTTP.
	atLeast(0.95, "HTTP GET, to the bare handler", ratio("http-get", libraryWeb, floorWeb)),
	atLeast(5, "HTTP edit, durable, to PocketBase", ratio("http-post", libraryWeb, rivalWeb)),
}

// Judge fills in the goals of a run.
func Judge(r *result.Run) {
	r.Goals = nil
	for _, g := range goals {
		r.Goals = append(r.Goals, g.judge(r))
	}
}

func (g goal) judge(r *result.Run) result.Goal {
	sign := "≥"
	if g.atMost {
		sign = "≤"
	}
	out := result.Goal{Text: g.text, Want: fmt.Sprintf("%s %.4g%s", sign, g.bound, g.unit), State: NotMeasured}
	value, detail, ok := g.figure(r)
	if !ok || math.IsNaN(value) || math.IsInf(value, 0) {
		return out
	}
	out.Figure, out.Detail, out.State = value, detail, NotMet
	if g.atMost && value <= g.bound || !g.atMost && value >= g.bound {
		out.State = Met
	}
	return out
}

type figure = func(*result.Run) (float64, string, bool)

func atLeast(bound float64, text string, f figure) goal {
	return goal{text: text, bound: bound, unit: "×", figure: f}
}

func atMost(bound float64, unit, text string, f figure) goal {
	return goal{text: text, bound: bound, unit: unit, figure: f, atMost: true}
}

// value is what a peer measured.
func value(workload, peer string) figure {
	return func(r *result.Run) (float64, string, bool) {
		m := r.Find(workload, peer)
		if m == nil {
			return 0, "", false
		}
		return m.Value.Median, peer, true
	}
}

// ratio compares the medians of two peers.
func ratio(workload, peer, to string) figure { return between(workload, peer, workload, to) }

// between compares the medians of any two measurements.
func between(workload, peer, toWorkload, to string) figure {
	return func(r *result.Run) (float64, string, bool) {
		a, b := r.Find(workload, peer), r.Find(toWorkload, to)
		if a == nil || b == nil {
			return 0, "", false
		}
		return a.Value.Median / b.Value.Median, fmt.Sprintf("%s to %s", number(a.Value.Median), number(b.Value.Median)), true
	}
}

// tail compares the 99th percentiles of two peers.
func tail(workload, peer, to string) figure {
	return func(r *result.Run) (float64, string, bool) {
		a, b := r.Find(workload, peer), r.Find(workload, to)
		if a == nil || b == nil || a.P99 == nil || b.P99 == nil {
			return 0, "", false
		}
		return a.P99.Median / b.P99.Median, fmt.Sprintf("%s to %s µs", number(a.P99.Median), number(b.P99.Median)), true
	}
}

// best compares the library with the greatest median among peers, all of which
// must have taken part.
func best(workload string, peers ...string) figure { return bestOf(workload, workload, peers...) }

// bestOf compares the library in one workload with the best of others in another.
func bestOf(workload, of string, peers ...string) figure {
	return among(workload, of, func(a, b measure.Spread) bool { return a.Median > b.Median }, peers)
}

// smallest compares the library with the least median.
func smallest(workload string, peers ...string) figure {
	return among(workload, workload, func(a, b measure.Spread) bool { return a.Median < b.Median }, peers)
}

func among(workload, of string, better func(a, b measure.Spread) bool, peers []string) figure {
	return func(r *result.Run) (float64, string, bool) {
		own := r.Find(workload, library)
		var first *result.Measurement
		for _, p := range peers {
			m := r.Find(of, p)
			if m == nil && !r.Lacks(of, p) {
				return 0, "", false
			}
			if m != nil && (first == nil || better(m.Value, first.Value)) {
				first = m
			}
		}
		if own == nil || first == nil {
			return 0, "", false
		}
		return own.Value.Median / first.Value.Median,
			fmt.Sprintf("%s to %s of %s", number(own.Value.Median), number(first.Value.Median), first.Peer), true
	}
}

// worst is the least of figures, all of which must be there.
func worst(figures ...figure) figure {
	return func(r *result.Run) (least float64, detail string, ok bool) {
		least = math.Inf(1)
		for _, f := range figures {
			v, d, ok := f(r)
			if !ok {
				return 0, "", false
			}
			if v < least {
				least, detail = v, d
			}
		}
		return least, detail, true
	}
}

// JudgeRatio adds a goal to those of a run: that a peer reaches so many times what
// another one does in the same workload.
func JudgeRatio(r *result.Run, bound float64, text, workload, peer, to string) {
	r.Goals = append(r.Goals, atLeast(bound, text, ratio(workload, peer, to)).judge(r))
}
