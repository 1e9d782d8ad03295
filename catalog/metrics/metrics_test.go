package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/metrics"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// watched is a catalog whose metrics are gathered.
type watched struct {
	*catalog.Catalog
	t        *testing.T
	registry *prometheus.Registry
}

func watch(t *testing.T, b backend.Backend, o catalog.Options) *watched {
	t.Helper()
	calls := metrics.NewCalls(&metrics.CallsOptions{Clock: o.Clock})
	o.Observe = calls.Observe
	c, err := catalog.Open(t.Context(), b, &o)
	require.NoError(t, err)
	w := &watched{c, t, prometheus.NewPedanticRegistry()}
	w.registry.MustRegister(calls, metrics.NewCollector(c))
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return w
}

// gather returns the values of all metrics by their names and labels; of a histogram
// how much it has counted.
func (w *watched) gather() map[string]float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	require.NoError(w.t, err)
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.Metric {
			name := strings.TrimPrefix(family.GetName(), "shelflife_")
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

var oneImage = catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1.jpg"}})

// engines are those that have metrics, and one that has none.
func engines(t *testing.T) map[string]func(t *testing.T) backend.Backend {
	return map[string]func(t *testing.T) backend.Backend{
		"memory": func(*testing.T) backend.Backend { return memory.New(nil) },
		"pebble": func(t *testing.T) backend.Backend {
			b, err := pebble.Open(t.Context(), filepath.Join(t.TempDir(), "store"), nil)
			require.NoError(t, err)
			return b
		},
		"postgres": func(t *testing.T) backend.Backend {
			b, err := postgres.Open(t.Context(), postgrestest.Database(t), &postgres.Options{Partition: encoding.AccountPartition{}})
			require.NoError(t, err)
			return b
		},
	}
}

// TestMetricsAreWellFormed: names and help texts are as Prometheus wants them, and a
// pedantic registry finds what was described.
func TestMetricsAreWellFormed(t *testing.T) {
	for name, open := range engines(t) {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			w := watch(t, &refusing{Backend: b}, catalog.Options{})
			_, err := w.Upsert(t.Context(), "a", "p", catalog.Patch{Images: oneImage})
			require.NoError(t, err)
			problems, err := testutil.GatherAndLint(w.registry)
			require.NoError(t, err)
			require.Empty(t, problems)
			got := w.gather()
			require.EqualValues(t, 1, got["ready"])
			require.EqualValues(t, 1, got["calls_total upsert created"])
			require.EqualValues(t, 1, got["call_duration_seconds upsert"])
			require.GreaterOrEqual(t, got["call_duration_seconds commit"], 1.0)
			_, hasDisk := got["pebble_disk_free_bytes"]
			require.Equal(t, name == "pebble", hasDisk, "figures come through a decorator")
			_, hasPool := got["postgres_connections_in_use loops"]
			require.Equal(t, name == "postgres", hasPool, "figures come through a decorator")
			for name := range got {

				require.NotRegexp(t, `\ba\b`, name, "no account")
			}
			require.NoError(t, w.Close())
			got = w.gather()
			require.Zero(t, got["ready"], "a closed catalog can be scraped")
			require.NotContains(t, got, "pebble_disk_free_bytes")
		})
	}
}

func TestFiguresOfTheEngine(t *testing.T) {
	b, err := pebble.Open(t.Context(), filepath.Join(t.TempDir(), "store"), nil)
	require.NoError(t, err)
	w := watch(t, b, catalog.Options{})
	got := w.gather()
	require.Greater(t, got["pebble_disk_free_bytes"], 0.0)
	require.GreaterOrEqual(t, got["pebble_disk_size_bytes"], got["pebble_disk_free_bytes"])
	require.Greater(t, got["pebble_disk_reserve_bytes"], 0.0)
	require.Zero(t, got["pebble_disk_short"])
	require.NotContains(t, got, "backup_last_timestamp_seconds")
	for i := range 20 {
		_, err := w.Upsert(t.Context(), "a", fmt.Sprint(i), catalog.Patch{Images: oneImage})
		require.NoError(t, err)
	}
	for range 5 { // wanted twice, it is kept
		_, err = w.Get(t.Context(), "a", "3")
		require.NoError(t, err)
	}
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		require.Greater(t, w.gather()["pebble_log_in_bytes_total"], got["pebble_log_in_bytes_total"]+1000, "within a second")
	}, 20*time.Second, 10*time.Millisecond)
	require.GreaterOrEqual(t, w.gather()["cache_hits_total"], 3.0)
	require.Positive(t, w.gather()["cache_misses_total"])
	_, err = w.Backup(t.Context(), io.Discard)
	require.NoError(t, err)
	got = w.gather()
	require.InDelta(t, float64(time.Now().Unix()), got["backup_last_timestamp_seconds"], 600)
	failing := errors.New("full")
	_, err = w.Backup(t.Context(), failingWriter{failing})
	require.ErrorIs(t, err, failing)
	require.Equal(t, got["backup_last_timestamp_seconds"], w.gather()["backup_last_timestamp_seconds"], "it has failed")
}

