package catalog

import (
	"context"
	"errors"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/deadspans"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/catalog/internal/uses"
)

// effects are what a tx does outside of the store: to the record cache, to the
// lifetimes that the overlay knows, to the dead spans, to the renewals and to
// Options.OnExpire. Each has a beginning inside the Update, and an
// end when it is visible or has ended, whichever way: a mark that stayed would
// keep its product out of the cache for good, a count that stayed would have
// every reader of what has expired wait for an Update.
type effects struct {
	marked []marked // in the record cache and the overlay: what was written
	// markedAt are the places in marked of products, made when they are many.
	markedAt map[productkey.Key]int
	written  []*deadspans.Mark // of what has a record behind it
	counted  []uses.Renewal
	firstNow int64     // the first time that was read for those that are counted
	expired  []Expired // products whose expiry this commits
	grown    []growth  // what accounts have more or less when it has committed
	turn     uint64    // of the usage, before the run read anything
	// indexed is what the index follows when the Update is visible, in its order, and
	// indexKeys are the keys of that.
	indexed   []indexChange
	indexKeys []byte
	// spare are marks for written that no Update has used yet.
	spare []deadspans.Mark
	// generation is the backend's, inside the callback.
	generation uint64
	visible    bool // it has committed, where there are some
}

// marked is a product that an Update has marked in the record cache and the
// overlay.
type marked struct {
	key    productkey.Key
	wanted bool // see recordcache.Cache.Mark
}

// indexChange is an entry of the expiry space that an Update writes or removes, whose
// key is a part of indexKeys.
type indexChange struct {
	deadline   int64
	begin, end int
	remove     bool
}

// begin is called when a run of the Update begins. Marks and counts of an earlier
// run stay: the backend may run it again without an end in between.
func (e *effects) begin(generation uint64) {
	e.expired, e.visible, e.generation = nil, false, generation
	e.grown = e.grown[:0]
	e.indexed, e.indexKeys = e.indexed[:0], e.indexKeys[:0]
}

// indexVisible has the index follow: the Update is visible.
func (t *tx) indexVisible() {
	for _, x := range t.indexed {
		if !x.remove && !t.c.index.Takes(x.deadline) {
			continue // most are not near enough, and need no key in memory of its own
		}
		if e := indexEntry(x.deadline, t.indexKeys[x.begin:x.end]); x.remove {
			t.c.index.Remove(e)
		} else {
			t.c.addToIndex(e)
		}
	}
}

// settle ends the effects of an Update that ended with err.
func (t *tx) settle(o backend.UpdateOptions, err error) {
	t.uncount()
	for _, m := range t.marked {
		if t.c.cache != nil {
			t.c.cache.Unmark(m.key)
		}
		if t.c.buffersUses() {
			t.c.uses.Unmark(m.key)
		}
	}
	t.marked, t.markedAt = t.marked[:0], nil
	for _, m := range t.written {
		t.c.dead.Unmark(m)
	}
	t.written = t.written[:0]
	if len(t.expired) > 0 {
		t.reportExpired(o, err)
	}
	if err == nil {
		for _, g := range t.grown {
			t.c.usage.Add(g.account, g.Amount, t.turn)
		}
	}
}

// reportExpired hands what an Update with the result err expired to
// Options.OnExpire.
func (t *tx) reportExpired(o backend.UpdateOptions, err error) {
	switch {
	case err == nil && !o.Buffered:
		t.c.hooks.Add(t.expired, nil)
	case err == nil, t.visible && errors.Is(err, backend.ErrUnknownOutcome):
		c, generation, scopes := t.c, t.generation, t.scopes
		c.hooks.Add(t.expired, func(ctx context.Context) error {
			return c.durablePatiently(ctx, generation, scopes)
		})
	}
}

// uncount says that the Update can renew nothing any more: it is visible, or has
// failed.
func (t *tx) uncount() {
	if len(t.counted) == 0 {
		return
	}
	now := t.c.now.Now()
	for _, r := range t.counted {
		r.End(t.firstNow, now)
	}
	t.counted = t.counted[:0]
}

// mark marks k in the record cache and the overlay, once per Update, and reports
// whether its new record should be put into the cache.
func (t *tx) mark(k productkey.Key) (wanted bool) {
	if m := t.marking(k); m != nil {
		return m.wanted
	}
	return t.markAnew(k)
}

// markAnew is mark of a product that is not marked yet. One that is will be unmarked
// as often as it was marked.
func (t *tx) markAnew(k productkey.Key) (wanted bool) {
	if t.c.cache != nil {
		wanted = t.c.cache.Mark(k)
	}
	t.noteMark(k, wanted)
	return wanted
}

// markGone is markAnew of a product that is removed.
func (t *tx) markGone(k productkey.Key) {
	if t.c.cache != nil {
		t.c.cache.MarkGone(k)
	}
	t.noteMark(k, false)
}

// noteMark marks k in the overlay too, and has settle take both marks back.
func (t *tx) noteMark(k productkey.Key, wanted bool) {
	if t.c.cache == nil && !t.c.buffersUses() {
		return // nothing is kept of records
	}
	if t.c.buffersUses() {
		t.c.uses.Mark(k)
	}
	if t.markedAt != nil {
		t.markedAt[k] = len(t.marked)
	}
	t.marked = append(t.marked, marked{k, wanted})
}

// markWritten takes a product out of the dead spans, before it has a record that
// may live.
func (t *tx) markWritten(account, id string) {
	if t.c.dead == nil {
		return
	}
	t.c.dead.Mark(t.nextMark(), account, id)
	t.c.deadListed.Mark(t.nextMark(), account, id)
}

// nextMark returns a mark that settle will take back.
func (t *tx) nextMark() *deadspans.Mark {
	n := len(t.written)
	if n == cap(t.written) || t.written[:n+1][n] == nil {
		if len(t.spare) == 0 {
			t.spare = make([]deadspans.Mark, max(1, min(n, 256)))
		}
		t.written = append(t.written, &t.spare[0])
		t.spare = t.spare[1:]
	} else {
		t.written = t.written[:n+1] // one that an earlier Update has used
	}
	return t.written[n]
}

// marking returns the mark of k, nil if there is none.
func (t *tx) marking(k productkey.Key) *marked {
	if len(t.marked) < manyScopes {
		for i := range t.marked {
			if t.marked[i].key == k {
				return &t.marked[i]
			}
		}
		return nil
	}
	if t.markedAt == nil {
		t.markedAt = make(map[productkey.Key]int, 2*len(t.marked))
		for i := range t.marked {
			t.markedAt[t.marked[i].key] = i
		}
	}
	if i, ok := t.markedAt[k]; ok {
		return &t.marked[i]
	}
	return nil
}

// expire notes, for Options.OnExpire, that the Update has replaced or removed f
// if f had expired.
func (t *tx) expire(f *found) {
	if f.stored != nil && f.live == nil && t.c.opts.OnExpire != nil {
		if len(t.expired) == 0 {
			t.txn.OnVisible(func() { t.visible = true })
		}
		t.expired = append(t.expired, Expired{f.account, newProduct(t.c.uses.On(f.stored))})
	}
}
