package backendtest

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/shelflife-db/shelflife/backend"
)

const (
	benchItems = 10_000
	benchValue = 1100 // bytes, about a record
)

// Benchmark measures the operations that Shelflife is made of, on stores that
// open opens, which must be new and empty, and which it closes.
func Benchmark(b *testing.B, open func(b *testing.B) backend.Backend) {
	for _, c := range []struct {
		name string
		run  func(*testing.B, backend.Backend)
	}{
		{"GetHit", func(b *testing.B, s backend.Backend) { benchGet(b, s, "i") }},
		{"GetMiss", func(b *testing.B, s backend.Backend) { benchGet(b, s, "none") }},
		{"GetMany50", benchGetMany},
		{"Scan50", func(b *testing.B, s backend.Backend) { benchScan(b, s, forward) }},
		{"Scan50Reverse", func(b *testing.B, s backend.Backend) { benchScan(b, s, reverse) }},
		{"Scan50KeysOnly", func(b *testing.B, s backend.Backend) { benchScan(b, s, keysOnly) }},
		{"UpdateDistinct", func(b *testing.B, s backend.Backend) { benchUpdate(b, s, durable, benchItems) }},
		{"UpdateSame", func(b *testing.B, s backend.Backend) { benchUpdate(b, s, durable, 1) }},
		{"BufferedDistinct", func(b *testing.B, s backend.Backend) { benchUpdate(b, s, buffered, benchItems) }},
		{"BufferedSame", func(b *testing.B, s backend.Backend) { benchUpdate(b, s, buffered, 1) }},
		{"UpdateReadsOnly", benchReadOnly},
		{"Durable", benchDurable},
		{"Snapshot", benchSnapshot},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := open(b)
			defer func() {
				if err := s.Close(); err != nil {
					b.Error(err)
				}
			}()
			fill(b, s)
			b.ReportAllocs()
			b.ResetTimer()
			c.run(b, s)
			b.StopTimer()
		})
	}
}

func benchKey(prefix string, i int) []byte {
	return key("g", fmt.Sprintf("%s%08d", prefix, i%benchItems))
}

func fill(b *testing.B, s backend.Backend) {
	b.Helper()
	for from := 0; from < benchItems; from += 1000 {
		err := s.Update(b.Context(), []backend.Scope{whole("g")}, buffered, func(_ context.Context, t backend.Txn) error {
			for i := from; i < from+1000; i++ {
				if err := t.Put(benchKey("i", i), noise(uint64(i), benchValue)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// spread visits the items in no order that a cache could like.
func spread(i int64) int { return int(i * 7919 % benchItems) }

// each runs fn b.N times in several goroutines, with a number for each.
func each(b *testing.B, fn func(i int64) error) {
	b.Helper()
	var next atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := fn(next.Add(1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func benchGet(b *testing.B, s backend.Backend, prefix string) {
	hit := prefix == "i"
	each(b, func(i int64) error {
		found, err := s.Get(b.Context(), benchKey(prefix, spread(i)), func(v []byte) error {
			if len(v) != benchValue {
				return fmt.Errorf("a value of %d bytes", len(v))
			}
			return nil
		})
		if err == nil && found != hit {
			err = fmt.Errorf("found: %t", found)
		}
		return err
	})
}

func benchGetMany(b *testing.B, s backend.Backend) {
	each(b, func(i int64) error {
		keys := make([][]byte, 50)
		for j := range keys {
			keys[j] = benchKey("i", spread(i+int64(j)))
		}
		n := 0
		err := s.GetMany(b.Context(), keys, func(int, []byte) error { n++; return nil })
		if err == nil && n != len(keys) {
			err = fmt.Errorf("%d values", n)
		}
		return err
	})
}

func benchScan(b *testing.B, s backend.Backend, o backend.ScanOptions) {
	each(b, func(i int64) error {
		at := benchKey("i", spread(i)%(benchItems-100)+50)
		r := backend.Range{Start: at}
		if o.Reverse {
			r = backend.Range{End: at}
		}
		n := 0
		for _, err := range s.Scan(b.Context(), r, o) {
			if err != nil {
				return err
			}
			if n++; n == 50 {
				return nil
			}
		}
		return fmt.Errorf("%d entries", n)
	})
}

// benchUpdate reads and writes one of the first items, as an upsert does.
func benchUpdate(b *testing.B, s backend.Backend, o backend.UpdateOptions, items int) {
	value := noise(0, benchValue)
	b.SetParallelism(32) // durable commits share their wait
	each(b, func(i int64) error {
		k := benchKey("i", spread(i)%items)
		scope, _ := scopeOf(k)
		return s.Update(b.Context(), []backend.Scope{scope}, o, func(ctx context.Context, t backend.Txn) error {
			if _, err := t.Get(ctx, k, func(v []byte) error { return nil }); err != nil {
				return err
			}
			return t.Put(k, value)
		})
	})
}

func benchReadOnly(b *testing.B, s backend.Backend) {
	each(b, func(i int64) error {
		k := benchKey("i", spread(i))
		scope, _ := scopeOf(k)
		return s.Update(b.Context(), []backend.Scope{scope}, durable, func(ctx context.Context, t backend.Txn) error {
			_, err := t.Get(ctx, k, func(v []byte) error { return nil })
			return err
		})
	})
}

// benchDurable waits for what is durable already.
func benchDurable(b *testing.B, s backend.Backend) {
	if err := s.Durable(b.Context(), []backend.Scope{whole("g")}); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	each(b, func(i int64) error {
		scope, _ := scopeOf(benchKey("i", spread(i)))
		return s.Durable(b.Context(), []backend.Scope{scope})
	})
}

func benchSnapshot(b *testing.B, s backend.Backend) {
	each(b, func(i int64) error {
		k := benchKey("i", spread(i))
		snap, err := s.Snapshot(b.Context())
		if err != nil {
			return err
		}
		_, err = snap.Get(b.Context(), k, func(v []byte) error {
			if bytes.Equal(v, k) {
				return fmt.Errorf("the value is the key")
			}
			return nil
		})
		if err != nil {
			return err
		}
		return snap.Close()
	})
}
