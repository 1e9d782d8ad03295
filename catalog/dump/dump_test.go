package dump_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/dump"
	"github.com/shelflife-db/shelflife/ttl"
)

func newSum() hash.Hash { return sha256.New() }

func asError[T error](err error, target *T) bool { return errors.As(err, target) }

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// someHistory returns a catalog after a random history of so many steps.
func someHistory(t *testing.T, seed uint64, steps int, c *catalog.Catalog, clock *ttl.ManualClock) {
	t.Helper()
	h := &historian{Rand: rand.New(rand.NewPCG(seed, 0)), c: c, clock: clock}
	for range steps {
		require.NoError(t, h.step(t.Context()))
	}
}

// TestRoundTrip: what was dumped is loaded by every other kind of store as it was,
// and dumped again as the same bytes; a second load changes nothing.
func TestRoundTrip(t *testing.T) {
	for i, from := range stores {
		t.Run(from.name, func(t *testing.T) {
			clock := ttl.NewManualClock(epoch)
			source := open(t, from.open(t), clock)
			seed := rand.Uint64()
			t.Log("seed", seed)
			steps := 250
			if from.name == "postgres" || testing.Short() {
				steps = 80 // each takes milliseconds there
			}
			someHistory(t, seed, steps, source, clock)
			want, text := everything(t, source), write(t, source)
			require.NotEmpty(t, want)
			info, err := dump.Verify(t.Context(), bytes.NewReader(text))
			require.NoError(t, err)
			require.Equal(t, len(want), info.Products)
			for _, to := range append(stores[i:i+1:i+1], stores[(i+1)%len(stores)]) {
				t.Run(to.name, func(t *testing.T) {
					target := open(t, to.open(t), clock)
					got := load(t, target, text, nil)
					require.Equal(t, len(want), got.Created)
					require.Equal(t, want, everything(t, target))
					require.True(t, bytes.Equal(text, write(t, target)))
					got = load(t, target, text, &dump.Options{Existing: dump.Replace})
					require.Equal(t, len(want), got.Unchanged)
					require.True(t, bytes.Equal(text, write(t, target)))
					requireNothingLeft(t, target)
				})
			}
		})
	}
}

// requireNothingLeft: a load leaves no bytes behind but those of products.
func requireNothingLeft(t *testing.T, c *catalog.Catalog) {
	t.Helper()
	report, err := c.Check(t.Context())
	require.NoError(t, err)
	uploads := 0
	for account, err := range c.Accounts(t.Context(), catalog.AccountsOptions{}) {
		require.NoError(t, err)
		stats, err := c.Stats(t.Context(), account)
		require.NoError(t, err)
		uploads += stats.Uploads
	}
	require.Equal(t, uploads, report.Blobs)
}

