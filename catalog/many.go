package catalog

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
)

// manyBatch and manyBatchBytes bound what UpsertMany commits in one Update, for a store that
// is this process's alone the former.
const (
	manyBatch      = 64
	manyBatchBytes = 1 << 20
)

// sharedManyBatch and manyAhead are how many items UpsertMany commits in one Update, and how
// many Updates it has on their way, where processes share the store: while the server writes
// for one the next is checked. A request and a transaction cost as much as twenty new
// products, so that what fits into one Update is not cut.
const (
	sharedManyBatch = 256
	manyAhead       = 2
)

// manyProbed is from how many items on UpsertMany asks, where processes share the store,
// whether all are new: while it checks the first of them. If so their Updates read nothing.
const manyProbed = 16

// UpsertItem is one upsert of [Catalog.UpsertMany].
type UpsertItem struct {
	ExternalID string
	Patch      Patch
	Conditions []Condition
}

// UpsertManyResult is the result or the error of one item.
type UpsertManyResult struct {
	Result
	Err error
}

// UpsertMany does for each item, in order, what [Catalog.Upsert] does, and
// returns a result or an error for each. Every item is atomic, the call is
// not: after an error the others may have happened. The same ID may appear
// more than once. Commits are shared, so that many items cost much less than
// as many calls; new products cost the least in ascending order of their IDs.
//
// From 1,024 items on, in a store that no other process writes to, new products without
// uploads are written in bulk, up to 16 MiB at a time, where no product of the account
// stands between the first and the last of them: that takes little more than half of
// the processor time. Other writers of the account wait meanwhile, for some 0.2 s; what
// reads, buffered uses among them, does not. From as many items on they are checked by up
// to four goroutines; what reads uploads is called by the caller's alone, in their order.
func (c *Catalog) UpsertMany(ctx context.Context, account string, items []UpsertItem) []UpsertManyResult {
	ctx, call := c.begin(ctx, OpUpsertMany)
	results := make([]UpsertManyResult, len(items))
	defer func() { call.upsertedMany(results) }()
	if err := c.calls.Enter(); err != nil {
		for i := range results {
			results[i].Err = c.wrap("upsert", items[i].ExternalID, err)
		}
		return results
	}
	defer c.calls.Exit()
	m := &manyUpserts{
		c: c, ctx: ctx, account: account, items: items, results: results, bulk: c.exclusive && len(items) >= c.bulk.items,
		most: manyBatch, ahead: 1,
	}
	if !c.exclusive {
		m.ahead = manyAhead
		updates := (len(items) + sharedManyBatch - 1) / sharedManyBatch
		m.most = (len(items) + updates - 1) / max(1, updates)
		if len(items) >= manyProbed {
			m.probe()
		}
	}
	m.collect()
	m.end()
	for i := range results {
		if results[i].Err != nil {
			results[i] = UpsertManyResult{Err: c.wrap("upsert", items[i].ExternalID, results[i].Err)}
		}
	}
	return results
}

// manyUpserts collects items and commits them in batches, without waiting for
// each to be durable. While batches are committed the next one is collected.
type manyUpserts struct {
	c       *Catalog
	ctx     context.Context
	account string
	items   []UpsertItem
	results []UpsertManyResult
	// bulk says that there are enough of them to be tried in bulk.
	bulk bool
	most int // items of a batch

	batch *upsertBatch
	// committing are batches whose commits are on their way, in order, at most ahead.
	committing []*upsertBatch
	ahead      int

	// probed is closed when it was asked whether products are there, and allNew says
	// that none was. It is nil where that is not asked.
	probed chan struct{}
	allNew bool

	mu         sync.Mutex // guards the rest
	committed  []int      // items that were decided and wait to be durable
	generation uint64     // of the backend, before the first of them
	scopes     []backend.Scope
}

// probe asks whether a product of the account stands between the first and the last of
// the items. The answer is out of date when it comes: the commits say whether it holds.
func (m *manyUpserts) probe() {
	all := newOnes{m.account, m.items[0].ExternalID, m.items[0].ExternalID}
	for i := range m.items {
		all.first, all.last = min(all.first, m.items[i].ExternalID), max(all.last, m.items[i].ExternalID)
	}
	m.probed = make(chan struct{})
	go func() {
		defer close(m.probed)
		// With an error, which the Updates meet as well, it is false.
		m.allNew, _ = areNew(m.ctx, m.c.backend, []newOnes{all})
	}()
}