// TestFiguresOfTheSweeper: what is due and not swept shows, and for how long.
func TestFiguresOfTheSweeper(t *testing.T) {
	clock := ttl.NewManualClock(time.UnixMilli(1e12))
	held := &refusing{Backend: memory.New(nil)}
	w := watch(t, held, catalog.Options{
		Clock: clock, Index: ttl.IndexOptions{Span: 48 * time.Hour},
		Sweeper: ttl.SweeperOptions{LeapPause: -1, RetryMin: time.Hour, RetryMax: time.Hour},
	})
	for i := range 3 {
		_, err := w.Upsert(t.Context(), "a", fmt.Sprint(i), catalog.Patch{Images: oneImage, ValidForDays: catalog.Set(1)})
		require.NoError(t, err)
	}
	_, err := w.Sweep(t.Context())
	require.NoError(t, err)
	got := w.gather()
	require.EqualValues(t, 3, got["deadlines"])
	require.Zero(t, got["sweeper_due"])
	require.Zero(t, got["sweeper_lag_seconds"])
	held.refuse.Store(true)
	clock.Advance(24*time.Hour + 10*time.Minute)
	require.EventuallyWithT(t, func(t *assert.CollectT) { // the sweeper may be at it, in vain
		require.EqualValues(t, 3, w.gather()["sweeper_due"])
	}, 20*time.Second, time.Millisecond)
	got = w.gather()
	require.InDelta(t, 600-7, got["sweeper_lag_seconds"], 0.001, "the grace is five seconds and two windows")
	held.refuse.Store(false)
	_, err = w.Sweep(t.Context())
	require.NoError(t, err)
	got = w.gather()
	require.Zero(t, got["sweeper_due"])
	require.Zero(t, got["sweeper_lag_seconds"])
	require.EqualValues(t, 3, got["sweeper_handled_total"])
}

// TestCallsAreCounted: after a random history the counters are those of a model,
// which counts what the calls have returned.
func TestCallsAreCounted(t *testing.T) {
	held := &refusing{Backend: memory.New(nil)}
	w := watch(t, held, catalog.Options{Clock: ttl.NewManualClock(time.UnixMilli(1e12))})
	rnd := rand.New(rand.NewPCG(19, 4))
	want := map[string]float64{}
	ctx := t.Context()
	ended, end := context.WithCancel(ctx)
	end()
	count := func(op string, err error, ok string) {
		switch {
		case err == nil:
			want["calls_total "+op+" "+ok]++
		case errors.Is(err, catalog.ErrNotFound), errors.Is(err, catalog.ErrImageNotFound):
			want["calls_total "+op+" not_found"]++
		case errors.Is(err, catalog.ErrPreconditionFailed):
			want["calls_total "+op+" precondition_failed"]++
		case errors.Is(err, catalog.ErrUnavailable):
			want["calls_total "+op+" unavailable"]++
		case errors.Is(err, context.Canceled):
			want["calls_total "+op+" canceled"]++
		case errors.As(err, new(*catalog.ValidationError)):
			want["calls_total "+op+" invalid"]++
		default:
			t.Fatal(err)
		}
		want["call_duration_seconds "+op]++
	}
	for range 3000 {
		account, id := "a", fmt.Sprint(rnd.IntN(8))
		with := ctx
		held.refuse.Store(rnd.IntN(20) == 0)
		if rnd.IntN(20) == 0 {
			with = ended
		}
		if rnd.IntN(20) == 0 {
			account = ""
		}
		patch := catalog.Patch{Title: catalog.Set(fmt.Sprint(rnd.IntN(3)))}
		if rnd.IntN(2) == 0 {
			patch.Images = oneImage
		}
		var conds []catalog.Condition
		if rnd.IntN(4) == 0 {
			conds = append(conds, catalog.CreateOnly())
		}
		switch rnd.IntN(13) {
		case 0, 1:
			r, err := w.Upsert(with, account, id, patch, conds...)
			count("upsert", err, r.Outcome.String())
		case 2:
			r, err := w.UpsertInline(with, account, id, patch, conds...)
			count("upsert_inline", err, r.Outcome.String())
		case 3:
			r, err := w.CreateOneShot(with, account, patch)
			count("create_one_shot", err, r.Outcome.String())
		case 4:
			items := []catalog.UpsertItem{{ExternalID: id, Patch: patch}, {ExternalID: "", Patch: patch}, {ExternalID: "9", Patch: patch}}
			for _, r := range w.UpsertMany(with, "a", items) {
				before := want["call_duration_seconds items"]
				count("items", r.Err, r.Outcome.String())
				require.Greater(t, want["call_duration_seconds items"], before)
			}
			count("upsert_many", nil, "ok")
		case 5:
			_, err := w.Get(with, account, id)
			count("get", err, "ok")
		case 6:
			_, err := w.Use(with, account, id)
			count("use", err, "ok")
		case 7:
			count("delete", w.Delete(with, account, id, conds...), "ok")
		case 8:
			_, err := w.List(with, account, catalog.ListOptions{Limit: rnd.IntN(3) - 1})
			count("list", err, "ok")
		case 9:
			_, err := w.OpenImage(with, account, id, 0)
			count("open_image", err, "ok")
		case 10:
			var last error
			for _, err := range w.All(with, account, catalog.AllOptions{}) {
				last = err
				if rnd.IntN(2) == 0 {
					break
				}
			}
			count("all", last, "ok")
		case 11:
			_, err := w.Preview(with, account, id, patch)
			count("preview", err, "ok")
		case 12:
			_, err := w.Touch(with, account, id)
			count("touch", err, "ok")
		}
	}
	for name, n := range want {
		if result, ok := strings.CutPrefix(name, "calls_total items "); ok {
			delete(want, name)
			want["upsert_many_items_total "+result] = n
		}
	}
	delete(want, "call_duration_seconds items")
	got := w.gather()
	for name := range got {
		counted := strings.HasPrefix(name, "calls_total ") || strings.HasPrefix(name, "call_duration_seconds ") || strings.HasPrefix(name, "upsert_many_items_total ")
		if !counted || got[name] == 0 || strings.Contains(name, "commit") {
			delete(got, name)
		}
	}
	require.Equal(t, want, got)
	require.Greater(t, len(want), 40, "the history must reach most results: %v", want)
	commits := w.gather()
	require.Positive(t, commits["calls_total commit unavailable"])
	require.Zero(t, commits["calls_total commit not_found"], "what a call makes of it is no failure of the commit")
	require.Zero(t, commits["calls_total commit error"])
}

