package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// latencies counts how long calls took, in steps of a tenth.
type latencies struct {
	total   int
	longest time.Duration
	buckets [320]int
}

const step = 1.1

func (l *latencies) add(d time.Duration) {
	l.total++
	l.longest = max(l.longest, d)
	i := int(math.Log(float64(max(d, 1))) / math.Log(step))
	l.buckets[min(i, len(l.buckets)-1)]++
}

func (l *latencies) merge(m *latencies) {
	l.total += m.total
	l.longest = max(l.longest, m.longest)
	for i, n := range m.buckets {
		l.buckets[i] += n
	}
}

// quantile returns the upper end of the step in which it lies.
func (l *latencies) quantile(q float64) time.Duration {
	left := int(math.Ceil(q * float64(l.total)))
	for i, n := range l.buckets {
		if left -= n; left <= 0 {
			return time.Duration(math.Pow(step, float64(i+1))).Round(time.Microsecond)
		}
	}
	return l.longest
}

// merged returns the latencies of all callers by the kind of call.
func merged(callers []*caller) map[string]*latencies {
	all := map[string]*latencies{}
	for _, w := range callers {
		w.mu.Lock()
		for kind, l := range w.calls {
			if all[kind] == nil {
				all[kind] = new(latencies)
			}
			all[kind].merge(l)
		}
		w.mu.Unlock()
	}
	return all
}

func printLatencies(callers []*caller) {
	all := merged(callers)
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		l := all[kind]
		fmt.Printf("%-15s %9d calls, p50 %v, p99 %v, longest %v\n", kind, l.total, l.quantile(0.5), l.quantile(0.99), l.longest.Round(time.Microsecond))
	}
}
