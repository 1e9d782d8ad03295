package pebble

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// kept is a store in a real directory whose time passes when a test says so.
type kept struct {
	*Store
	t    *testing.T
	dir  string
	tick chan time.Time
	now  time.Time
}

func openKept(t *testing.T, dir string, now time.Time) *kept {
	t.Helper()
	k := &kept{t: t, dir: dir, tick: make(chan time.Time), now: now}
	s, err := Open(t.Context(), dir, &Options{MemTableSize: 1 << 20, DiskReserve: -1, tick: k.tick})
	require.NoError(t, err)
	k.Store = s
	k.pass(0)
	return k
}

func (k *kept) pass(d time.Duration) {
	k.now = k.now.Add(d)
	k.tick <- k.now
}

// eventually passes seconds until ok.
func (k *kept) eventually(ok func() bool, msg string) {
	k.t.Helper()
	require.Eventually(k.t, func() bool { k.pass(time.Second); return ok() }, 2*time.Minute, time.Millisecond, msg)
}

func valueMarker(kind string, i int) []byte {
	h := sha256.Sum256(fmt.Append(nil, kind, i))
	return h[:]
}

// A marked value can't be compressed, and its parts are found in files: one in
// each 4 KiB.
func marked(kind string, i, size int) (value []byte) {
	for n := 0; len(value) < size; n++ {
		value = append(value, valueMarker(fmt.Sprint(kind, size), i)...)
		for len(value)%4096 != 0 && len(value) < size {
			value = append(value, valueMarker(fmt.Sprint(kind, n, len(value)), i)...)
		}
	}
	return value[:size]
}

// The sizes of a record and of a chunk of an image.
var valueSizes = []int{300, 20 << 10}

func markedKey(size, i int) []byte { return fmt.Appendf(nil, "%06d/%04d", size, i) }

const groupOfAll = "all"

func (k *kept) update(fn func(x backend.Txn) error) {
	k.t.Helper()
	scopes := []backend.Scope{{Group: groupOfAll}}
	require.NoError(k.t, k.Update(k.t.Context(), scopes, backend.UpdateOptions{Buffered: true}, func(_ context.Context, x backend.Txn) error { return fn(x) }))
}

