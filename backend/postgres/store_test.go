package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
)

func open(t *testing.T, dsn string, o *postgres.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), dsn, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

var group = []backend.Scope{{Group: "g"}}

func item(i string) []backend.Scope { return []backend.Scope{{Group: "g", Item: i}} }

func put(ctx context.Context, s backend.Backend, scopes []backend.Scope, key, value string) error {
	return s.Update(ctx, scopes, backend.UpdateOptions{}, func(_ context.Context, t backend.Txn) error {
		return t.Put([]byte(key), []byte(value))
	})
}

func get(t *testing.T, r backend.Reader, key string) (value string) {
	t.Helper()
	_, err := r.Get(t.Context(), []byte(key), func(v []byte) error { value = string(v); return nil })
	require.NoError(t, err)
	return value
}

// TestCreators has many processes' worth of stores open where there is none:
// CREATE IF NOT EXISTS alone fails most of them.
func TestCreators(t *testing.T) {
	dsn := postgrestest.Database(t)
	stores := make([]*postgres.Store, 16)
	errs := make([]error, len(stores))
	var wg sync.WaitGroup
	for i := range stores {
		wg.Go(func() {
			stores[i], errs[i] = postgres.Open(t.Context(), dsn, &postgres.Options{Connections: 2, Loops: 1})
		})
	}
	wg.Wait()
	for i, s := range stores {
		require.NoError(t, errs[i])
		require.NoError(t, put(t.Context(), s, item(fmt.Sprint(i)), fmt.Sprint("k", i), "v"))
	}
	for i, s := range stores {
		require.Equal(t, "v", get(t, s, fmt.Sprint("k", len(stores)-1-i)), "all are one store")
		require.NoError(t, s.Close())
	}
}

// TestRemembersHow: a store keeps how it was created, and refuses what would
// look for keys elsewhere.
func TestRemembersHow(t *testing.T) {
	dsn := postgrestest.Database(t)
	a := open(t, dsn, &postgres.Options{Partition: lastByte{}, Parts: 3})
	require.NoError(t, put(t.Context(), a, group, "key", "v"))
	b := open(t, dsn, &postgres.Options{Partition: lastByte{}, Parts: 7, Portable: true})
	require.Equal(t, "v", get(t, b, "key"))
	require.NoError(t, put(t.Context(), b, group, "key", "w"))
	require.Equal(t, "w", get(t, a, "key"))
	_, err := postgres.Open(t.Context(), dsn, nil)
	require.ErrorContains(t, err, `partition "last byte", not "none"`)
	other := open(t, dsn, &postgres.Options{Table: "other"})
	require.Equal(t, "", get(t, other, "key"))
}

// TestSecrets: no error and no log line holds the password, or the rest of the
// connection string.
func TestSecrets(t *testing.T) {
	var log bytes.Buffer
	o := &postgres.Options{CallTimeout: 300 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	for _, dsn := range []string{
		"postgres://user:sesame@127.0.0.1:1/shop",
		"postgres://user:sesame@127.0.0.1:1/shop?sslmode=no-such",
		"postgres://user:sesame@host:port/shop",
		"host=127.0.0.1 port=1 password=sesame nonsense",
		"user:sesame@127.0.0.1",
	} {
		_, err := postgres.Open(t.Context(), dsn, o)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "sesame")
		require.NotContains(t, log.String(), "sesame")
	}
	_, err := postgres.Open(t.Context(), "postgres://user:sesame@127.0.0.1:1/shop", o)
	require.ErrorIs(t, err, backend.ErrUnavailable)
}

// TestVolatileServer: a server that may lose what it acknowledged is refused.
func TestVolatileServer(t *testing.T) {
	dsn := postgrestest.Database(t)
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	q := u.Query()
	q.Set("synchronous_commit", "off")
	u.RawQuery = q.Encode()
	_, err = postgres.Open(t.Context(), u.String(), nil)
	require.ErrorContains(t, err, "synchronous_commit")
}

// TestReadOnlyServer: connections to a server that takes no writes are refused,
// or serve reads alone, and Ready says so.
func TestReadOnlyServer(t *testing.T) {
	dsn := postgrestest.Database(t)
	writer := open(t, dsn, nil)
	require.NoError(t, put(t.Context(), writer, group, "k", "v"))
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	q := u.Query()
	q.Set("default_transaction_read_only", "on")
	u.RawQuery = q.Encode()
	_, err = postgres.Open(t.Context(), u.String(), &postgres.Options{CallTimeout: 300 * time.Millisecond})
	require.ErrorIs(t, err, backend.ErrUnavailable)

	s := open(t, u.String(), &postgres.Options{StandbyReads: true})
	require.Equal(t, "v", get(t, s, "k"))
	require.ErrorIs(t, put(t.Context(), s, group, "k", "w"), backend.ErrUnavailable)
	require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
	require.Equal(t, "v", get(t, s, "k"))
}

