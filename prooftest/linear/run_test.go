package linear

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

const (
	// As many as the checker can follow: what it has to look at grows
	// exponentially with the calls that overlap. With 12 clients one history in
	// thousands took it more than 20 s and 3 GB; with 8 none took half a second.
	clients  = 8
	products = 2   // of a round
	perRound = 100 // calls of each client on fresh products
)

// load is a store under the calls of many clients.
type load struct {
	catalogs []*catalog.Catalog
	clock    *ttl.ManualClock
	clockMu  sync.Mutex   // held while the clock moves; guards times
	times    []int64      // that the clock showed
	ticks    atomic.Int64 // orders calls and returns
	seed     uint64
	overlay  bool // uses wait in memory
	idle     bool // clients take turns: a load without contention
	// brief says that the clock moves on by hours only between calls. Where processes
	// share a store an Update is taken to end in a minute.
	brief   bool
	calling sync.RWMutex // held by calls for reading, by such a move for writing

	calls, overlapping int
	kinds              map[string]int
	mu                 sync.Mutex // guards kinds
}

// client makes calls, and keeps what it saw.
type client struct {
	*load
	id       int
	rng      *rand.Rand
	account  string
	history  map[string][]porcupine.Operation // by product
	versions map[string][]catalog.Version     // seen
}

var epoch = time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC)