// isNew reports whether the items are probably new.
func (m *manyUpserts) isNew() bool {
	if m.probed == nil {
		return false
	}
	<-m.probed
	return m.allNew
}

// upsertBatch are the items of one Update.
type upsertBatch struct {
	items   []int
	intakes []*intake
	bytes   int
	ended   chan struct{} // closed when the commit has ended
}

const (
	// receivers is how many goroutines at most check the items of a bulk, no more than
	// may run at once, and receivedAhead how many items each takes at a time: enough
	// that a goroutine pays, and few beside those of a chunk.
	receivers     = 4
	receivedAhead = 256
)

// collect checks the items and puts them into batches, in order.
func (m *manyUpserts) collect() {
	if !m.bulk {
		for i := range m.items {
			in, err := m.receive(i)
			m.add(i, in, err)
		}
		return
	}
	checks := make([]receipt, min(receivers, runtime.GOMAXPROCS(0))*receivedAhead)
	for begin := 0; begin < len(m.items); begin += len(checks) {
		some := checks[:min(len(checks), len(m.items)-begin)]
		m.receiveMany(begin, some)
		for i, r := range some {
			if hasUploads(m.items[begin+i].Patch) {
				r.in, r.err = m.receive(begin + i)
			}
			m.add(begin+i, r.in, r.err)
		}
	}
}

// receipt is what became of an item when it was checked.
type receipt struct {
	in  *intake
	err error
}

// receiveMany checks the items from begin on, several at once, but for those with
// uploads: what reads them is the caller's, whom nobody has told that several goroutines
// might, and what they bring takes memory until their batch is committed, so that they
// are received when it is their turn.
func (m *manyUpserts) receiveMany(begin int, into []receipt) {
	check := func(from int) {
		for i := from; i < min(from+receivedAhead, len(into)); i++ {
			if !hasUploads(m.items[begin+i].Patch) {
				into[i].in, into[i].err = m.receive(begin + i)
			}
		}
	}
	var others sync.WaitGroup
	for from := receivedAhead; from < len(into); from += receivedAhead {
		others.Go(func() { check(from) })
	}
	check(0)
	others.Wait()
}

// hasUploads reports whether a patch brings images that are to be read.
func hasUploads(p Patch) bool {
	images, _ := p.Images.Get()
	return slices.ContainsFunc(images, func(i NewImage) bool { return i.Upload != nil })
}

// receive checks an item and takes in what it brings.
func (m *manyUpserts) receive(i int) (*intake, error) {
	return m.c.receive(m.ctx, m.account, m.items[i].ExternalID, m.items[i].Patch)
}

// add puts an item that was checked into the batch, and begins to commit that when it
// is full.
func (m *manyUpserts) add(i int, in *intake, err error) {
	if err != nil {
		m.results[i].Err = err
		return
	}
	b := m.batch
	if b == nil {
		b = new(upsertBatch)
		m.batch = b
	}
	b.items = append(b.items, i)
	b.intakes = append(b.intakes, in)
	b.bytes += in.size()
	if m.isFull(b) {
		m.begin(b)
		m.batch = nil
	}
}

// begin commits a batch while others are collected.
func (m *manyUpserts) begin(b *upsertBatch) {
	m.await(m.ahead - 1)
	if slices.ContainsFunc(m.committing, func(before *upsertBatch) bool { return m.meet(before, b) }) {
		m.await(0)
	}
	b.ended = make(chan struct{})
	m.committing = append(m.committing, b)
	go func() {
		defer close(b.ended)
		m.commit(b)
	}()
}

// await waits until so many commits at most are on their way.
func (m *manyUpserts) await(most int) {
	for len(m.committing) > most {
		<-m.committing[0].ended
		m.committing = m.committing[1:]
	}
}

// meet reports whether batches are about the same product or blob: then they are
// committed one after the other.
func (m *manyUpserts) meet(a, b *upsertBatch) bool {
	scopes := make(map[backend.Scope]struct{}, len(a.items))
	for _, s := range m.scopesOf(a) {
		scopes[s] = struct{}{}
	}
	return slices.ContainsFunc(m.scopesOf(b), func(s backend.Scope) bool { _, ok := scopes[s]; return ok })
}

