package catalog_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// glassWorld is one catalog on a store in memory whose inside is in view.
type glassWorld struct {
	*world
	store *memory.Store
	probe *probe
	life  *life
	// parts is how many the journal had when it was looked at last: see journaled.
	parts int
}

// behindGlass opens a catalog on a store in memory. Nothing folds or sweeps
// before the clock is moved.
func behindGlass(t *testing.T, o catalog.Options) *glassWorld {
	store := memory.New(nil)
	w := &world{t: t, clock: ttl.NewManualClock(epoch), opts: o, handles: 1}
	w.opts.Clock = w.clock
	g := &glassWorld{world: w, store: store, probe: new(probe)}
	g.begin()
	return g
}

// begin opens the catalog, until the test ends or it crashes.
func (w *glassWorld) begin() {
	l := new(life)
	w.life = l
	w.open = func() backend.Backend { return &mortal{&probed{w.store.Handle(), w.probe}, l} }
	w.start()
	w.t.Cleanup(func() {
		w.requireSound()
		w.close()
	})
}

// crash opens another catalog on what is in the store now. The one before is dead:
// nothing that it does in the background from now on reaches the store.
func (w *glassWorld) crash(o catalog.Options) *glassWorld {
	w.t.Helper()
	w.life.end()
	after := &world{t: w.t, clock: ttl.NewManualClock(w.clock.Now()), opts: o, handles: 1}
	after.opts.Clock = after.clock
	g := &glassWorld{world: after, store: w.store, probe: w.probe, parts: len(journalParts(w.t, w.store))}
	g.begin()
	return g
}

// life is a process's, which may end in a crash.
type life struct {
	mu    sync.RWMutex // is held by Updates for reading, and guards ended
	ended bool
}

// end waits for the Updates that are under way.
func (l *life) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

// mortal is a store as a process sees it. After its end its Updates do nothing, and
// say that they did.
type mortal struct {
	backend.Backend
	life *life
}

func (m *mortal) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	m.life.mu.RLock()
	defer m.life.mu.RUnlock()
	if m.life.ended {
		return nil
	}
	return m.Backend.Update(ctx, scopes, o, fn)
}

func (w *glassWorld) record(id string) *encoding.Record {
	w.t.Helper()
	return storedRecord(w.t, w.store.Handle(), id)
}

func (w *glassWorld) pending() int {
	w.t.Helper()
	s, err := w.c().StoreStats(w.t.Context())
	require.NoError(w.t, err)
	return s.PendingUses
}

// folds moves the clock in small steps until nothing is pending.
func (w *glassWorld) folds() {
	w.t.Helper()
	for w.pending() > 0 {
		nudge(w.clock, w.window())
	}
	w.parts = len(journalParts(w.t, w.store))
}

func (w *glassWorld) window() time.Duration {
	if w.opts.UseWindow > 0 {
		return w.opts.UseWindow
	}
	return time.Second
}

// foldRounds returns when so many rounds of folding have come to their ends.
func (w *glassWorld) foldRounds(n int) {
	w.t.Helper()
	_, err := w.c().Upsert(w.t.Context(), "rounds", "p", withImage(catalog.Patch{}))
	require.NoError(w.t, err)
	for range n + 1 { // a round has ended when the next has written
		w.clock.Advance(tick)
		used, err := w.c().Use(w.t.Context(), "rounds", "p")
		require.NoError(w.t, err)
		for folded := int64(0); folded != used.LastUsedAt.UnixMilli(); {
			nudge(w.clock, w.window())
			_, err := w.store.Handle().Get(w.t.Context(), encoding.AppendProductKey(nil, "rounds", "p"), func(v []byte) error {
				h, err := encoding.PeekRecord(v)
				folded = h.LastUsedAt
				return err
			})
			require.NoError(w.t, err)
		}
	}
}
