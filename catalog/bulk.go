package catalog

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/verbatim"
	"github.com/shelflife-db/shelflife/encoding"
)

// bulkSizes say what is written in bulk: chunks of at least so many bytes, each one
// Update with UpdateOptions.Bulk, which holds the scope of the whole account for as
// long as it takes. Smaller chunks cost more, since the expiry entries of each lie
// between those of the others; larger ones have other writers of the account wait
// longer.
type bulkSizes struct {
	items int // from how many on it is tried
	least int // bytes of a chunk
	bytes int // about as many are a full one
	most  int // products of a chunk
}

var defaultBulk = bulkSizes{items: 1024, least: 1 << 20, bytes: verbatim.BulkBytes, most: verbatim.BulkMost}

// errNotNew ends an Update in bulk that met what is there already.
var errNotNew = errors.New("not all of the products are new")

// newOnes are products of one account that are written in bulk, in ascending order of
// their IDs, none twice.
type newOnes struct {
	account     string
	first, last string
}

// keys returns the range of the keys from the first of the products to the last.
func (n newOnes) keys() backend.Range {
	return backend.Range{
		Start: encoding.AppendProductKey(nil, n.account, n.first),
		End:   encoding.AppendSuccessor(nil, encoding.AppendProductKey(nil, n.account, n.last)),
	}
}

// areNew reports whether no product of the store stands between the first and the
// last of any, not even one that has expired. Such ranges are what costs least to
// write in bulk, and one look at each shows that all products are new.
func areNew(ctx context.Context, r backend.Reader, all []newOnes) (bool, error) {
	for _, n := range all {
		for _, err := range r.Scan(ctx, n.keys(), backend.ScanOptions{KeysOnly: true, Limit: 1}) {
			return false, err
		}
	}
	return true, nil
}

// inBulk runs fn in an Update in bulk, given that all products are new. Otherwise it
// returns errNotNew, and nothing has happened.
func (c *Catalog) inBulk(ctx context.Context, all []newOnes, o backend.UpdateOptions, fn func(*tx) error) error {
	// Most of what is not new is seen here, where nobody waits for it.
	if areNew, err := areNew(ctx, c.backend, all); err != nil || !areNew {
		return cmp.Or(err, errNotNew)
	}
	scopes := make([]backend.Scope, len(all))
	for i, n := range all {
		scopes[i].Group = encoding.AccountScope(n.account)
	}
	o.Bulk = true
	return c.update(ctx, scopes, o, func(t *tx) error {
		if areNew, err := areNew(t.ctx, t.txn, all); err != nil || !areNew {
			return cmp.Or(err, errNotNew)
		}
		return fn(t)
	})
}

// newProductAt is load of a product that is known not to be there, and that the Update
// writes once. It counts no renewal: there is none of what was never there.
func (t *tx) newProductAt(account, id string) *found {
	t.first.record.Images = t.first.images[:0]
	t.first.found = found{account: account, id: id, alone: true, space: &t.first.record}
	return &t.first.found
}

// createNew is upsert of a product that is known not to be there.
func (t *tx) createNew(kind upsertKind, account, id string, in *intake, conds []Condition) (Result, error) {
	if !conditionsHold(conds, nil) {
		return Result{}, preconditionFailed(nil)
	}
	return t.create(kind, t.newProductAt(account, id), in)
}

// commitInBulk creates the items of a batch in one Update in bulk, and reports whether
// it has dealt with them.
func (m *manyUpserts) commitInBulk(b *upsertBatch) bool {
	if b.bytes < m.c.bulk.least || slices.ContainsFunc(b.intakes, func(in *intake) bool { return len(in.blobs) > 0 }) {
		return false
	}
	order := b.ascending(m.items)
	if order == nil {
		return false
	}
	id := func(n int) string { return m.items[b.items[order[n]]].ExternalID }
	generation := m.c.generation()
	all := []newOnes{{m.account, id(0), id(len(order) - 1)}}
	err := m.c.inBulk(m.ctx, all, backend.UpdateOptions{Buffered: true}, func(t *tx) error {
		for _, j := range order {
			i := b.items[j]
			res, err := t.createNew(explicit, m.account, m.items[i].ExternalID, b.intakes[j], m.items[i].Conditions)
			m.results[i] = UpsertManyResult{res, err}
			if err != nil && !isRefusal(err) {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errNotNew) {
		return false
	}
	if err != nil {
		for _, i := range b.items {
			m.results[i].Err = err
		}
		return true
	}
	m.decided(b, generation, []backend.Scope{{Group: encoding.AccountScope(m.account)}})
	return true
}

// ascending returns the places of the items in ascending order of their IDs, nil where
// one comes twice.
func (b *upsertBatch) ascending(items []UpsertItem) []int {
	order := make([]int, len(b.items))
	for j := range order {
		order[j] = j
	}
	byID := func(x, y int) int { return cmp.Compare(items[b.items[x]].ExternalID, items[b.items[y]].ExternalID) }
	if !slices.IsSortedFunc(order, byID) {
		slices.SortFunc(order, byID)
	}
	for n := range order[1:] {
		if byID(order[n], order[n+1]) == 0 {
			return nil
		}
	}
	return order
}