func (m *manyUpserts) scopesOf(b *upsertBatch) []backend.Scope {
	scopes := make([]backend.Scope, 0, len(b.items))
	for j, i := range b.items {
		scopes = append(scopes, productScope(m.account, m.items[i].ExternalID))
		scopes = append(scopes, b.intakes[j].scopes()...)
	}
	return scopes
}

// isFull reports whether a batch is committed before another item is looked at.
func (m *manyUpserts) isFull(b *upsertBatch) bool {
	if m.bulk {
		return b.bytes >= m.c.bulk.bytes || len(b.items) == m.c.bulk.most
	}
	return len(b.items) == m.most || b.bytes >= manyBatchBytes
}

// end commits what is left and makes durable what the results rest on.
func (m *manyUpserts) end() {
	if b := m.batch; b != nil {
		m.begin(b)
	}
	m.await(0)
	m.isNew() // what asks has ended
	m.makeDurable()
}

// commit upserts a batch, in bulk if that can be.
func (m *manyUpserts) commit(b *upsertBatch) {
	if m.bulk && m.commitInBulk(b) {
		return
	}
	for _, part := range b.parts(m.most) {
		m.commitOne(part)
	}
}

// parts cuts a batch into those of one Update each, of so many items at most.
func (b *upsertBatch) parts(most int) (parts []*upsertBatch) {
	for begin := 0; begin < len(b.items); {
		part := new(upsertBatch)
		end := begin
		for end < len(b.items) && end-begin < most && part.bytes < manyBatchBytes {
			part.bytes += b.intakes[end].size()
			end++
		}
		part.items, part.intakes = b.items[begin:end], b.intakes[begin:end]
		parts, begin = append(parts, part), end
	}
	return parts
}

// commitOne upserts a batch in one Update. An item that is refused writes nothing
// and leaves the others alone.
func (m *manyUpserts) commitOne(b *upsertBatch) {
	scopes := m.scopesOf(b)
	products := make([]productkey.Key, len(b.items))
	for j, i := range b.items {
		products[j] = productkey.Of(m.account, m.items[i].ExternalID)
	}
	generation, isNew := m.c.generation(), m.isNew() // which may wait, and holds no scope
	err := m.c.update(m.ctx, scopes, backend.UpdateOptions{Buffered: true}, func(t *tx) error {
		if err := t.fetch(products, isNew); err != nil {
			return err
		}
		for j, i := range b.items {
			item := &m.items[i]
			res, err := t.upsert(explicit, m.account, item.ExternalID, b.intakes[j], item.Conditions)
			m.results[i] = UpsertManyResult{res, err}
			if err != nil && !isRefusal(err) {
				return err
			}
		}
		return nil
	})
	for j, i := range b.items {
		if err != nil {
			m.results[i].Err = err
			b.intakes[j].failed(err)
		}
		b.intakes[j].discard(m.ctx, m.c)
	}
	if err == nil {
		m.decided(b, generation, scopes)
	}
}

// decided notes that the items of a batch wait to be durable. The generation is that of
// the backend before they were decided.
func (m *manyUpserts) decided(b *upsertBatch, generation uint64, scopes []backend.Scope) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.committed) == 0 || generation < m.generation {
		m.generation = generation
	}
	m.committed = append(m.committed, b.items...)
	m.scopes = append(m.scopes, scopes...)
}

// makeDurable makes durable what the results rest on.
func (m *manyUpserts) makeDurable() {
	if m.c.opts.Durability == Buffered || len(m.committed) == 0 {
		return
	}
	err := m.c.durableSince(context.WithoutCancel(m.ctx), m.generation, m.scopes)
	if err == nil {
		return
	}
	for _, i := range m.committed {
		m.results[i].Err = errors.Join(backend.ErrUnknownOutcome, err)
	}
}

// isRefusal reports whether err concerns one item, decided before it wrote
// anything.
func isRefusal(err error) bool {
	var bad *ValidationError
	return errors.As(err, &bad) || errors.Is(err, ErrPreconditionFailed) || errors.Is(err, ErrQuotaExceeded) || encoding.IsUnreadable(err)
}