// TestCombines: Updates of one key that come while a commit is under way are
// committed together, each sees the one before it, and a failure of one, an
// error, a panic or the end of its goroutine, is its own.
func TestCombines(t *testing.T) {
	dsn := postgrestest.Database(t)
	l := postgrestest.NewLink(t, dsn)
	s := open(t, l.DSN(), &postgres.Options{CommitTimeout: time.Minute, CallTimeout: time.Minute})
	require.NoError(t, put(t.Context(), s, item("n"), "n", ""))
	before := l.Trips()
	l.Stall()
	const callers = 60
	errOwn := errors.New("its own")
	var ran atomic.Int64
	results := make([]error, callers)
	var visible []int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			defer func() {
				if recover() != nil {
					results[i] = errOwn
				}
			}()
			results[i] = errOwn // of a goroutine that ends
			results[i] = s.Update(t.Context(), item("n"), backend.UpdateOptions{}, func(ctx context.Context, x backend.Txn) error {
				defer ran.Add(1)
				n := 0
				if _, err := x.Get(ctx, []byte("n"), func(v []byte) error { n = len(v); return nil }); err != nil {
					return err
				}
				if err := x.Put([]byte("n"), bytes.Repeat([]byte("x"), n+1)); err != nil {
					return err
				}
				switch i % 6 {
				case 3:
					return errOwn
				case 4:
					panic("its own")
				case 5:
					runtime.Goexit()
				}
				x.OnVisible(func() {
					mu.Lock()
					defer mu.Unlock()
					visible = append(visible, n)
				})
				return nil
			})
		})
	}
	for ran.Load() < callers { // all have run before the first commit was answered
		runtime.Gosched()
	}
	l.Resume()
	wg.Wait()
	for i, err := range results {
		if i%6 < 3 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, errOwn)
		}
	}
	require.Len(t, get(t, s, "n"), callers/2)
	require.True(t, slices.IsSorted(visible), "in the order of the commits: %v", visible)
	require.Len(t, visible, callers/2)
	require.LessOrEqual(t, l.Trips()-before, int64(10), "round trips for %d Updates", callers)
}

// TestStaleCache: what another process wrote is not lost, whatever is cached, a
// deleted and created key, an absent one and a range among it.
func TestStaleCache(t *testing.T) {
	dsn := postgrestest.Database(t)
	a, b := open(t, dsn, nil), open(t, dsn, nil)
	ctx := t.Context()
	for _, change := range []struct {
		name string
		do   func(x backend.Txn) error
		want string
	}{
		{"changed", func(x backend.Txn) error { return x.Put([]byte("k"), []byte("b")) }, "b+"},
		{"deleted", func(x backend.Txn) error { return x.Delete([]byte("k"), 0) }, "+"},
		{"created", func(x backend.Txn) error { return x.Put([]byte("k"), []byte("a")) }, "a+"},
		{"neighbour", func(x backend.Txn) error { return x.Put([]byte("k2"), nil) }, "a+"},
	} {
		require.NoError(t, put(ctx, a, group, "k", "a"))
		runs := 0
		require.NoError(t, a.Update(ctx, group, backend.UpdateOptions{}, func(ctx context.Context, x backend.Txn) error {
			v := ""
			if _, err := x.Get(ctx, []byte("k"), func(b []byte) error { v = string(b); return nil }); err != nil {
				return err
			}
			for _, err := range x.Scan(ctx, backend.Range{Start: []byte("k1"), End: []byte("k3")}, backend.ScanOptions{}) {
				if err != nil {
					return err
				}
			}
			if runs++; runs == 1 { // between the run and its commit
				if err := b.Update(context.Background(), group, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error { return change.do(x) }); err != nil {
					return err
				}
			}
			return x.Put([]byte("k"), []byte(v+"+"))
		}), change.name)
		require.Equal(t, change.want, get(t, b, "k"), change.name)
		require.GreaterOrEqual(t, runs, 2, change.name)
	}
	// A run that is doomed answers nothing, neither nil nor an error.
	require.NoError(t, put(ctx, a, group, "k", "1"))
	get2 := func(x backend.Txn, ctx context.Context) (v string) {
		_, _ = x.Get(ctx, []byte("k"), func(b []byte) error { v = string(b); return nil })
		return v
	}
	require.NoError(t, put(ctx, b, group, "k", "2"))
	errSeen := errors.New("seen")
	err := a.Update(ctx, group, backend.UpdateOptions{}, func(ctx context.Context, x backend.Txn) error {
		return fmt.Errorf("%w: %s", errSeen, get2(x, ctx))
	})
	require.ErrorIs(t, err, errSeen)
	require.ErrorContains(t, err, "seen: 2")
	require.NoError(t, put(ctx, b, group, "k", "3"))
	seen := ""
	require.NoError(t, a.Update(ctx, group, backend.UpdateOptions{}, func(ctx context.Context, x backend.Txn) error {
		seen = get2(x, ctx)
		return nil
	}))
	require.Equal(t, "3", seen)
}

