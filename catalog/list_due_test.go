package catalog_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// scannedSpaces counts the entries that scans yield by their space, and runs a
// function at each.
type scannedSpaces struct {
	backend.Backend
	mu     *sync.Mutex // guards counts
	counts map[byte]int
	on     *atomic.Pointer[func(key []byte) error]
}

func newScannedSpaces() *scannedSpaces {
	return &scannedSpaces{mu: new(sync.Mutex), counts: map[byte]int{}, on: new(atomic.Pointer[func([]byte) error])}
}

func (b *scannedSpaces) Unwrap() backend.Backend { return b.Backend }

func (b *scannedSpaces) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		for e, err := range b.Backend.Scan(ctx, r, o) {
			if err == nil {
				b.mu.Lock()
				b.counts[e.Key[0]]++
				b.mu.Unlock()
				if on := b.on.Load(); on != nil {
					if failed := (*on)(e.Key); failed != nil {
						yield(backend.Entry{}, failed)
						return
					}
				}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (b *scannedSpaces) take() map[byte]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := b.counts
	b.counts = map[byte]int{}
	return counts
}

// dueWorld has a run of products that have expired, and spaces that count.
func dueWorld(t *testing.T, o catalog.Options, expired int) (*world, *scannedSpaces) {
	t.Helper()
	w := &world{t: t, clock: ttl.NewManualClock(epoch), open: stores[0].open(t), handles: 1, opts: o}
	w.opts.Clock = w.clock
	spaces := newScannedSpaces()
	open := w.open
	w.open = func() backend.Backend {
		s := *spaces
		s.Backend = open()
		return &s
	}
	w.start()
	t.Cleanup(func() { w.close() })
	for i := range expired {
		w.createFor(fmt.Sprintf("m%03d", i), 1)
	}
	return w, spaces
}

func (w *world) listed(o catalog.ListOptions) []string {
	w.t.Helper()
	var all []string
	for _, page := range w.listAll(o) {
		all = append(all, page...)
	}
	return all
}

// contract 5: a page steps over a long run of what has expired without its records,
// the first time too.
func TestFirstPageReadsFewExpiredRecords(t *testing.T) {
	w, spaces := dueWorld(t, catalog.Options{}, 300)
	w.create("z")
	w.clock.Leap(2 * day)
	for _, o := range []catalog.ListOptions{{}, {Prefix: "m2"}, {From: "m150"}} {
		spaces.take()
		w.listed(o)
		require.LessOrEqual(t, spaces.take()[encoding.SpaceProduct], 20, "%+v", o)
		w.close()
		w.start()
	}
	n := 0
	spaces.take()
	for _, err := range w.c().All(t.Context(), acme, catalog.AllOptions{}) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 1, n)
	require.Zero(t, spaces.take()[encoding.SpaceProduct], "a loop reads a snapshot")
	// What is met is passed by: there is nothing left to be read of any space.
	require.Equal(t, []string{"z"}, w.listed(catalog.ListOptions{}))
	spaces.take()
	require.Equal(t, []string{"z"}, w.listed(catalog.ListOptions{}))
	counts := spaces.take()
	require.LessOrEqual(t, counts[encoding.SpaceProduct]+counts[encoding.SpaceListed]+counts[encoding.SpaceExpiry], 6)
}

// What an expiry entry does not say is read: a product that was renewed, used or
// created anew lives.
func TestDueIsNoMoreThanTheEntriesSay(t *testing.T) {
	w, _ := dueWorld(t, catalog.Options{UseWindow: catalog.NoUseWindow}, 60)
	w.createInline("m030inline")
	w.clock.Advance(12 * time.Hour)
	w.use("m010")                                                              // its entry is not moved
	w.upsert("m020", catalog.Patch{ValidForDays: catalog.Set(1)})              // renewed
	w.upsert("m025", catalog.Patch{ValidForDays: catalog.Set(5)})              // longer
	w.upsert("m026", catalog.Patch{ValidForDays: catalog.Null[int]()})         // forever
	w.upsert("m040", catalog.Patch{Title: catalog.Set("edited, not renewed")}) // expires all the same
	require.NoError(t, w.c().Delete(t.Context(), acme, "m041"))
	w.createFor("m041", 1)
	w.clock.Leap(12*time.Hour + 5*time.Minute)
	want := []string{"m010", "m020", "m025", "m026", "m041"}
	for range 2 {
		require.Equal(t, want, w.listed(catalog.ListOptions{}))
		require.Equal(t, want, w.listed(catalog.ListOptions{Limit: 1}))
		require.Equal(t, []string{"m010", "m020", "m025", "m026", "m030inline", "m041"}, w.listed(catalog.ListOptions{Unlisted: true}))
		var all []string
		for p, err := range w.c().All(t.Context(), acme, catalog.AllOptions{}) {
			require.NoError(t, err)
			all = append(all, p.ExternalID)
		}
		require.Equal(t, want, all)
	}
	w.createFor("m045", 1)
	w.upsert("m030inline", catalog.Patch{Title: catalog.Set("listed now")})
	want = []string{"m010", "m020", "m025", "m026", "m030inline", "m041", "m045"}
	require.Equal(t, want, w.listed(catalog.ListOptions{}))
}

