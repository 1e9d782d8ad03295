package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// CallsOptions tune a Calls. The zero value takes the defaults.
type CallsOptions struct {
	// Clock measures how long calls take. Default: ttl.SystemClock().
	Clock ttl.Clock
}

// Calls counts the calls of the catalogs that are opened with its Observe, and
// measures them. It is safe for concurrent use.
type Calls struct {
	clock      ttl.Clock
	calls      *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	items      *prometheus.CounterVec
	operations map[catalog.Operation]*operation // never changes
	results    map[string]prometheus.Counter    // of items; never changes
}

var _ prometheus.Collector = (*Calls)(nil)

// operation is what is counted of one.
type operation struct {
	results  map[string]prometheus.Counter // never changes
	duration prometheus.Observer
}

// The results.
const (
	resultOK           = "ok"
	resultInvalid      = "invalid"
	resultNotFound     = "not_found"
	resultPrecondition = "precondition_failed"
	resultQuota        = "quota_exceeded"
	resultCanceled     = "canceled"
	resultUnavailable  = "unavailable"
	resultUnknown      = "unknown_outcome"
	resultClosed       = "closed"
	resultDamaged      = "damaged"
	resultError        = "error"
)

var failures = []string{
	resultInvalid, resultNotFound, resultPrecondition, resultQuota, resultCanceled, resultUnavailable, resultUnknown,
	resultClosed, resultDamaged, resultError,
}

// NewCalls returns a Calls that has counted nothing. Nil options mean the defaults.
func NewCalls(o *CallsOptions) *Calls {
	c := &Calls{
		clock: ttl.SystemClock(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shelflife_calls_total", Help: "Calls of the catalog that have ended.",
		}, []string{"operation", "result"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "shelflife_call_duration_seconds", Help: "How long calls of the catalog took.",
			Buckets:                     []float64{.0001, .0005, .001, .005, .01, .05, .1, .5, 1, 5, 10},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"operation"}),
		items: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shelflife_upsert_many_items_total", Help: "Items of the operation upsert_many.",
		}, []string{"result"}),
		operations: map[catalog.Operation]*operation{},
		results:    map[string]prometheus.Counter{},
	}
	if o != nil && o.Clock != nil {
		c.clock = o.Clock
	}
	// All there will be, as zero: the first failure of a kind is to be seen as a rise.
	for _, op := range catalog.Operations() {
		counts := &operation{map[string]prometheus.Counter{}, c.durations.WithLabelValues(string(op))}
		for _, result := range append(successes(op), failures...) {
			counts.results[result] = c.calls.WithLabelValues(string(op), result)
		}
		c.operations[op] = counts
	}
	for _, result := range append(successes(catalog.OpUpsert), failures...) {
		c.results[result] = c.items.WithLabelValues(result)
	}
	return c
}

// successes returns the results of calls that have not failed.
func successes(op catalog.Operation) []string {
	switch op {
	case catalog.OpUpsert, catalog.OpUpsertInline:
		return []string{catalog.Created.String(), catalog.Edited.String(), catalog.Unchanged.String()}
	case catalog.OpCreateOneShot:
		return []string{catalog.Created.String(), catalog.Unchanged.String()}
	case catalog.OpEdit: // ok where the caller's function has ended it
		return []string{catalog.Edited.String(), catalog.Unchanged.String(), resultOK}
	}
	return []string{resultOK}
}

// Observe is for catalog.Options.Observe.
func (c *Calls) Observe(ctx context.Context, op catalog.Operation) (context.Context, func(catalog.Ended)) {
	counts := c.operations[op]
	began := c.clock.Elapsed()
	return ctx, func(e catalog.Ended) {
		counts.duration.Observe((c.clock.Elapsed() - began).Seconds())
		counts.results[resultOf(e.Outcome, e.Err)].Inc()
		for i := range e.Items {
			c.results[resultOf(e.Items[i].Outcome, e.Items[i].Err)].Inc()
		}
	}
}

// resultOf returns the result that a call is counted as.
func resultOf(outcome catalog.Outcome, err error) string {
	switch invalid := (*catalog.ValidationError)(nil); {
	case err == nil && outcome != 0:
		return outcome.String()
	case err == nil:
		return resultOK
	case errors.Is(err, catalog.ErrNotFound), errors.Is(err, catalog.ErrImageNotFound):
		return resultNotFound
	case errors.Is(err, catalog.ErrPreconditionFailed):
		return resultPrecondition
	case errors.Is(err, catalog.ErrQuotaExceeded):
		return resultQuota
	case errors.Is(err, catalog.ErrUnknownOutcome):
		return resultUnknown
	case errors.Is(err, catalog.ErrClosed):
		return resultClosed
	case errors.Is(err, catalog.ErrUnavailable):
		return resultUnavailable
	case errors.Is(err, catalog.ErrDamaged):
		return resultDamaged
	case errors.As(err, &invalid):
		return resultInvalid
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return resultCanceled
	}
	return resultError
}

// Describe implements prometheus.Collector.
func (c *Calls) Describe(descs chan<- *prometheus.Desc) {
	c.calls.Describe(descs)
	c.durations.Describe(descs)
	c.items.Describe(descs)
}

// Collect implements prometheus.Collector.
func (c *Calls) Collect(metrics chan<- prometheus.Metric) {
	c.calls.Collect(metrics)
	c.durations.Collect(metrics)
	c.items.Collect(metrics)
}