func (k *kept) put(kind string, from, to int) {
	k.t.Helper()
	for i := from; i < to; i++ {
		k.update(func(x backend.Txn) error {
			for _, size := range valueSizes {
				if err := x.Put(markedKey(size, i), marked(kind, i, size)); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func (k *kept) delete(from, to int) {
	k.t.Helper()
	for i := from; i < to; i++ {
		k.update(func(x backend.Txn) error {
			for _, size := range valueSizes {
				if err := x.Delete(markedKey(size, i), size); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// files returns the contents of all files of the store.
func (k *kept) files() map[string][]byte {
	k.t.Helper()
	all := map[string][]byte{}
	entries, err := os.ReadDir(k.dir)
	require.NoError(k.t, err)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(k.dir, e.Name()))
		if os.IsNotExist(err) {
			continue
		}
		require.NoError(k.t, err)
		all[e.Name()] = data
	}
	return all
}

// findable returns the files that hold markers of a kind, by how many values.
func (k *kept) findable(kind string, from, to int) map[string]int {
	found := map[string]int{}
	for name, data := range k.files() {
		for i := from; i < to; i++ {
			for _, size := range valueSizes {
				if bytes.Contains(data, valueMarker(fmt.Sprint(kind, size), i)) {
					found[name]++
				}
			}
		}
	}
	return found
}

func (k *kept) requireThere(kind string, from, to int) {
	k.t.Helper()
	for i := from; i < to; i++ {
		for _, size := range valueSizes {
			found, err := k.Get(k.t.Context(), markedKey(size, i), func(v []byte) error {
				require.Equal(k.t, marked(kind, i, size), v)
				return nil
			})
			require.NoError(k.t, err)
			require.True(k.t, found)
		}
	}
}

// ways in which values come to be deleted; from is the first that is.
var ways = []struct {
	name   string
	delete func(k *kept, from, to int)
}{
	{"in tables", func(k *kept, from, to int) {
		require.NoError(k.t, k.turn.Load().db.Flush())
		k.delete(from, to)
	}},
	{"in the memtable", func(k *kept, from, to int) { k.delete(from, to) }},
	{"range", func(k *kept, from, to int) {
		require.NoError(k.t, k.turn.Load().db.Flush())
		for _, size := range valueSizes {
			k.update(func(x backend.Txn) error {
				return x.DeleteRange(backend.Range{Start: markedKey(size, from), End: markedKey(size, to)})
			})
		}
	}},
	{"created again", func(k *kept, from, to int) {
		require.NoError(k.t, k.turn.Load().db.Flush())
		require.NoError(k.t, k.turn.Load().db.Compact(k.t.Context(), []byte{0}, []byte{0xff}, false))
		k.delete(from, to)
		k.put("again", from, to)
	}},
	{"created again at once", func(k *kept, from, to int) {
		require.NoError(k.t, k.turn.Load().db.Flush())
		require.NoError(k.t, k.turn.Load().db.Compact(k.t.Context(), []byte{0}, []byte{0xff}, false))
		for i := from; i < to; i++ {
			k.update(func(x backend.Txn) error {
				for _, size := range valueSizes {
					if err := x.Delete(markedKey(size, i), size); err != nil {
						return err
					}
					if err := x.Put(markedKey(size, i), marked("again", i, size)); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}},
	{"while a snapshot was open", func(k *kept, from, to int) {
		snap, err := k.Snapshot(k.t.Context())
		require.NoError(k.t, err)
		k.delete(from, to)
		require.NoError(k.t, k.turn.Load().db.Flush())
		require.NoError(k.t, k.turn.Load().db.Compact(k.t.Context(), []byte{0}, []byte{0xff}, false))
		require.NoError(k.t, snap.Close())
	}},
	{"a few in the lowest level while a snapshot was open", func(k *kept, from, to int) {
		require.NoError(k.t, k.turn.Load().db.Flush())
		require.NoError(k.t, k.turn.Load().db.Compact(k.t.Context(), []byte{0}, []byte{0xff}, false))
		snap, err := k.Snapshot(k.t.Context())
		require.NoError(k.t, err)
		k.delete(from, to)
		require.NoError(k.t, k.turn.Load().db.Flush())
		require.NoError(k.t, k.turn.Load().db.Compact(k.t.Context(), []byte{0}, []byte{0xff}, false))
		require.NoError(k.t, snap.Close())
	}},
	{"logs used again", func(k *kept, from, to int) {
		for range 3 { // so that logs lie ready
			require.NoError(k.t, k.turn.Load().db.Flush())
		}
		k.delete(from, to)
		require.NoError(k.t, k.turn.Load().db.Flush())
	}},
	{"before the store was closed", func(k *kept, from, to int) {
		k.delete(from, to)
		require.NoError(k.t, k.Close())
		*k = *openKept(k.t, k.dir, k.now.Add(time.Hour))
	}},
}

const (
	markedAll     = 200
	markedDeleted = 10 // of these
)

// TestNothingOfWhatWasDeletedStays: within EraseWithin no file holds what was
// deleted, whichever way, without any further call.
func TestNothingOfWhatWasDeletedStays(t *testing.T) {
	start := time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC)
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			k := openKept(t, t.TempDir(), start)
			k.put("v", 0, markedAll)
			require.NotEmpty(t, k.findable("v", 0, markedDeleted))
			w.delete(k, 0, markedDeleted)
			require.NotEmpty(t, k.findable("v", 0, markedDeleted), "to be removed below")
			k.pass(time.Minute)
			k.pass(18 * time.Hour)
			k.eventually(func() bool { return len(k.findable("v", 0, markedDeleted)) == 0 }, "something is left")
			require.Less(t, k.now.Sub(start), 24*time.Hour)
			k.requireThere("v", markedDeleted, markedAll)
			require.NoError(t, k.Close())
			require.Empty(t, k.findable("v", 0, markedDeleted))
		})
	}
}

// TestReclaimErases: a call does at once what time would do.
func TestReclaimErases(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			k := openKept(t, t.TempDir(), time.Now())
			k.put("v", 0, markedAll)
			w.delete(k, 0, markedDeleted)
			require.NotEmpty(t, k.findable("v", 0, markedDeleted), "to be removed below")
			done := make(chan error, 1)
			go func() { done <- k.Reclaim(t.Context()) }()
			for ended := false; !ended; {
				select {
				case k.tick <- k.now:
				case err := <-done:
					require.NoError(t, err)
					ended = true
				}
			}
			require.Empty(t, k.findable("v", 0, markedDeleted))
			k.requireThere("v", markedDeleted, markedAll)
			require.NoError(t, k.Close())
		})
	}
}
