package linear

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
	"github.com/shelflife-db/shelflife/catalog"
	shop "github.com/shelflife-db/shelflife/httpadapter/client"
	"github.com/shelflife-db/shelflife/prooftest/internal/serve"
)

// servers share a database.
const servers = 3

// leap is the unit in which the database's clock leaps. No lifetime is a multiple
// of it: a deadline is hours away from every instant at which something is asked,
// so that milliseconds do not decide.
const leap = 7 * time.Hour

const httpKey = "key-of-the-account"

// served is a load on several servers. The database's clock runs on between its
// leaps: for the model every time is that of the leap before it.
type served struct {
	seed    uint64
	urls    []string
	set     func(time.Time) // the database's clock
	calling sync.RWMutex    // held by calls for reading, by a leap for writing
	times   []int64         // of the leaps, in Unix milliseconds; guarded by calling
	ticks   atomic.Int64    // orders calls and returns
	mu      sync.Mutex      // guards kinds
	kinds   map[string]int
}

// TestLinearizableOverHTTP is TestLinearizable with several servers on one
// database, every request sent to one of them at random.
func TestLinearizableOverHTTP(t *testing.T) {
	seed := *linearSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	dsn := postgrestest.Database(t)
	l := &served{seed: seed, set: postgrestest.SetClock(t, dsn), times: []int64{epoch.UnixMilli()}, kinds: map[string]int{}}
	l.set(epoch.Add(time.Second))
	binary := serve.Build(t)
	var all []*serve.Server
	for range servers {
		all = append(all, serve.Start(t, binary, "--store", postgrestest.WithClock(dsn), "--api-key", "acme="+httpKey))
	}
	for _, s := range all {
		l.urls = append(l.urls, s.URL(t))
	}
	calls, overlapping := 0, 0
	for n := 0; calls < *linearCalls/100; n++ {
		start := l.times[len(l.times)-1]
		histories, err := l.round(t.Context(), n)
		require.NoError(t, err, "seed %d", seed)
		for id, ops := range histories {
			if id == "" {
				continue
			}
			c, o := contention(ops)
			calls, overlapping = calls+c, overlapping+o
			requireLinearizable(t, spec{false, l.times}.model(start), id, append(slices.Clone(histories[""]), ops...), seed)
		}
	}
	share := float64(overlapping) / float64(calls)
	t.Logf("%d calls of %d clients on %d servers, %.0f%% under contention, replay with -linear.seed=%d: %v",
		calls, clients, servers, 100*share, seed, l.kinds)
	require.GreaterOrEqual(t, share, enoughContention, "too little contention proves nothing")
}

