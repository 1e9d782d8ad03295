package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
)

// runs reads keys in an Update, with what expect says of them, then goes on with then, and
// returns for each run of the Update the keys that it found, as show puts them.
func runs(ctx context.Context, s *postgres.Store, expect func(context.Context) context.Context, keys []string,
	show func(key string, value []byte) string, then func(backend.Txn) error,
) (found []string, err error) {
	all := make([][]byte, len(keys))
	for i, k := range keys {
		all[i] = []byte(k)
	}
	err = s.Update(ctx, group, backend.UpdateOptions{}, func(ctx context.Context, x backend.Txn) error {
		run := ""
		if err := x.GetMany(expect(ctx), all, func(i int, value []byte) error {
			run += show(keys[i], value)
			return nil
		}); err != nil {
			return err
		}
		found = append(found, run)
		return then(x)
	})
	return found, err
}

// TestExpectMissing: an Update that expected keys to be missing and was wrong runs again,
// and knows then, whether it writes them, others or nothing.
func TestExpectMissing(t *testing.T) {
	for name, o := range map[string]*postgres.Options{"functions": {CacheSize: -1}, "portable": {CacheSize: -1, Portable: true}} {
		t.Run(name, func(t *testing.T) {
			dsn := postgrestest.Database(t)
			a, b := open(t, dsn, o), open(t, dsn, o)
			ctx := t.Context()
			failed := errors.New("of the callback")
			for name, write := range map[string]func(backend.Txn) error{
				"the keys":    func(x backend.Txn) error { return errors.Join(x.Put([]byte("k"), nil), x.Put([]byte("l"), nil)) },
				"one of them": func(x backend.Txn) error { return x.Put([]byte("l"), nil) },
				"another":     func(x backend.Txn) error { return x.Put([]byte("m"), nil) },
				"removal":     func(x backend.Txn) error { return errors.Join(x.Put([]byte("k"), nil), x.Delete([]byte("l"), 0)) },
				"nothing":     func(backend.Txn) error { return nil },
				"failure":     func(backend.Txn) error { return failed },
			} {
				for key, want := range map[string][]string{"k": {"", "k"}, "l": {"", "l"}, "none": {""}} {
					require.NoError(t, b.Update(ctx, group, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
						return errors.Join(x.Delete([]byte("k"), 0), x.Delete([]byte("l"), 0), x.Delete([]byte("m"), 0), x.Put([]byte(key), []byte("theirs")))
					}))
					found, err := runs(ctx, a, backend.ExpectMissing, []string{"k", "l"}, func(key string, _ []byte) string { return key }, write)
					if name == "failure" {
						require.ErrorIs(t, err, failed)
					} else {
						require.NoError(t, err, name)
					}
					require.Equal(t, want, found, "%s, %s there", name, key)
				}
			}
		})
	}
}

// seen is what a Scan with versions shows of some keys.
func seen(t *testing.T, s *postgres.Store, keys ...string) []backend.Entry {
	all := make([]backend.Entry, len(keys))
	for e, err := range s.Scan(t.Context(), backend.Range{}, backend.ScanOptions{Versions: true}) {
		require.NoError(t, err)
		require.NotZero(t, e.Version)
		if i := slices.Index(keys, string(e.Key)); i >= 0 {
			all[i] = backend.Entry{Value: bytes.Clone(e.Value), Version: e.Version}
		}
	}
	return all
}

// TestExpectSeen: an Update that takes for read what a Scan has shown runs again where that
// was written since, with the same value too, and knows then, whatever it does.
func TestExpectSeen(t *testing.T) {
	for name, o := range map[string]*postgres.Options{"functions": {CacheSize: -1}, "portable": {CacheSize: -1, Portable: true}} {
		t.Run(name, func(t *testing.T) {
			dsn := postgrestest.Database(t)
			a, b := open(t, dsn, o), open(t, dsn, o)
			ctx := t.Context()
			failed := errors.New("of the callback")
			keys := []string{"k", "l", "missing"}
			for name, does := range map[string]func(backend.Txn) error{
				"removal": func(x backend.Txn) error {
					return errors.Join(x.Delete([]byte("k"), 0), x.Delete([]byte("l"), 0), x.Delete([]byte("n"), 0))
				},
				"both":    func(x backend.Txn) error { return errors.Join(x.Put([]byte("k"), nil), x.Delete([]byte("l"), 0)) },
				"one":     func(x backend.Txn) error { return x.Delete([]byte("l"), 0) },
				"another": func(x backend.Txn) error { return x.Put([]byte("m"), nil) },
				"nothing": func(backend.Txn) error { return nil },
				"failure": func(backend.Txn) error { return failed },
			} {
				for meanwhile, want := range map[string][]string{
					"nothing": {"k1l1"}, "written": {"k1l1", "k1l1"}, "changed": {"k1l1", "k2l1"}, "removed": {"k1l1", "l1"}, "created": {"k1l1", "k1l1missing3"},
				} {
					require.NoError(t, b.Update(ctx, group, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
						return errors.Join(x.Put([]byte("k"), []byte("1")), x.Put([]byte("l"), []byte("1")), x.Put([]byte("n"), nil), x.Delete([]byte("missing"), 0))
					}))
					before := seen(t, a, keys...)
					if meanwhile == "created" {
						before[2] = backend.Entry{Value: []byte("gone"), Version: 17} // it was there once
						want[0] = "k1l1missinggone"
					}
					require.NoError(t, b.Update(ctx, group, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
						switch meanwhile {
						case "written":
							return x.Put([]byte("k"), []byte("1"))
						case "changed":
							return x.Put([]byte("k"), []byte("2"))
						case "removed":
							return x.Delete([]byte("k"), 0)
						case "created":
							return x.Put([]byte("missing"), []byte("3"))
						}
						return nil
					}))
					expect := func(ctx context.Context) context.Context { return backend.ExpectSeen(ctx, before) }
					found, err := runs(ctx, a, expect, keys, func(key string, value []byte) string { return key + string(value) }, does)
					if name == "failure" {
						require.ErrorIs(t, err, failed)
					} else {
						require.NoError(t, err, name)
					}
					require.Equal(t, want, found, "%s, %s meanwhile", name, meanwhile)
					if name == "removal" {
						require.Empty(t, get(t, b, "k")+get(t, b, "l"))
					}
				}
			}
		})
	}
}