// round runs all clients on fresh products and returns the history of each
// product, the clock's included.
func (l *load) round(n int) (map[string][]porcupine.Operation, error) {
	var wg sync.WaitGroup
	var turn sync.Mutex
	all := make([]*client, clients)
	failed := make([]error, clients)
	for i := range all {
		c := &client{
			load: l, id: i, account: fmt.Sprintf("account-%d", n%2),
			rng:     rand.New(rand.NewPCG(l.seed, uint64(n)<<8|uint64(i))),
			history: map[string][]porcupine.Operation{}, versions: map[string][]catalog.Version{},
		}
		all[i] = c
		wg.Go(func() {
			for range perRound {
				if l.idle {
					turn.Lock()
				}
				err := c.step(n)
				if l.idle {
					turn.Unlock()
				}
				if err != nil {
					failed[i] = err
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
	clock := histories[""]
	delete(histories, "")
	for id, ops := range histories {
		calls, overlapping := contention(ops)
		l.calls += calls
		l.overlapping += overlapping
		histories[id] = append(slices.Clone(clock), ops...)
	}
	return histories, errors.Join(failed...)
}

// contention counts the calls on a product, and those that ran while another
// client was at work on it, one of the two being a write.
func contention(ops []porcupine.Operation) (calls, overlapping int) {
	for _, a := range ops {
		if k := a.Input.(input).kind; k == useTouch || k == usesSeen || k == touched {
			continue // the other half is counted
		}
		calls++
		if slices.ContainsFunc(ops, func(b porcupine.Operation) bool {
			write := a.Input.(input).kind != get || b.Input.(input).kind != get
			return write && a.ClientId != b.ClientId && a.Call < b.Return && b.Call < a.Return
		}) {
			overlapping++
		}
	}
	return calls, overlapping
}

// step makes one call.
func (c *client) step(round int) error {
	ctx, rng := context.Background(), c.rng
	id := fmt.Sprintf("r%d-p%d", round, rng.IntN(products))
	api := c.catalogs[rng.IntN(len(c.catalogs))]
	pick := rng.IntN(100)
	step := []time.Duration{time.Millisecond, 3 * time.Second, 7 * time.Hour, 12*time.Hour - 1, 24 * time.Hour}[rng.IntN(5)]
	if c.brief && pick >= 93 && step > time.Minute {
		c.calling.Lock()
		defer c.calling.Unlock()
	} else {
		c.calling.RLock()
		defer c.calling.RUnlock()
	}
	in := input{called: c.clock.Now().UnixMilli(), days: absentDays}
	begin := c.ticks.Add(1)
	note := func(id string, in input, out output) {
		c.history[id] = append(c.history[id], porcupine.Operation{
			ClientId: c.id, Input: in, Call: begin, Output: out, Return: c.ticks.Add(1),
		})
		c.count(in, out)
		if c.overlay && out.product.version != "" && (in.kind != upsert || out.outcome != catalog.Created) && in.kind != useTouch {
			// Those from before the call at least.
			in.kind = usesSeen
			c.history[id] = append(c.history[id], porcupine.Operation{
				ClientId: c.id, Input: in, Call: begin, Output: out, Return: begin,
			})
		}
	}
	switch n := pick; {
	case n < 25:
		in.kind = get
		p, err := c.read(ctx, api, id)
		out, err := c.answered(p, err)
		if err != nil {
			return err
		}
		note(id, in, out)
	case n < 37:
		return c.use(ctx, api, id, in, note)
	case n < 47:
		return c.touch(ctx, api, id, in, note)
	case n < 85:
		return c.upsert(ctx, api, id, in, note)
	case n < 91:
		in.kind = remove
		err := api.Delete(ctx, c.account, id, c.condition(id, &in)...)
		out, err := c.answered(nil, err)
		if err != nil {
			return err
		}
		note(id, in, out)
	case n < 93:
		_, err := api.Sweep(ctx) // no call must notice
		return err
	default:
		in.kind = advance
		in.to = c.tick(step)
		note("", in, output{})
	}
	return nil
}

// read reads a product in one of the ways that are of one instant each. A list is
// not: it may show a use on an older edit.
func (c *client) read(ctx context.Context, api *catalog.Catalog, id string) (p *catalog.Product, err error) {
	switch c.rng.IntN(3) {
	case 0:
		return api.Get(ctx, c.account, id)
	case 1:
		err = api.View(ctx, c.account, id, func(v catalog.ProductView) error {
			yield() // while the view is lent
			p = v.Product()
			return nil
		})
		return p, err
	}
	many, err := api.GetMany(ctx, c.account, []string{id})
	if err == nil {
		p = many[0]
	}
	if err == nil && p == nil {
		err = catalog.ErrNotFound
	}
	return p, err
}

// tick moves the clock and returns what it shows then.
func (l *load) tick(d time.Duration) int64 {
	l.clockMu.Lock()
	defer l.clockMu.Unlock()
	l.clock.Advance(d)
	now := l.clock.Now().UnixMilli()
	l.times = append(l.times, now)
	return now
}

func (c *client) use(ctx context.Context, api *catalog.Catalog, id string, in input, note func(string, input, output)) error {
	p, err := api.Use(ctx, c.account, id)
	out, err := c.answered(p, err)
	if err != nil {
		return err
	}
	c.noteUse(id, in, out, note)
	return nil
}

// touch makes a use that does not show the product.
func (c *client) touch(ctx context.Context, api *catalog.Catalog, id string, in input, note func(string, input, output)) error {
	expires, err := api.Touch(ctx, c.account, id)
	out, err := c.answered(nil, err)
	if err != nil {
		return err
	}
	if !expires.IsZero() {
		out.product.expires = expires.UnixMilli()
	}
	in.kind, in.client, in.to = touch, c.id, c.clock.Now().UnixMilli()
	note(id, in, out)
	if out.answer == done {
		in.kind = touched
		note(id, in, out)
	}
	return nil
}

func (c *client) noteUse(id string, in input, out output, note func(string, input, output)) {
	in.kind = useRead
	note(id, in, out)
	if out.answer == done {
		in.kind = useTouch
		note(id, in, out)
	}
}

func (c *client) upsert(ctx context.Context, api *catalog.Catalog, id string, in input, note func(string, input, output)) error {
	in.kind, in.inline = upsert, c.rng.IntN(4) == 0
	// Few titles, so that some edits change nothing.
	in.title = fmt.Sprint("t", c.rng.IntN(3))
	p := catalog.Patch{
		Title:  catalog.Set(in.title),
		Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/front.jpg"}}),
	}
	switch c.rng.IntN(4) {
	case 0:
		in.days = 0
		p.ValidForDays = catalog.Null[int]()
	case 1, 2:
		in.days = 1
		p.ValidForDays = catalog.Set(1)
	}
	conds := c.condition(id, &in)
	call := api.Upsert
	if in.inline {
		call = api.UpsertInline
	} else if in.cond == ifExists {
		// Of a product that lives an Edit is this.
		call = func(ctx context.Context, account, id string, p catalog.Patch, conds ...catalog.Condition) (catalog.Result, error) {
			return api.Edit(ctx, account, id, func(catalog.ProductView) (catalog.Patch, error) {
				yield()
				return p, nil
			}, conds...)
		}
	}
	res, err := call(ctx, c.account, id, p, conds...)
	out, err := c.answered(res.Product, err)
	if err != nil {
		return err
	}
	out.outcome = res.Outcome
	if in.inline && out.answer == done && res.Outcome == catalog.Unchanged {
		c.noteUse(id, in, out, note)
		return nil
	}
	note(id, in, out)
	return nil
}

// condition draws conditions of a write.
func (c *client) condition(id string, in *input) []catalog.Condition {
	switch seen := c.versions[id]; c.rng.IntN(8) {
	case 0:
		in.cond = createOnly
		if in.kind == remove {
			break
		}
		return []catalog.Condition{catalog.CreateOnly()}
	case 1:
		in.cond = ifExists
		return []catalog.Condition{catalog.IfExists()}
	case 2, 3, 4:
		if len(seen) > 0 {
			v := seen[max(0, len(seen)-1-c.rng.IntN(2))]
			in.cond, in.want = ifVersion, v.String()
			return []catalog.Condition{catalog.IfVersion(v)}
		}
	}
	in.cond = always
	return nil
}

// answered turns an answer into the model's; an error that no operation may
// have is returned.
func (c *client) answered(p *catalog.Product, err error) (output, error) {
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return output{answer: notFound}, nil
	case errors.Is(err, catalog.ErrPreconditionFailed):
		return output{answer: preconditionFailed}, nil
	case err != nil || p == nil:
		return output{}, err
	}
	c.versions[p.ExternalID] = append(c.versions[p.ExternalID], p.Version())
	millis := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return t.UnixMilli()
	}
	return output{product: view{
		version: p.Version().String(), title: p.Title, listed: p.Listed, life: int64(p.ValidForDays) * dayMillis,
		lastUsed: millis(p.LastUsedAt), expires: millis(p.ExpiresAt), updated: millis(p.UpdatedAt),
	}}, nil
}

func (c *client) count(in input, out output) {
	text := in.kind.String()
	switch {
	case out.answer == notFound:
		text += " not found"
	case out.answer == preconditionFailed:
		text += " condition failed"
	case in.kind == upsert:
		text += " " + out.outcome.String()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kinds[text]++
}

// yielding lets others run at the instants at which they could see something
// half done, on a machine with one processor too.
type yielding struct{ backend.Backend }

func yield() {
	for range rand.IntN(4) {
		runtime.Gosched()
	}
}

func (y yielding) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	yield()
	defer yield()
	return y.Backend.Get(ctx, key, fn)
}

func (y yielding) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	yield()
	defer yield()
	return y.Backend.GetMany(ctx, keys, fn)
}

func (y yielding) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	yield()
	defer yield()
	return y.Backend.Update(ctx, scopes, o, func(ctx context.Context, x backend.Txn) error {
		yield()
		defer yield()
		return fn(ctx, x)
	})
}

func (y yielding) Durable(ctx context.Context, scopes []backend.Scope) error {
	yield()
	return y.Backend.Durable(ctx, scopes)
}