func (l *served) round(ctx context.Context, n int) (map[string][]porcupine.Operation, error) {
	var wg sync.WaitGroup
	all, failed := make([]*remote, clients), make([]error, clients)
	for i := range all {
		c := &remote{
			served: l, id: i, rng: rand.New(rand.NewPCG(l.seed, uint64(n)<<8|uint64(i))),
			history: map[string][]porcupine.Operation{}, versions: map[string][]string{},
		}
		for _, url := range l.urls {
			api, err := shop.New(url, &shop.Options{APIKey: httpKey, Attempts: 1, HTTPClient: http.DefaultClient})
			if err != nil {
				return nil, err
			}
			c.apis = append(c.apis, api)
		}
		all[i] = c
		wg.Go(func() {
			for range perRound {
				if failed[i] = c.step(ctx, n); failed[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	histories := map[string][]porcupine.Operation{}
	for _, c := range all {
		for id, ops := range c.history {
			histories[id] = append(histories[id], ops...)
		}
	}
	return histories, errors.Join(failed...)
}

// remote is a client of all servers.
type remote struct {
	*served
	id       int
	rng      *rand.Rand
	apis     []*shop.Client
	history  map[string][]porcupine.Operation
	versions map[string][]string // seen
}

func (c *remote) step(ctx context.Context, round int) error {
	id := fmt.Sprintf("r%d-p%d", round, c.rng.IntN(products))
	pick := c.rng.IntN(100)
	if pick >= 95 {
		return c.leap(ctx, time.Duration(1+c.rng.IntN(3))*leap)
	}
	c.calling.RLock()
	defer c.calling.RUnlock()
	api := c.apis[c.rng.IntN(len(c.apis))]
	in := input{kind: get, called: c.times[len(c.times)-1], days: absentDays}
	var p *shop.Product
	var err error
	var out output
	switch {
	case pick < 80 && pick >= 40:
		in.kind = upsert
	case pick >= 86:
		in.kind = remove
	}
	// Not of a Get or a use: no call begins before its inputs are drawn.
	var conds []shop.Condition
	patch := shop.Patch{Images: shop.Set([]shop.NewImage{{URL: "https://cdn.example/front.jpg"}})}
	if in.kind != get {
		conds = c.condition(id, &in)
	}
	if in.kind == upsert {
		in.title = fmt.Sprint("t", c.rng.IntN(3)) // few, so that some edits change nothing
		patch.Title = shop.Set(in.title)
		switch c.rng.IntN(4) {
		case 0:
			in.days, patch.ValidForDays = 0, shop.Null[int]()
		case 1, 2:
			in.days, patch.ValidForDays = 1, shop.Set(1)
		}
	}
	begin := c.ticks.Add(1)
	switch {
	case in.kind == upsert:
		var r shop.Result
		r, err = api.Upsert(ctx, id, patch, conds...)
		p, out.kept = r.Product, !r.Created
		if r.Created {
			out.outcome = catalog.Created
		}
	case in.kind == remove:
		err = api.Delete(ctx, id, conds...)
	case pick < 40:
		p, err = api.Get(ctx, id)
	default:
		in.kind = useRead
		p, err = api.Use(ctx, id)
	}
	switch {
	case errors.Is(err, shop.ErrNotFound):
		out.answer = notFound
	case errors.Is(err, shop.ErrPreconditionFailed):
		out.answer = preconditionFailed
	case err != nil:
		return err
	case p != nil:
		out.product = c.seen(p)
	}
	c.note(id, begin, in, out)
	if in.kind == useRead && out.answer == done {
		in.kind = useTouch
		c.note(id, begin, in, out)
	}
	return nil
}

func (c *remote) note(id string, begin int64, in input, out output) {
	c.history[id] = append(c.history[id], porcupine.Operation{ClientId: c.id, Input: in, Call: begin, Output: out, Return: c.ticks.Add(1)})
	c.mu.Lock()
	defer c.mu.Unlock()
	text := in.kind.String()
	switch {
	case out.answer == notFound:
		text += " not found"
	case out.answer == preconditionFailed:
		text += " condition failed"
	case in.kind == upsert && !out.kept:
		text += " created"
	}
	c.kinds[text]++
}

// leap moves the database's clock, and has each server hear of it: one that is asked
// nothing runs on by its own.
func (c *remote) leap(ctx context.Context, d time.Duration) error {
	c.calling.Lock()
	defer c.calling.Unlock()
	begin := c.ticks.Add(1)
	to := time.UnixMilli(c.times[len(c.times)-1]).Add(d)
	c.set(to.Add(time.Second))
	c.times = append(c.times, to.UnixMilli())
	for _, api := range c.apis {
		if _, err := api.Get(ctx, "nothing"); !errors.Is(err, shop.ErrNotFound) {
			return fmt.Errorf("after a leap of the clock: %w", err)
		}
	}
	c.note("", begin, input{kind: advance, to: to.UnixMilli()}, output{})
	return nil
}

func (c *remote) condition(id string, in *input) []shop.Condition {
	switch seen := c.versions[id]; c.rng.IntN(8) {
	case 0:
		if in.kind == upsert {
			in.cond = createOnly
			return []shop.Condition{shop.CreateOnly()}
		}
	case 1:
		in.cond = ifExists
		return []shop.Condition{shop.IfExists()}
	case 2, 3, 4:
		if len(seen) > 0 {
			in.cond, in.want = ifVersion, seen[max(0, len(seen)-1-c.rng.IntN(2))]
			return []shop.Condition{shop.IfVersion(in.want)}
		}
	}
	return nil
}

// seen turns a product into the model's.
func (c *remote) seen(p *shop.Product) view {
	c.versions[p.ExternalID] = append(c.versions[p.ExternalID], p.Version)
	v := view{
		version: p.Version, title: p.Title, listed: p.Listed, life: int64(p.ValidForDays) * dayMillis,
		lastUsed: c.leapOf(p.LastUsedAt), updated: c.leapOf(p.UpdatedAt),
	}
	if v.life != 0 {
		v.expires = c.leapOf(p.ExpiresAt.Add(-time.Duration(v.life)*time.Millisecond)) + v.life
	}
	return v
}

// leapOf returns the time of the leap before t, and 0 for the zero time.
func (c *remote) leapOf(t time.Time) int64 {
	n, exact := slices.BinarySearch(c.times, t.UnixMilli())
	if exact {
		n++
	}
	if t.IsZero() || n == 0 {
		return 0
	}
	return c.times[n-1]
}