// A use that waits to be written keeps its product, though the entry says that it
// has expired.
func TestPendingUseIsNotDue(t *testing.T) {
	w, _ := dueWorld(t, catalog.Options{UseWindow: time.Hour}, 40)
	w.clock.Advance(12 * time.Hour)
	w.use("m020")
	w.clock.Leap(12*time.Hour + 10*time.Minute)
	for range 2 {
		require.Equal(t, []string{"m020"}, w.listed(catalog.ListOptions{}))
	}
}

// What is written while a page steps over what has expired is in no span.
func TestWrittenWhileAPageGoesByWhatIsDue(t *testing.T) {
	for _, space := range []byte{encoding.SpaceExpiry, encoding.SpaceListed} {
		for n := range 8 {
			w, spaces := dueWorld(t, catalog.Options{}, 12)
			w.clock.Leap(2 * day)
			var seen atomic.Int64 // what is due is read by two goroutines
			create := func(key []byte) error {
				if key[0] != space {
					return nil
				}
				if seen.Add(1) == int64(n+1) {
					spaces.on.Store(nil)
					w.createFor("m005", 1)
					w.createFor("m0055", 1)
				}
				return nil
			}
			spaces.on.Store(&create)
			w.listed(catalog.ListOptions{})
			require.Nil(t, spaces.on.Load(), "the page has not come to the space")
			require.Equal(t, []string{"m005", "m0055"}, w.listed(catalog.ListOptions{}))
		}
	}
}

// An edit that began before the deadline, and takes long, is waited for.
func TestLongEditIsNotDue(t *testing.T) {
	w, spaces := dueWorld(t, catalog.Options{}, 20)
	w.decorate(func(b backend.Backend) backend.Backend { return steppedBackend{b} })
	release, reached := make(chan struct{}), make(chan struct{})
	ctx := withUpdateSteps(t.Context(), updateSteps{begins: func() {}, commits: func() {
		close(reached)
		<-release
	}})
	edited := make(chan error)
	go func() {
		_, err := w.catalogs[0].Upsert(ctx, acme, "m010", catalog.Patch{ValidForDays: catalog.Set(300)})
		edited <- err
	}()
	<-reached
	w.clock.Leap(2 * day)
	// The page has stepped over what stands in front of the product when it waits for it.
	looked := func(key []byte) error {
		if key[0] == encoding.SpaceListed {
			spaces.on.Store(nil)
			close(release)
		}
		return nil
	}
	spaces.on.Store(&looked)
	require.Equal(t, []string{"m010"}, w.listed(catalog.ListOptions{}))
	require.NoError(t, <-edited)
	require.Equal(t, []string{"m010"}, w.listed(catalog.ListOptions{}))
}

// Where the expiry space or the listed space can't be read the records are, and the
// catalog says that it has met damage.
func TestDueOfADamagedSpace(t *testing.T) {
	for _, space := range []byte{encoding.SpaceExpiry, encoding.SpaceListed} {
		w, spaces := dueWorld(t, catalog.Options{}, 40)
		w.create("z")
		w.clock.Leap(2 * day)
		fail := func(key []byte) error {
			if key[0] != space {
				return nil
			}
			return &backend.DamageError{Range: backend.Range{Start: key, End: append(slices.Clone(key), 0)}, Cause: errors.New("broken")}
		}
		spaces.on.Store(&fail)
		require.Equal(t, []string{"z"}, w.listed(catalog.ListOptions{}))
		require.ErrorIs(t, w.c().Damage(), catalog.ErrDamaged)
		spaces.on.Store(nil)
	}
}

var dueSeed = flag.Uint64("due.seed", 0, "seed of TestListsBesideEverything; 0: random")