// TestLoadResumes: a load that ended anywhere is repeated, and ends as one that did
// not.
func TestLoadResumes(t *testing.T) {
	clock := ttl.NewManualClock(epoch)
	source := inMemory(t, clock)
	someHistory(t, 7, 60, source, clock)
	text, want := write(t, source), everything(t, source)
	random := rand.New(rand.NewPCG(1, 1))
	broken := errors.New("broken")
	for range 20 {
		store := memory.New(nil)
		for range 1 + random.IntN(3) {
			target, err := catalog.Open(t.Context(), store.Handle(), &catalog.Options{Clock: clock})
			require.NoError(t, err)
			cut := random.IntN(len(text))
			var r io.Reader = bytes.NewReader(text[:cut])
			if want := dump.ErrNotIntact; random.IntN(2) == 0 {
				_, err = dump.Load(t.Context(), target, r, nil)
				require.ErrorIs(t, err, want)
			} else {
				// As when the process is killed: nothing is tidied up.
				ctx, cancel := context.WithCancelCause(t.Context())
				r = io.MultiReader(r, readerFunc(func([]byte) (int, error) { cancel(broken); return 0, broken }))
				_, err = dump.Load(ctx, target, r, nil)
				require.ErrorIs(t, err, broken)
			}
			requireSound(t, target)
			require.NoError(t, target.Close())
		}
		target := open(t, store.Handle(), clock)
		load(t, target, text, nil)
		require.Equal(t, want, everything(t, target))
		require.True(t, bytes.Equal(text, write(t, target)))
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestLoadRefusesWhatIsNotIntact: one bit that was flipped, one byte that is missing
// or one too many anywhere.
func TestLoadRefusesWhatIsNotIntact(t *testing.T) {
	clock := ttl.NewManualClock(epoch)
	source := inMemory(t, clock)
	for i := range 5 {
		_, err := source.Upsert(t.Context(), "shop", fmt.Sprint(i), product(url(i), uploaded(pngOf(uint64(i%2), 4))))
		require.NoError(t, err)
	}
	text, want := write(t, source), map[string]bool{}
	for _, p := range everything(t, source) {
		want[p] = true
	}
	target := inMemory(t, clock)
	refused := func(name string, bad []byte) {
		t.Helper()
		_, err := dump.Verify(t.Context(), bytes.NewReader(bad))
		require.ErrorIs(t, err, dump.ErrNotIntact, name)
		_, err = dump.Load(t.Context(), target, bytes.NewReader(bad), nil)
		require.ErrorIs(t, err, dump.ErrNotIntact, name)
		for _, p := range everything(t, target) {
			require.True(t, want[p], "%s: %s", name, p)
		}
		require.NoError(t, target.Damage())
		_, err = target.DeleteAccount(t.Context(), "shop")
		require.NoError(t, err)
	}
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 1 << (i % 8)
		refused(fmt.Sprint("flipped ", i), bad)
		refused(fmt.Sprint("cut at ", i), text[:i])
		if i%7 == 0 {
			refused(fmt.Sprint("missing ", i), append(text[:i:i], text[i+1:]...))
			refused(fmt.Sprint("added at ", i), append(append(text[:i:i], 0), text[i:]...))
		}
	}
	refused("added", append(bytes.Clone(text), 0))
	refused("twice", append(bytes.Clone(text), text...))
	refused("nothing", nil)
	refused("text", []byte(`{"externalId":"a"}`))
}

// TestWriteHasWhatWasAcknowledged: uses included that no record shows yet.
func TestWriteHasWhatWasAcknowledged(t *testing.T) {
	clock := ttl.NewManualClock(epoch)
	source := inMemory(t, clock)
	p := product(url(1))
	p.ValidForDays = catalog.Set(30)
	_, err := source.Upsert(t.Context(), "shop", "used", p)
	require.NoError(t, err)
	clock.Advance(day)
	_, err = source.Use(t.Context(), "shop", "used")
	require.NoError(t, err)
	stats, err := source.StoreStats(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, stats.PendingUses)
	target := inMemory(t, clock)
	load(t, target, write(t, source), nil)
	got, err := target.Get(t.Context(), "shop", "used")
	require.NoError(t, err)
	require.Equal(t, clock.Now(), got.LastUsedAt)
	require.Equal(t, clock.Now().Add(30*day), got.ExpiresAt)
}

// TestExpiredProducts are left out by Write, and by Load those that expired since.
func TestExpiredProducts(t *testing.T) {
	clock := ttl.NewManualClock(epoch)
	store := memory.New(nil)
	source, err := catalog.Open(t.Context(), store, &catalog.Options{Clock: clock, Sweeper: ttl.SweeperOptions{Grace: 1000 * day}})
	require.NoError(t, err)
	defer source.Close()
	shared := pngOf(1, 310)
	for id, days := range map[string]int{"a": 1, "b": 3, "c": 100} {
		p := product(uploaded(shared))
		p.ValidForDays = catalog.Set(days)
		_, err := source.Upsert(t.Context(), "shop", id, p)
		require.NoError(t, err)
	}
	clock.Advance(2 * day)
	text := write(t, source)
	info, err := dump.Verify(t.Context(), bytes.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, 2, info.Products)
	clock.Advance(2 * day)
	target := inMemory(t, clock)
	got := load(t, target, text, nil)
	require.Equal(t, 1, got.Expired)
	require.Equal(t, 1, got.Created)
	require.Len(t, everything(t, target), 1, "its image came with one that has expired")
	requireNothingLeft(t, target)
}

// TestLoadOfAProductThatHasExpired: where it was used later elsewhere it lives again,
// and was never reported as expired; another product of its ID was.
func TestLoadOfAProductThatHasExpired(t *testing.T) {
	clock := ttl.NewManualClock(epoch)
	source, ctx := inMemory(t, clock), t.Context()
	var reported []string
	target, err := catalog.Open(ctx, memory.New(nil), &catalog.Options{
		Clock: clock, Sweeper: ttl.SweeperOptions{Grace: 1000 * day},
		OnExpire: func(_ context.Context, _ *catalog.Catalog, e catalog.Expired) {
			reported = append(reported, e.Product.ExternalID)
		},
	})
	require.NoError(t, err)
	p := product(url(1))
	p.ValidForDays = catalog.Set(2)
	_, err = source.Upsert(ctx, "shop", "same", p)
	require.NoError(t, err)
	load(t, target, write(t, source), nil)
	_, err = source.Upsert(ctx, "shop", "other", p)
	require.NoError(t, err)
	_, err = target.Upsert(ctx, "shop", "other", p)
	require.NoError(t, err)
	clock.Advance(day)
	for _, id := range []string{"same", "other"} {
		_, err = source.Use(ctx, "shop", id)
		require.NoError(t, err)
	}
	clock.Advance(day)
	require.Empty(t, everything(t, target))
	require.Equal(t, 2, load(t, target, write(t, source), nil).Created)
	require.Equal(t, everything(t, source), everything(t, target))
	require.NoError(t, target.Close()) // which awaits OnExpire
	require.Equal(t, []string{"other"}, reported)
}

// TestLoadIntoProducts: those that the store has in another version are refused, kept
// or replaced; uses go forward alone.
func TestLoadIntoProducts(t *testing.T) {
	clock := ttl.NewManualClock(epoch)
	source, ctx := inMemory(t, clock), t.Context()
	small, large := pngOf(1, 4), pngOf(2, 310)
	for _, id := range []string{"edited", "foreign", "new", "same", "used here", "used there"} {
		p := product(uploaded(small), uploaded(large))
		p.ValidForDays = catalog.Set(100)
		_, err := source.Upsert(ctx, "shop", id, p)
		require.NoError(t, err)
	}
	first := write(t, source)
	target := inMemory(t, clock)
	load(t, target, first, nil)
	require.NoError(t, target.Delete(ctx, "shop", "new"))
	require.NoError(t, target.Delete(ctx, "shop", "foreign"))
	_, err := target.Upsert(ctx, "shop", "foreign", product(url(1)))
	require.NoError(t, err)
	_, err = target.Upsert(ctx, "shop", "besides", product(url(1)))
	require.NoError(t, err)
	_, err = target.Upsert(ctx, "shop", "edited", catalog.Patch{Title: catalog.Set("there"), Images: catalog.Set([]catalog.NewImage{url(2)})})
	require.NoError(t, err)
	clock.Advance(time.Hour)
	_, err = source.Use(ctx, "shop", "used here")
	require.NoError(t, err)
	clock.Advance(time.Hour)
	_, err = target.Use(ctx, "shop", "used there")
	require.NoError(t, err)
	second := write(t, source)

	before := everything(t, target)
	var named []string
	o := &dump.Options{Report: func(account, id string, err error) {
		require.ErrorIs(t, err, dump.ErrExists)
		named = append(named, account+" "+id)
	}}
	info, err := dump.Load(ctx, target, bytes.NewReader(second), o)
	require.ErrorIs(t, err, dump.ErrExists)
	require.Equal(t, []string{"shop edited", "shop foreign"}, named)
	require.Equal(t, []int{1, 2, 1, 2}, []int{info.Created, info.Unchanged, info.Used, info.Refused})
	after := everything(t, target)
	require.Len(t, after, len(before)+1)
	got, err := target.Get(ctx, "shop", "used there")
	require.NoError(t, err)
	require.Equal(t, clock.Now(), got.LastUsedAt)

	info = load(t, target, second, &dump.Options{Existing: dump.Keep})
	require.Equal(t, []int{4, 2}, []int{info.Unchanged, info.Kept})
	require.Equal(t, after, everything(t, target))

	info = load(t, target, second, &dump.Options{Existing: dump.Replace})
	require.Equal(t, []int{4, 2}, []int{info.Unchanged, info.Replaced})
	for _, id := range []string{"edited", "foreign", "new", "same", "used here"} {
		want, err := source.Get(ctx, "shop", id)
		require.NoError(t, err)
		got, err := target.Get(ctx, "shop", id)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.NotEmpty(t, sumOf(t, target, "shop", id, 1))
	}
	_, err = target.Get(ctx, "shop", "besides")
	require.NoError(t, err)
}

// TestLoadWritesConditions: a version from before a move still names its edit.
func TestLoadedVersions(t *testing.T) {
	clock := ttl.NewManualClock(epoch)
	source, target, ctx := inMemory(t, clock), inMemory(t, clock), t.Context()
	res, err := source.Upsert(ctx, "shop", "a", product(url(1)))
	require.NoError(t, err)
	load(t, target, write(t, source), nil)
	_, err = target.Upsert(ctx, "shop", "a", catalog.Patch{Title: catalog.Set("x")}, catalog.IfVersion(res.Product.Version()))
	require.NoError(t, err)
	_, err = target.Upsert(ctx, "shop", "a", catalog.Patch{Title: catalog.Set("y")}, catalog.IfVersion(res.Product.Version()))
	require.ErrorIs(t, err, catalog.ErrPreconditionFailed)
}

// TestClosing: a dump and a load end with the catalog.
func TestClosing(t *testing.T) {
	clock := ttl.NewManualClock(epoch)
	c, err := catalog.Open(t.Context(), memory.New(nil), &catalog.Options{Clock: clock})
	require.NoError(t, err)
	text := write(t, c)
	require.NoError(t, c.Close())
	_, err = dump.Write(t.Context(), io.Discard, c, nil)
	require.ErrorIs(t, err, catalog.ErrClosed)
	_, err = dump.Load(t.Context(), c, bytes.NewReader(text), nil)
	require.ErrorIs(t, err, catalog.ErrClosed)
}
