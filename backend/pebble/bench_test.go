package pebble

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"testing"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

const benchKeys = 100_000

func benchKey(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint64(append(b[:0], "key-"...), uint64(n))
}

// benchStore opens a store on the disk with benchKeys values of a product's
// size.
func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := Open(b.Context(), b.TempDir(), nil)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	value := make([]byte, 1100)
	var key []byte
	for n := 0; n < benchKeys; n += 1000 {
		require.NoError(b, s.Update(b.Context(), nil, backend.UpdateOptions{Buffered: true}, func(_ context.Context, x backend.Txn) error {
			for i := range 1000 {
				key = benchKey(key, n+i)
				if err := x.Put(key, value); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	require.NoError(b, s.turn.Load().db.Flush())
	b.ResetTimer()
	return s
}

// benchOrder gives each goroutine its own order of the keys, so that they do
// not walk in step.
type benchOrder struct{ started atomic.Int64 }

func (o *benchOrder) start() int { return int(o.started.Add(1)) * 1543 }

func BenchmarkGet(b *testing.B) {
	s := benchStore(b)
	var order benchOrder
	b.Run("store", func(b *testing.B) {
		b.RunParallel(func(p *testing.PB) {
			var key []byte
			for n := order.start(); p.Next(); n += 7919 {
				key = benchKey(key, n%benchKeys)
				if found, err := s.Get(context.Background(), key, func([]byte) error { return nil }); err != nil || !found {
					b.Error(found, err)
				}
			}
		})
	})
	b.Run("raw", func(b *testing.B) {
		b.RunParallel(func(p *testing.PB) {
			var key []byte
			for n := order.start(); p.Next(); n += 7919 {
				key = benchKey(key, n%benchKeys)
				_, closer, err := s.turn.Load().db.Get(key)
				if err != nil {
					b.Error(err)
					return
				}
				_ = closer.Close()
			}
		})
	})
}

func BenchmarkUpdate(b *testing.B) {
	value := make([]byte, 1100)
	for _, c := range []struct {
		name     string
		buffered bool
	}{{"buffered", true}, {"synced", false}} {
		o := crdb.Sync
		if c.buffered {
			o = crdb.NoSync
		}
		b.Run(c.name+"/store", func(b *testing.B) {
			s := benchStore(b)
			var order benchOrder
			b.SetParallelism(32)
			b.RunParallel(func(p *testing.PB) {
				var key []byte
				for n := order.start(); p.Next(); n += 7919 {
					key = benchKey(key, n%benchKeys)
					err := s.Update(context.Background(), []backend.Scope{{Group: "g", Item: string(key)}},
						backend.UpdateOptions{Buffered: c.buffered}, func(_ context.Context, x backend.Txn) error { return x.Put(key, value) })
					if err != nil {
						b.Error(err)
					}
				}
			})
		})
		b.Run(c.name+"/raw", func(b *testing.B) {
			s := benchStore(b)
			var order benchOrder
			b.SetParallelism(32)
			b.RunParallel(func(p *testing.PB) {
				var key []byte
				for n := order.start(); p.Next(); n += 7919 {
					key = benchKey(key, n%benchKeys)
					if err := s.turn.Load().db.Set(key, value, o); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkGetManyAscending reads 64 keys in an Update, so many keys apart, as they are
// or with all between them deleted.
func BenchmarkGetManyAscending(b *testing.B) {
	for _, c := range []struct {
		name    string
		apart   int
		deleted bool
	}{{"apart=1", 1, false}, {"apart=30", 30, false}, {"apart=1000", 1000, false}, {"apart=1000,deleted", 1000, true}} {
		b.Run(c.name, func(b *testing.B) {
			s := benchStore(b)
			if c.deleted {
				require.NoError(b, s.Update(b.Context(), nil, backend.UpdateOptions{Buffered: true}, func(_ context.Context, x backend.Txn) error {
					for i := range benchKeys {
						if i%c.apart == 0 {
							continue
						}
						if err := x.Delete(benchKey(nil, i), 0); err != nil {
							return err
						}
					}
					return nil
				}))
			}
			const many = 64
			keys := make([][]byte, many)
			b.ResetTimer()
			for n := 0; b.Loop(); n++ {
				for i := range keys {
					keys[i] = benchKey(keys[i], (n%(benchKeys/(many*c.apart))*many+i)*c.apart)
				}
				err := s.Update(b.Context(), nil, backend.UpdateOptions{Buffered: true}, func(ctx context.Context, x backend.Txn) error {
					return x.GetMany(ctx, keys, func(int, []byte) error { return nil })
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*many), "ns/key")
		})
	}
}