// stuckDisk holds up every call of a file system until it answers again.
type stuckDisk struct{ stuck atomic.Pointer[chan struct{}] }

func (d *stuckDisk) String() string { return "stuck disk" }

func (d *stuckDisk) MaybeError(errorfs.Op) error {
	if c := d.stuck.Load(); c != nil {
		<-*c
	}
	return nil
}

// TestScrapeWhileTheDiskHangs: Pebble's own figures are not to be had then, as it holds
// its lock while it waits for the disk. A scrape that waited would wait here until the
// test is cut off.
func TestScrapeWhileTheDiskHangs(t *testing.T) {
	disk := new(stuckDisk)
	b, err := pebble.Open(t.Context(), "db", &pebble.Options{
		FS: errorfs.Wrap(vfs.NewMem(), disk), CacheSize: 1 << 20, MemTableSize: 256 << 10, HangTimeout: time.Second,
	})
	require.NoError(t, err)
	w := watch(t, b, catalog.Options{CacheBytes: -1})
	answers := make(chan struct{})
	disk.stuck.Store(&answers)
	answer := sync.OnceFunc(func() { disk.stuck.Store(nil); close(answers) })
	t.Cleanup(answer) // also after a failure, for Close waits for the disk
	results := make(chan error, 100)
	for i := range cap(results) { // so much that Pebble must turn to the next memtable and log
		go func() {
			_, err := w.Upsert(context.Background(), "a", fmt.Sprint(i), catalog.Patch{Images: oneImage, Description: catalog.Set(strings.Repeat("x", 20_000))})
			results <- err
		}()
	}
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		got := w.gather()
		require.Contains(t, got, "pebble_log_bytes")
		require.Zero(t, got["ready"])
		require.EqualValues(t, 1, got["pebble_disk_hangs"])
		require.Positive(t, got["calls_total upsert unknown_outcome"]+got["calls_total upsert unavailable"])
	}, 20*time.Second, 10*time.Millisecond)
	answer()
	for range cap(results) {
		<-results
	}
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		got := w.gather()
		require.EqualValues(t, 1, got["ready"])
		require.Zero(t, got["pebble_disk_hangs"])
	}, 20*time.Second, 10*time.Millisecond)
}

// refusing is a backend that can be made to take no writes.
type refusing struct {
	backend.Backend
	refuse atomic.Bool
}

func (r *refusing) Unwrap() backend.Backend { return r.Backend }

func (r *refusing) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if r.refuse.Load() {
		return fmt.Errorf("%w: as the test wants it", backend.ErrUnavailable)
	}
	return r.Backend.Update(ctx, scopes, o, fn)
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func BenchmarkGet(b *testing.B) {
	for name, observe := range map[string]func(context.Context, catalog.Operation) (context.Context, func(catalog.Ended)){
		"alone": nil, "counted": metrics.NewCalls(nil).Observe,
	} {
		b.Run(name, func(b *testing.B) {
			c, err := catalog.Open(b.Context(), memory.New(nil), &catalog.Options{Observe: observe})
			require.NoError(b, err)
			defer func() { require.NoError(b, c.Close()) }()
			_, err = c.Upsert(b.Context(), "a", "p", catalog.Patch{Images: oneImage})
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Get(b.Context(), "a", "p"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
