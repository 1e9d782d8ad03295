package catalog

import (
	"context"
	"errors"
	"sync"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
)

// manyBatch and manyBatchBytes bound what UpsertMany commits in one Update.
const (
	manyBatch      = 64
	manyBatchBytes = 1 << 20
)

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
// reads, buffered uses among them, does not.
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
	m := &manyUpserts{c: c, ctx: ctx, account: account, items: items, results: results, bulk: c.exclusive && len(items) >= c.bulk.items}
	for i := range items {
		m.add(i)
	}
	m.end()
	for i := range results {
		if results[i].Err != nil {
			results[i] = UpsertManyResult{Err: c.wrap("upsert", items[i].ExternalID, results[i].Err)}
		}
	}
	return results
}

// manyUpserts collects items and commits them in batches, without waiting for
// each to be durable. While a batch is committed the next one is collected.
type manyUpserts struct {
	c       *Catalog
	ctx     context.Context
	account string
	items   []UpsertItem
	results []UpsertManyResult
	// bulk says that there are enough of them to be tried in bulk.
	bulk bool

	batch *upsertBatch
	// committing is the commit of the batch before, which alone uses the fields
	// below while it runs.
	committing sync.WaitGroup
	committed  []int  // items that were decided and wait to be durable
	generation uint64 // of the backend, before the first of them
	scopes     []backend.Scope
}

// upsertBatch are the items of one Update.
type upsertBatch struct {
	items   []int
	intakes []*intake
	bytes   int
}

// add checks and receives an item and puts it into the batch.
func (m *manyUpserts) add(i int) {
	item := &m.items[i]
	in, err := m.c.receive(m.ctx, m.account, item.ExternalID, item.Patch)
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
		m.committing.Wait()
		m.committing.Go(func() { m.commit(b) })
		m.batch = nil
	}
}

// isFull reports whether a batch is committed before another item is looked at.
func (m *manyUpserts) isFull(b *upsertBatch) bool {
	if m.bulk {
		return b.bytes >= m.c.bulk.bytes || len(b.items) == m.c.bulk.most
	}
	return len(b.items) == manyBatch || b.bytes >= manyBatchBytes
}

// end commits what is left and makes durable what the results rest on.
func (m *manyUpserts) end() {
	m.committing.Wait()
	if m.batch != nil {
		m.commit(m.batch)
	}
	m.await()
}

// commit upserts a batch, in bulk if that can be.
func (m *manyUpserts) commit(b *upsertBatch) {
	if m.bulk && m.commitInBulk(b) {
		return
	}
	for _, part := range b.parts() {
		m.commitOne(part)
	}
}

// parts cuts a batch into those of one Update each.
func (b *upsertBatch) parts() (parts []*upsertBatch) {
	for begin := 0; begin < len(b.items); {
		part := new(upsertBatch)
		end := begin
		for end < len(b.items) && end-begin < manyBatch && part.bytes < manyBatchBytes {
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
	var scopes []backend.Scope
	for j, i := range b.items {
		scopes = append(scopes, productScope(m.account, m.items[i].ExternalID))
		scopes = append(scopes, b.intakes[j].scopes()...)
	}
	products := make([]productkey.Key, len(b.items))
	for j, i := range b.items {
		products[j] = productkey.Of(m.account, m.items[i].ExternalID)
	}
	if len(m.committed) == 0 {
		m.generation = m.c.generation()
	}
	err := m.c.update(m.ctx, scopes, backend.UpdateOptions{Buffered: true}, func(t *tx) error {
		if err := t.fetch(products); err != nil {
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
		m.committed = append(m.committed, b.items...)
		m.scopes = append(m.scopes, scopes...)
	}
}

// await makes durable what the results rest on.
func (m *manyUpserts) await() {
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
