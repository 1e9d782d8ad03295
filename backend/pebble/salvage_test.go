package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// fileDamage is what can be wrong with a whole file.
var fileDamage = map[string]func(*testing.T, vfs.FS, string){
	"missing": func(t *testing.T, fs vfs.FS, path string) { require.NoError(t, fs.Remove(path)) },
	"empty":   func(t *testing.T, fs vfs.FS, path string) { rewrite(t, fs, path, footerDamage["empty"]) },
	"cut off": func(t *testing.T, fs vfs.FS, path string) {
		rewrite(t, fs, path, func(b []byte) []byte { return b[:len(b)/2] })
	},
	"without its last byte": func(t *testing.T, fs vfs.FS, path string) { rewrite(t, fs, path, footerDamage["cut off"]) },
	"footer":                func(t *testing.T, fs vfs.FS, path string) { rewrite(t, fs, path, footerDamage["bit"]) },
	"everything": func(t *testing.T, fs vfs.FS, path string) {
		rewrite(t, fs, path, func(b []byte) []byte { return bytes.Repeat([]byte{0xa5}, len(b)) })
	},
}

// namesOf returns the files of a store with an ending, in order.
func namesOf(t *testing.T, fs vfs.FS, ending string) []string {
	t.Helper()
	names, err := fs.List("d")
	require.NoError(t, err)
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ending) })
	slices.Sort(names)
	require.NotEmpty(t, names, ending)
	return names
}

// sizesOf returns the lengths of the files of a store.
func sizesOf(t *testing.T, fs vfs.FS) map[string]int64 {
	t.Helper()
	names, err := fs.List("d")
	require.NoError(t, err)
	sizes := map[string]int64{}
	for _, name := range names {
		info, err := fs.Stat(fs.PathJoin("d", name))
		require.NoError(t, err)
		sizes[name] = info.Size()
	}
	return sizes
}

// layered is a store with tables beside each other in the lowest level, others above
// them that overlap them in part, and a log.
type layered struct {
	disk *vfs.MemFS
	// want is what it holds, old what it has held: values that were replaced and keys
	// that were deleted.
	want, old map[string]string
	// bounds are the first and the last key of each table, in order of their age.
	bounds map[string][2]string
}

// layer makes a layered store, with Pebble itself, so that no compaction interferes.
func layer(t *testing.T) *layered {
	t.Helper()
	l := &layered{disk: vfs.NewCrashableMem(), want: map[string]string{}, old: map[string]string{}, bounds: map[string][2]string{}}
	o, err := (&Options{FS: l.disk, MemTableSize: 4 << 20}).withDefaults()
	require.NoError(t, err)
	e := engineOptions(o)
	e.FS, e.DisableAutomaticCompactions = l.disk, true
	db, err := crdb.Open("d", e)
	require.NoError(t, err)
	put := func(from, to, step int, value string, size int) {
		b := db.NewBatch()
		for i := from; i < to; i += step {
			k, v := fmt.Sprintf("key/%05d", i), value+strings.Repeat(fmt.Sprint(i, " "), size)
			if was, found := l.want[k]; found {
				l.old[k] = was
			}
			l.want[k] = v
			require.NoError(t, b.Set([]byte(k), []byte(v), nil))
		}
		require.NoError(t, b.Commit(crdb.Sync))
	}
	remove := func(from, to, step int) {
		for i := from; i < to; i += step {
			k := fmt.Sprintf("key/%05d", i)
			if was, found := l.want[k]; found {
				l.old[k] = was
			}
			delete(l.want, k)
			require.NoError(t, db.Delete([]byte(k), crdb.NoSync))
		}
	}
	for i := range 4 {
		put(i*1000, i*1000+1000, 1, "first ", 10)
		if i == 1 {
			put(1100, 1104, 1, "apart ", 9000)
		}
		require.NoError(t, db.Flush())
		require.NoError(t, db.Compact(t.Context(), fmt.Appendf(nil, "key/%05d", i*1000), fmt.Appendf(nil, "key/%05d\x00", i*1000+999), false))
	}
	put(500, 2500, 7, "second ", 10)
	remove(502, 2500, 11)
	require.NoError(t, db.Flush())
	put(1500, 3500, 13, "third ", 10)
	remove(1503, 3500, 17)
	require.NoError(t, db.DeleteRange([]byte("key/03000"), []byte("key/03010"), crdb.Sync))
	for i := 3000; i < 3010; i++ {
		k := fmt.Sprintf("key/%05d", i)
		if was, found := l.want[k]; found {
			l.old[k] = was
		}
		delete(l.want, k)
	}
	require.NoError(t, db.Flush())
	for i := 5; i < 4000; i += 100 { // over several blocks of the log
		put(i, i+1, 1, "in the log ", 1000)
	}
	for _, level := range db.DebugCurrentVersion().Levels {
		for f := range level.All() {
			b := f.UserKeyBounds()
			l.bounds[f.TableBacking.DiskFileNum.String()+".sst"] = [2]string{string(b.Start), string(b.End.Key)}
		}
	}
	live := l.disk
	l.disk = live.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, db.Close())
	require.Len(t, l.bounds, 6)
	return l
}