// TestOvertaken: an Update that others overtake in every run comes to its end.
func TestOvertaken(t *testing.T) {
	dsn := postgrestest.Database(t)
	a, b := open(t, dsn, nil), open(t, dsn, nil)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var overtaken atomic.Int64
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := put(t.Context(), b, item("k"), "k", fmt.Sprint(i)); err != nil {
				t.Error(err)
				return
			}
			overtaken.Add(1)
		}
	})
	runs := 0
	require.NoError(t, a.Update(t.Context(), group, backend.UpdateOptions{}, func(ctx context.Context, x backend.Txn) error {
		runs++
		v := ""
		if _, err := x.Get(ctx, []byte("k"), func(b []byte) error { v = string(b); return nil }); err != nil {
			return err
		}
		if runs <= 4 { // as long as it may, the run waits until it is doomed
			for n := overtaken.Load(); overtaken.Load() < n+2; {
				runtime.Gosched()
			}
		}
		return x.Put([]byte("seen"), []byte(v))
	}))
	close(stop)
	wg.Wait()
	require.Equal(t, 5, runs)
}

// TestDroppedConnections: reads and commits get over connections that end,
// except for a commit that was on its way.
func TestDroppedConnections(t *testing.T) {
	l := postgrestest.NewLink(t, postgrestest.Database(t))
	s := open(t, l.DSN(), nil)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var acknowledged, doubtful [4]int64
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				key := fmt.Sprint("n", w)
				err := s.Update(t.Context(), item(key), backend.UpdateOptions{}, func(ctx context.Context, x backend.Txn) error {
					n := 0
					if _, err := x.Get(ctx, []byte(key), func(v []byte) error { n = len(v); return nil }); err != nil {
						return err
					}
					return x.Put([]byte(key), bytes.Repeat([]byte("x"), n+1))
				})
				switch {
				case err == nil:
					acknowledged[w]++
				case errors.Is(err, backend.ErrUnknownOutcome):
					doubtful[w]++
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	for range 20 {
		require.NoError(t, s.Update(t.Context(), nil, backend.UpdateOptions{}, func(context.Context, backend.Txn) error { return nil }))
		get(t, s, "n0")
		l.Drop()
		get(t, s, "n0")
	}
	close(stop)
	wg.Wait()
	for w := range 4 {
		n := int64(len(get(t, s, fmt.Sprint("n", w))))
		require.GreaterOrEqual(t, n, acknowledged[w], "lost")
		require.LessOrEqual(t, n, acknowledged[w]+doubtful[w], "done twice")
	}
}

// TestReadTime: reads carry the server's clock.
func TestReadTime(t *testing.T) {
	s := open(t, postgrestest.Database(t), nil)
	require.True(t, s.Properties().Clock)
	require.NoError(t, put(t.Context(), s, group, "k", "v"))
	snap, err := s.Snapshot(t.Context())
	require.NoError(t, err)
	defer snap.Close()
	last := int64(0)
	for name, r := range map[string]backend.Reader{"store": s, "snapshot": snap} {
		for _, read := range []func(context.Context) error{
			func(ctx context.Context) error {
				_, err := r.Get(ctx, []byte("absent"), func([]byte) error { return nil })
				return err
			},
			func(ctx context.Context) error {
				return r.GetMany(ctx, [][]byte{[]byte("absent")}, func(int, []byte) error { return nil })
			},
			func(ctx context.Context) error {
				for _, err := range r.Scan(ctx, backend.Range{}, backend.ScanOptions{}) {
					return err
				}
				return nil
			},
		} {
			var at backend.ReadTime
			require.NoError(t, read(backend.WithReadTime(t.Context(), &at)))
			ms, ok := at.Unix()
			require.True(t, ok, name)
			require.Greater(t, ms, int64(1_700_000_000_000))
			last = max(last, ms)
		}
	}
	require.Positive(t, last)
}

// TestRoundTrips counts what the operations of a catalog cost on a warm
// connection.
func TestRoundTrips(t *testing.T) {
	for name, o := range map[string]*postgres.Options{
		"one part": nil,
		"parts":    {Partition: lastByte{}, Parts: 4},
	} {
		t.Run(name, func(t *testing.T) {
			l := postgrestest.NewLink(t, postgrestest.Database(t))
			s := open(t, l.DSN(), o)
			ctx := t.Context()
			nothing := func([]byte) error { return nil }
			read := func(x backend.Reader, key string) error { _, err := x.Get(ctx, []byte(key), nothing); return err }
			update := func(fn func(backend.Txn) error) error {
				return s.Update(ctx, group, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error { return fn(x) })
			}
			page := func(x backend.Reader, limit int) error {
				n := 0
				for _, err := range x.Scan(ctx, backend.Range{Start: []byte("p"), End: []byte("q")}, backend.ScanOptions{Limit: limit}) {
					if err != nil {
						return err
					}
					if n++; n == limit {
						break
					}
				}
				return nil
			}
			require.NoError(t, update(func(x backend.Txn) error {
				for i := range 300 {
					if err := x.Put(fmt.Appendf(nil, "p%04d", i), []byte("v")); err != nil {
						return err
					}
				}
				return nil
			}))
			created := 0
			for _, c := range []struct {
				name string
				do   func() error
				want int64
			}{
				{"get", func() error { return read(s, "p0001") }, 1},
				{"get of nothing", func() error { return read(s, "none") }, 1},
				{"get of many", func() error {
					return s.GetMany(ctx, [][]byte{[]byte("p0001"), []byte("p0002")}, func(int, []byte) error { return nil })
				}, 1},
				{"page of 50", func() error { return page(s, 50) }, 1},
				{"update of a cached key", func() error {
					return update(func(x backend.Txn) error { return errors.Join(read(x, "p0001"), x.Put([]byte("p0001"), []byte("w"))) })
				}, 1},
				{"update of a key", func() error {
					return update(func(x backend.Txn) error { return errors.Join(read(x, "new"), x.Delete([]byte("new"), 0)) })
				}, 2},
				{"unchanged, cached", func() error { return update(func(x backend.Txn) error { return read(x, "p0001") }) }, 1},
				{"unchanged, not cached", func() error { return update(func(x backend.Txn) error { return read(x, "absent") }) }, 1},
				{"key that is expected to be missing, and is", func() error {
					created++
					key := fmt.Appendf(nil, "new%d", created)
					return update(func(x backend.Txn) error {
						return errors.Join(x.GetMany(backend.ExpectMissing(ctx), [][]byte{key}, nil), x.Put(key, nil))
					})
				}, 1},
				{"put", func() error { return update(func(x backend.Txn) error { return x.Put([]byte("k"), nil) }) }, 1},
				{"durable", func() error { return s.Durable(ctx, group) }, 0},
			} {
				require.NoError(t, c.do(), c.name) // prepares the statement
				fewest := int64(1 << 30)
				for range 3 { // a connection that was idle for a second is asked first
					before := l.Trips()
					require.NoError(t, c.do(), c.name)
					fewest = min(fewest, l.Trips()-before)
				}
				require.Equal(t, c.want, fewest, c.name)
			}
		})
	}
}

// TestRemovesOfManyParts: what an Update removes lies in any parts, some of it read, and some
// of that missing, and what it has not named stays.
func TestRemovesOfManyParts(t *testing.T) {
	s := open(t, postgrestest.Database(t), &postgres.Options{Partition: lastByte{}, Parts: 5})
	key := func(i int) []byte { return fmt.Appendf(nil, "%03d", i) }
	require.NoError(t, s.Update(t.Context(), group, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) (err error) {
		for i := range 200 {
			err = errors.Join(err, x.Put(key(i), nil))
		}
		return err
	}))
	runs := 0
	require.NoError(t, s.Update(t.Context(), group, backend.UpdateOptions{}, func(ctx context.Context, x backend.Txn) (err error) {
		runs++
		for i := range 300 {
			if i%3 == 0 {
				_, failed := x.Get(ctx, key(i), func([]byte) error { return nil })
				err = errors.Join(err, failed)
			}
			if i%2 == 0 {
				err = errors.Join(err, x.Delete(key(i), 0))
			}
		}
		return err
	}))
	require.Equal(t, 1, runs)
	var left []string
	for e, err := range s.Scan(t.Context(), backend.Range{}, backend.ScanOptions{KeysOnly: true}) {
		require.NoError(t, err)
		left = append(left, string(e.Key))
	}
	var want []string
	for i := 1; i < 200; i += 2 {
		want = append(want, string(key(i)))
	}
	require.Equal(t, want, left)
}

