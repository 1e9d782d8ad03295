package catalog

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
)

// errMoreScopes ends a run of an Update that met blobs whose scopes it had not
// declared.
var errMoreScopes = errors.New("more scopes are needed")

// errNotEnded stands for the result of an Update that has none.
var errNotEnded = errors.New("the Update did not return")

// tx is an Update on products. Every change of a product goes through its
// write method, and nothing else changes one. It is three things: the transaction
// itself, the memory that it works in, and what has to happen outside of the
// store when it has ended.
type tx struct {
	c   *Catalog
	ctx context.Context // that of the callback
	txn backend.Txn
	now int64

	scopes []backend.Scope // declared
	// declaredSet is scopes, made when many are asked for.
	declaredSet map[backend.Scope]struct{}
	missing     []backend.Scope // found to be needed

	scratch
	effects
}

// found is a product as an Update found it.
type found struct {
	account, id string
	// stored is the record as the store has it, nil if there is none, and size
	// the length of its encoding.
	stored *encoding.Record
	size   int
	// live is stored with a pending use folded in; nil if it has expired.
	live *encoding.Record
}

// update runs fn in an Update of the backend. fn may run more than once, as
// that of backend.Update. The scopes of blobs that fn lets go of need not be
// declared: update starts again with those that it met.
func (c *Catalog) update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(*tx) error) error {
	t, ok := c.txs.Get().(*tx)
	if !ok {
		t = &tx{c: c}
	}
	t.scopes = scopes
	ended := false
	defer func() {
		if !ended { // fn has panicked, or ended its goroutine
			t.settle(o, errNotEnded)
			return
		}
		t.recycle()
	}()
	for {
		ended = false
		err := c.backend.Update(ctx, t.scopes, o, func(ctx context.Context, txn backend.Txn) error {
			t.ctx, t.txn, t.now = ctx, txn, c.now.Now()
			t.missing = t.missing[:0]
			t.scratch.begin()
			t.effects.begin()
			err := fn(t)
			if err == nil && len(t.missing) > 0 {
				err = errMoreScopes
			}
			return err
		})
		ended = true
		t.settle(o, err)
		if !errors.Is(err, errMoreScopes) {
			return err
		}
		t.scopes, t.declaredSet = append(slices.Clone(t.scopes), t.missing...), nil
	}
}

// load reads a product whose scope is declared, and the time.
func (t *tx) load(account, id string) (f *found, err error) {
	first := len(t.counted) == 0
	if first {
		t.txn.OnVisible(t.uncount)
	}
	t.counted = append(t.counted, t.c.renewals.Begin(productkey.Of(account, id)))
	t.now = t.c.now.Now()
	if first {
		t.begun = t.now
	}
	f, stored := t.space()
	*f = found{account: account, id: id}
	if f.size, err = t.stored(productkey.Of(account, id), stored); err != nil || f.size == 0 {
		return f, err
	}
	f.stored = stored
	if live := t.c.uses.On(stored); isLive(live, t.now) {
		f.live = live
	}
	return f, nil
}

// cached returns what the cache has of a product. It may stand in for the store:
// whoever changes a product holds its scope and takes it out of the cache first.
func (t *tx) cached(k productkey.Key) ([]byte, bool) {
	if t.c.cache == nil || t.marking(k) != nil {
		return nil, false
	}
	return t.c.cache.Get(k)
}

// stored reads a record and returns the length of its encoding, 0 if there is
// none.
func (t *tx) stored(k productkey.Key, r *encoding.Record) (size int, err error) {
	data, ok := t.fetched[k]
	if ok {
		delete(t.fetched, k)
		if data == nil {
			return 0, nil
		}
	} else {
		data, ok = t.cached(k)
	}
	if ok {
		return len(data), encoding.DecodeRecordAliasing(data, r)
	}
	t.key = encoding.AppendProductKey(t.key[:0], k.Account, k.ID)
	_, err = t.txn.Get(t.ctx, t.key, func(value []byte) error {
		size = len(value)
		return encoding.DecodeRecordAliasing(bytes.Clone(value), r)
	})
	return size, err
}

// manyScopes is the number of scopes from which a map finds one faster.
const manyScopes = 64

// declared reports whether the Update may touch what s names.
func (t *tx) declared(s backend.Scope) bool {
	group := backend.Scope{Group: s.Group}
	if len(t.scopes) < manyScopes {
		return slices.Contains(t.scopes, s) || slices.Contains(t.scopes, group)
	}
	if t.declaredSet == nil {
		t.declaredSet = make(map[backend.Scope]struct{}, len(t.scopes))
		for _, c := range t.scopes {
			t.declaredSet[c] = struct{}{}
		}
	}
	_, item := t.declaredSet[s]
	_, whole := t.declaredSet[group]
	return item || whole
}

func productScope(account, id string) backend.Scope {
	group, item := encoding.ProductScope(account, id)
	return backend.Scope{Group: group, Item: item}
}

func blobScope(account string, id encoding.BlobID) backend.Scope {
	group, item := encoding.BlobScope(account, id)
	return backend.Scope{Group: group, Item: item}
}