// openLayered opens a damaged copy of a layered store, and has it closed with the
// test.
func openLayered(t *testing.T, fs vfs.FS) *Damaged {
	t.Helper()
	s, err := OpenDamaged(t.Context(), "d", &Options{FS: fs, CacheSize: 8 << 20, MemTableSize: 1 << 20})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// TestOpenDamaged opens stores in which one table or blob file is missing, cut off
// or no such file any more. What lies outside of the file's bounds is read, nothing
// is read that is not so, and nothing in the folder changes.
func TestOpenDamaged(t *testing.T) {
	l := layer(t)
	tables, blobs := namesOf(t, l.disk, ".sst"), namesOf(t, l.disk, ".blob")
	for what, damage := range fileDamage {
		names := []string{tables[1], tables[5], blobs[0]}
		if what == "missing" {
			names = append(tables, blobs...)
		}
		for _, name := range names {
			t.Run(name+" "+what, func(t *testing.T) {
				fs := l.disk.CrashClone(vfs.CrashCloneCfg{})
				damage(t, fs, fs.PathJoin("d", name))
				before := sizesOf(t, fs)
				s := openLayered(t, fs)
				require.Empty(t, s.LostFrom())
				met, found := damageOf(t, s)
				require.NotEmpty(t, met)
				for key, value := range found {
					if l.want[key] != value {
						t.Errorf("%s is %s", key, value)
					}
				}
				b, isTable := l.bounds[name]
				for key := range l.want {
					inGap := slices.ContainsFunc(met, func(d *backend.DamageError) bool {
						return string(d.Range.Start) <= key && key < string(d.Range.End)
					})
					if _, ok := found[key]; ok == inGap {
						t.Errorf("%s: found %v, in a gap %v", key, ok, inGap)
					}
					if inGap && isTable && (key < b[0] || b[1] < key) {
						t.Errorf("%s is outside of the table", key)
					}
					if inGap && !isTable && !strings.HasPrefix(l.want[key], "apart ") {
						t.Errorf("%s has nothing in the blob file", key)
					}
				}
				if what != "footer" && what != "everything" {
					require.Len(t, s.Faults(), 1)
					require.Contains(t, s.Faults()[0], name)
				}
				require.ErrorIs(t, s.Update(t.Context(), nil, backend.UpdateOptions{}, func(context.Context, backend.Txn) error { return nil }), backend.ErrReadOnly)
				require.NoError(t, s.Close())
				require.Equal(t, before, sizesOf(t, fs))
			})
		}
	}
}

// damageOf returns the damage that a scan meets, and what it reads.
func damageOf(t *testing.T, b backend.Reader) (damage []*backend.DamageError, found map[string]string) {
	t.Helper()
	found = map[string]string{}
	for e, err := range b.Scan(t.Context(), backend.Range{Start: []byte("a"), End: []byte("z")}, backend.ScanOptions{PastDamage: true}) {
		if d := (*backend.DamageError)(nil); errors.As(err, &d) {
			damage = append(damage, d)
			continue
		}
		require.NoError(t, err)
		found[string(e.Key)] = string(e.Value)
	}
	return damage, found
}

// TestUncover leaves damaged tables out, until nothing is left to leave out: then all
// that they don't hold is read, older values and deleted keys too.
func TestUncover(t *testing.T) {
	l := layer(t)
	tables := namesOf(t, l.disk, ".sst")
	for what, sets := range map[string][][]string{
		"missing": {tables[4:5], tables[5:6], tables[4:6], tables[1:5], tables},
		"footer":  {tables[4:6]},
	} {
		for _, broken := range sets {
			t.Run(fmt.Sprint(what, broken), func(t *testing.T) {
				fs := l.disk.CrashClone(vfs.CrashCloneCfg{})
				for _, name := range broken {
					fileDamage[what](t, fs, fs.PathJoin("d", name))
				}
				d := openLayered(t, fs)
				var b backend.Backend = d
				var found map[string]string
				for times := 0; ; times++ {
					var damage []*backend.DamageError
					damage, found = damageOf(t, b)
					if len(damage) == 0 {
						break
					}
					require.Less(t, times, len(broken))
					below, err := b.(backend.Uncoverer).Uncover(t.Context(), damage)
					require.NoError(t, err)
					t.Cleanup(func() { require.NoError(t, below.Close()) })
					_, err = below.(backend.Uncoverer).Uncover(t.Context(), damage)
					require.ErrorIs(t, err, backend.ErrNothingCovers)
					b = below
				}
				require.Len(t, d.Faults(), len(broken))
				if len(broken) == len(tables) {
					require.Len(t, found, 40) // of the log
					return
				}
				older := 0
				for key, value := range found {
					if value == l.want[key] {
						continue
					}
					older++
					if l.old[key] != value && !strings.HasPrefix(value, "first ") {
						t.Errorf("%s is %s", key, value)
					}
				}
				require.Positive(t, older)
			})
		}
	}
}