// TestRemovesWhatItRead: what an Update removes is of the version that it has read, from
// a cache that may be out of date too.
func TestRemovesWhatItRead(t *testing.T) {
	dsn := postgrestest.Database(t)
	a, b := open(t, dsn, nil), open(t, dsn, nil)
	for name, absent := range map[string]bool{"changed": false, "removed": true} {
		require.NoError(t, put(t.Context(), a, group, "key", "old"), name) // and is in its cache
		require.NoError(t, put(t.Context(), a, group, "other", "v"), name)
		require.NoError(t, b.Update(t.Context(), group, backend.UpdateOptions{}, func(_ context.Context, t backend.Txn) error {
			if absent {
				return t.Delete([]byte("key"), 0)
			}
			return t.Put([]byte("key"), []byte("new"))
		}))
		var seen []string
		require.NoError(t, a.Update(t.Context(), group, backend.UpdateOptions{}, func(ctx context.Context, t backend.Txn) error {
			value := "none"
			if _, err := t.Get(ctx, []byte("key"), func(v []byte) error { value = string(v); return nil }); err != nil {
				return err
			}
			if seen = append(seen, value); value == "none" {
				return nil
			}
			return errors.Join(t.Delete([]byte("key"), 0), t.Delete([]byte("other"), 0))
		}))
		if absent {
			require.Equal(t, []string{"old", "none"}, seen)
			require.Equal(t, "v", get(t, a, "other"), "the run that removed it did not count")
		} else {
			require.Equal(t, []string{"old", "new"}, seen)
			require.Empty(t, get(t, a, "key")+get(t, a, "other"))
		}
	}
}

