package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
)

func TestBetween(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, 0))
	key := func() []byte {
		k := make([]byte, r.IntN(12))
		for i := range k {
			k[i] = "\x00\x01ab\xfe\xff"[r.IntN(6)]
		}
		return k
	}
	for range 20_000 {
		a, b := key(), key()
		if c := bytes.Compare(a, b); c == 0 {
			continue
		} else if c > 0 {
			a, b = b, a
		}
		mid, ok := between(a, b)
		if ok {
			require.Negative(t, bytes.Compare(a, mid), "%x %x %x", a, mid, b)
			require.Negative(t, bytes.Compare(mid, b), "%x %x %x", a, mid, b)
		}
	}
	low, high := []byte("products/1"), []byte("products/9")
	steps := 0
	for mid, ok := between(low, high); ok; mid, ok = between(low, high) {
		if steps++; bytes.Compare(mid, []byte("products/4711")) > 0 {
			high = mid
		} else {
			low = mid
		}
		require.Less(t, steps, bisections)
	}
	require.True(t, bytes.HasPrefix(high, []byte("products/4711")), "%q", high)
}

// damagedStore has entries in several levels, later ones above older ones of
// some of the same keys, and in the log.
func damagedStore(t *testing.T, fs vfs.FS) (want map[string]string) {
	want = map[string]string{}
	s := openSeparated(t, fs)
	put := func(from, to, step int, value string, size int) {
		require.NoError(t, s.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
			for i := from; i < to; i += step {
				k, v := fmt.Sprintf("key/%05d", i), value+strings.Repeat(fmt.Sprint(i, " "), size)
				want[k] = v
				if err := x.Put([]byte(k), []byte(v)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	put(0, 4000, 1, "old", 20)
	put(100, 110, 1, "apart", 9000)
	require.NoError(t, s.turn.Load().db.Flush())
	require.NoError(t, s.turn.Load().db.Compact(t.Context(), []byte("a"), []byte("z"), false))
	put(1, 4000, 7, "new", 30)
	require.NoError(t, s.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
		for i := 2; i < 4000; i += 11 {
			k := fmt.Sprintf("key/%05d", i)
			delete(want, k)
			if err := x.Delete([]byte(k), 0); err != nil {
				return err
			}
		}
		return nil
	}))
	require.NoError(t, s.turn.Load().db.Flush())
	require.NoError(t, s.Close())
	return want
}

// TestScanPastDamage flips bits all over every table and blob file. The scan
// yields what is right, in order, and names every key that is missing; behind a
// damaged block it yields nothing that lower levels have, older or deleted. A
// damaged block is no more than its keys.
func TestScanPastDamage(t *testing.T) {
	const seed = 2
	times := 25
	if testing.Short() {
		times = 6
	}
	r := rand.New(rand.NewPCG(seed, 0))
	mem := vfs.NewCrashableMem()
	want := damagedStore(t, mem)
	names, err := mem.List("d")
	require.NoError(t, err)
	slices.Sort(names)
	kinds := map[string]int{}
	for _, name := range names {
		kind := mem.PathBase(name)[strings.LastIndex(name, ".")+1:]
		if kind != "sst" && kind != "blob" {
			continue
		}
		info, err := mem.Stat(mem.PathJoin("d", name))
		require.NoError(t, err)
		for range times {
			fs := mem.CrashClone(vfs.CrashCloneCfg{})
			places := 1 + r.IntN(3)
			var at []int
			rewrite(t, fs, fs.PathJoin("d", name), func(data []byte) []byte {
				for range places {
					at = append(at, r.IntN(len(data)))
					data[at[len(at)-1]] ^= 1 << r.IntN(8)
				}
				return data
			})
			what := fmt.Sprintf("seed %d: %s of %d bytes, bits of %v", seed, name, info.Size(), at)
			s, err := Open(t.Context(), "d", &Options{FS: fs, MemTableSize: 4 << 20})
			if err != nil {
				continue // the whole store is refused
			}
			lost := requireAllButDamage(t, s, want, what)
			requireManyOrDamage(t, s, want, what)
			if 0 < lost && lost < len(want) { // all where the index of a table is damaged
				kinds[kind]++
			}
			require.NoError(t, s.Close(), what)
		}
	}
	require.GreaterOrEqual(t, kinds["sst"], times/2)
	require.Positive(t, kinds["blob"])
}

// requireAllButDamage scans s and returns how many keys of want are missing.
func requireAllButDamage(t *testing.T, s *Store, want map[string]string, what string) (lost int) {
	t.Helper()
	snapshot, err := s.Snapshot(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, snapshot.Close()) }()
	checked := backendtest.Checked(s, func([]byte) (backend.Scope, bool) { return backend.Scope{}, true }, nil)
	for _, reader := range []backend.Reader{snapshot, checked} {
		var last []byte
		var damaged []backend.Range
		seen := map[string]bool{}
		for e, err := range reader.Scan(t.Context(), backend.Range{Start: []byte("a"), End: []byte("z")}, backend.ScanOptions{PastDamage: true}) {
			var damage *backend.DamageError
			if errors.As(err, &damage) {
				require.Negative(t, bytes.Compare(damage.Range.Start, damage.Range.End), what)
				require.GreaterOrEqual(t, bytes.Compare(damage.Range.Start, last), 0, what)
				damaged = append(damaged, damage.Range)
				last = damage.Range.Start
				continue
			}
			require.NoError(t, err, what)
			require.Positive(t, bytes.Compare(e.Key, last), what)
			last = bytes.Clone(e.Key)
			require.Equal(t, want[string(e.Key)], string(e.Value), "%s: %s", what, e.Key)
			seen[string(e.Key)] = true
		}
		lost = 0
		for key := range want {
			inDamage := slices.ContainsFunc(damaged, func(r backend.Range) bool {
				return bytes.Compare([]byte(key), r.Start) >= 0 && bytes.Compare([]byte(key), r.End) < 0
			})
			require.NotEqual(t, seen[key], inDamage, "%s: %s", what, key)
			if !seen[key] {
				lost++
			}
		}
	}
	return lost
}

// requireManyOrDamage reads the keys of want as a sweep does, many that ascend at a time:
// all of them are right, or the error names one.
func requireManyOrDamage(t *testing.T, s *Store, want map[string]string, what string) {
	t.Helper()
	for names := range slices.Chunk(slices.Sorted(maps.Keys(want)), 64) {
		keys := make([][]byte, 0, len(names))
		for _, name := range names {
			keys = append(keys, []byte(name))
		}
		got := 0
		err := s.Update(t.Context(), nil, backend.UpdateOptions{}, func(ctx context.Context, txn backend.Txn) error {
			return txn.GetMany(ctx, keys, func(i int, value []byte) error {
				require.Equal(t, want[names[i]], string(value), "%s: %s", what, names[i])
				got++
				return nil
			})
		})
		if damage := new(backend.DamageError); errors.As(err, &damage) {
			require.Contains(t, names, string(damage.Range.Start), what)
			require.Equal(t, only(damage.Range.Start), damage.Range, what)
			continue
		}
		require.NoError(t, err, what)
		require.Equal(t, len(names), got, what)
	}
}