// TestListsBesideEverything has lists and loops beside creations, edits, uses, deletions
// and sweeps, on products that expire all at once now and then, with restarts between:
// what was acknowledged before a list began, and is left alone until it has ended, is in
// it once, and what had expired or was deleted before is not.
func TestListsBesideEverything(t *testing.T) {
	seed := *dueSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("replay with -due.seed=%d", seed)
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	for _, window := range []time.Duration{catalog.NoUseWindow, time.Hour} {
		testListsBesideEverything(t, rand.New(rand.NewPCG(seed, uint64(window))), window, rounds)
	}
}

func testListsBesideEverything(t *testing.T, random *rand.Rand, window time.Duration, rounds int) {
	const products, writers, listers, steps = 240, 3, 2, 60
	disk := vfs.NewMem()
	clock := ttl.NewManualClock(epoch)
	open := func() *catalog.Catalog {
		c, err := openOn(disk, clock, catalog.Options{UseWindow: window})
		require.NoError(t, err)
		catalog.EagerDeadSpans(c)
		return c
	}
	c := open()
	// Of each product: what was acknowledged last, as an odd number while a call is at work.
	type product struct {
		version atomic.Int64
		lives   atomic.Bool
	}
	state := make([]product, products)
	id := func(i int) string { return fmt.Sprintf("m%03d", i) }
	create := func(i, days int) error {
		_, err := c.Upsert(t.Context(), acme, id(i), withImage(catalog.Patch{ValidForDays: catalog.Set(days), Title: catalog.Set(fmt.Sprint(days))}))
		return err
	}
	for round := range rounds {
		for i := range state {
			if state[i].lives.Load() || random.IntN(4) == 0 {
				continue
			}
			require.NoError(t, create(i, 1))
			if random.IntN(8) == 0 {
				_, err := c.Use(t.Context(), acme, id(i)) // its entry says that it was renewed, or will
				require.NoError(t, err)
			}
		}
		if round%3 == 2 {
			require.NoError(t, c.Close())
			c = open()
		}
		// Everything expires. Those that live for longer were created while the last round's
		// lists ran.
		clock.Leap(time.Duration(2+random.IntN(3)) * day)
		for i := range state {
			state[i].lives.Store(false)
		}
		for i := range state {
			if _, err := c.Get(t.Context(), acme, id(i)); err == nil {
				state[i].lives.Store(true)
			}
		}
		var all sync.WaitGroup
		for n := range writers {
			r := rand.New(rand.NewPCG(random.Uint64(), 0))
			all.Go(func() {
				for range steps {
					i := n + writers*r.IntN(products/writers) // each its own
					p := &state[i]
					p.version.Add(1)
					var err error
					lives := p.lives.Load()
					switch what := r.IntN(8); {
					case what == 0:
						if err = c.Delete(t.Context(), acme, id(i)); errors.Is(err, catalog.ErrNotFound) && !lives {
							err = nil
						}
						lives = false
					case what < 3 && lives:
						_, err = c.Use(t.Context(), acme, id(i))
					case what == 7:
						_, err = c.Sweep(t.Context())
					default:
						err = create(i, 1+r.IntN(6))
						lives = true
					}
					if err != nil {
						t.Error(err)
					}
					p.lives.Store(lives)
					p.version.Add(1)
				}
			})
		}
		for n := range listers {
			r := rand.New(rand.NewPCG(random.Uint64(), 1))
			all.Go(func() {
				for range steps / 6 {
					before, lived := make([]int64, products), make([]bool, products)
					for i := range state {
						before[i] = state[i].version.Load()
						lived[i] = state[i].lives.Load()
					}
					seen := map[string]int{}
					if n == 0 {
						for p, err := range c.All(t.Context(), acme, catalog.AllOptions{}) {
							if err != nil {
								t.Error(err)
								return
							}
							seen[p.ExternalID]++
						}
					} else {
						o := catalog.ListOptions{Limit: 1 + r.IntN(50), Unlisted: r.IntN(4) == 0}
						for more := true; more; {
							page, err := c.List(t.Context(), acme, o)
							if err != nil {
								t.Error(err)
								return
							}
							for _, p := range page.Products {
								seen[p.ExternalID]++
							}
							more, o.Cursor = page.HasMore, page.NextCursor
						}
					}
					for i := range state {
						if before[i]%2 != 0 || state[i].version.Load() != before[i] {
							continue // written meanwhile
						}
						want := 0
						if lived[i] {
							want = 1
						}
						if seen[id(i)] != want {
							t.Errorf("round %d: %s is listed %d times, and should be %d times", round, id(i), seen[id(i)], want)
						}
					}
				}
			})
		}
		all.Wait()
		if t.Failed() {
			break
		}
	}
	report, err := c.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	require.NoError(t, c.Close())
}