// TestNewBesideOld: an Update that creates what it found missing may write over what it has not
// read.
func TestNewBesideOld(t *testing.T) {
	dsn := postgrestest.Database(t)
	a, b := open(t, dsn, nil), open(t, dsn, nil)
	require.NoError(t, put(t.Context(), b, group, "old", "theirs"))
	require.NoError(t, a.Update(t.Context(), group, backend.UpdateOptions{}, func(ctx context.Context, x backend.Txn) error {
		found, err := x.Get(ctx, []byte("new"), func([]byte) error { return nil })
		require.False(t, found)
		return errors.Join(err, x.Put([]byte("new"), []byte("ours")), x.Put([]byte("old"), []byte("ours")))
	}))
	require.Equal(t, "oursours", get(t, b, "new")+get(t, b, "old"))
}

// TestNewBesideRemoved: what an Update has read from a cache, and writes beside what is new, may
// have been removed since.
func TestNewBesideRemoved(t *testing.T) {
	dsn := postgrestest.Database(t)
	a, b := open(t, dsn, nil), open(t, dsn, nil)
	require.NoError(t, put(t.Context(), a, group, "old", "v")) // and is in its cache
	require.NoError(t, b.Update(t.Context(), group, backend.UpdateOptions{}, func(_ context.Context, x backend.Txn) error {
		return x.Delete([]byte("old"), 0)
	}))
	var seen []string
	require.NoError(t, a.Update(t.Context(), group, backend.UpdateOptions{}, func(ctx context.Context, x backend.Txn) error {
		value := ""
		for _, key := range []string{"old", "new"} {
			if _, err := x.Get(ctx, []byte(key), func(v []byte) error { value += string(v); return nil }); err != nil {
				return err
			}
		}
		seen = append(seen, value)
		return errors.Join(x.Put([]byte("new"), []byte(value)), x.Put([]byte("old"), []byte(value)))
	}))
	require.Equal(t, []string{"v", ""}, seen)
}
