package catalog

import (
	"context"
	"errors"
	"slices"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/catalog/internal/uses"
	"github.com/shelflife-db/shelflife/encoding"
)

// errMoreScopes ends a run of an Update that met blobs whose scopes it had not
// declared.
var errMoreScopes = errors.New("more scopes are needed")

// errUndecided ends a run of an Update that rests on the expiry of products of
// which that is not decided; see Catalog.decideExpired.
var errUndecided = errors.New("it is not decided what has expired")

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
	own error // what the last run of the callback returned

	scopes []backend.Scope // declared
	// declaredSet is scopes, made when many are asked for.
	declaredSet map[backend.Scope]struct{}
	missing     []backend.Scope // found to be needed
	// undecided are the products that the run found expired, and did not write.
	undecided []productkey.Key

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
	// encoded is what was read of it, until it is written.
	encoded []byte
	// live is stored with a pending use folded in; nil if it has expired.
	live *encoding.Record
	// alone says that this is all that the Update does to the product, and space may
	// then have memory for the record that it gets.
	alone bool
	space *encoding.Record
	// undecided says that it has expired, and that another process may still renew
	// it: only a write of it decides.
	undecided bool
}

// update runs fn in an Update of the backend. fn may run more than once, as
// that of backend.Update. The scopes of blobs that fn makes garbage need not be
// declared: update starts again with those that it met.
func (c *Catalog) update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(*tx) error) error {
	txs := &c.txs
	if o.Bulk {
		txs = &c.bulkTxs
	}
	t, ok := txs.Get().(*tx)
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
		if t.recycle(o.Bulk) {
			txs.Put(t)
		}
	}()
	for {
		ended = false
		observed, call := c.begin(ctx, OpCommit)
		t.own = nil
		err := c.backend.Update(observed, t.scopes, o, func(ctx context.Context, txn backend.Txn) error {
			t.ctx, t.txn, t.now = ctx, txn, c.now.Now()
			t.missing, t.undecided = t.missing[:0], t.undecided[:0]
			t.scratch.begin()
			t.effects.begin(c.generation())
			if c.usage != nil {
				t.turn = c.usage.Turn()
			}
			err := fn(t)
			if err == nil && len(t.missing) > 0 {
				err = errMoreScopes
			} else if len(t.undecided) > 0 {
				err = errUndecided
			}
			t.own = err
			return err
		})
		ended = true
		call.committed(err, t.own)
		t.settle(o, err)
		if errors.Is(err, errUndecided) {
			if err := c.decideExpired(ctx, t.undecided); err != nil {
				return err
			}
			continue
		}
		if !errors.Is(err, errMoreScopes) {
			return err
		}
		t.scopes, t.declaredSet = append(slices.Clone(t.scopes), t.missing...), nil
	}
}

// load reads a product whose scope is declared, and the time.
func (t *tx) load(account, id string) (f *found, err error) {
	// Once for all products of the Update, and the first of its OnVisible functions:
	// readers of what has expired wait until it has run.
	first := len(t.counted) == 0
	if first {
		t.txn.OnVisible(t.uncount)
	}
	// Counted before the clock is read. The other way round an Update could read a
	// time before the deadline, be overtaken by a reader that finds the deadline
	// passed and no Update counted, and then renew what that reader called gone.
	t.counted = append(t.counted, t.c.renewals.Begin(productkey.Of(account, id)))
	before := t.c.now.Now()
	t.now = before
	if first {
		t.firstNow = t.now
	}
	f, stored := t.space()
	*f = found{account: account, id: id}
	f.encoded, err = t.stored(productkey.Of(account, id), stored)
	if t.c.clocked {
		t.now = t.c.now.Now() // not before what was read, in the store's reckoning
	}
	if err != nil || f.encoded == nil {
		return f, err
	}
	f.size = len(f.encoded)
	f.stored = stored
	// The pending use comes on top. A fold would have to hold the scope that this
	// Update holds, so no use moves from the overlay into the record between the two
	// reads; a reader without a scope must look at the overlay first, as look does.
	live := t.c.uses.On(stored)
	if isLive(live, t.now) {
		f.live = live
		return f, nil
	}
	// By the time of before, which is not after the state that was read: in between
	// another process may have kept the product from expiring.
	if f.undecided = t.c.clocked && live.ExpiresAt() > before-uses.LongUpdate; f.undecided {
		t.undecided = append(t.undecided, productkey.Of(account, id))
	}
	return f, nil
}

// decided is called when a write of a product is part of the Update.
func (t *tx) decided(f *found) {
	if f.undecided {
		k := productkey.Of(f.account, f.id)
		t.undecided = slices.DeleteFunc(t.undecided, func(u productkey.Key) bool { return u == k })
	}
}

// cached returns what the cache has of a product. It may stand in for the store:
// an Update that changes a product holds its scope and takes it out of the cache first.
func (t *tx) cached(k productkey.Key) ([]byte, bool) {
	if t.c.cache == nil || t.marking(k) != nil {
		return nil, false
	}
	return t.c.cache.Get(k)
}

// view returns the view of a product that lives.
func (f *found) view() ProductView {
	return ProductView{encoding.ViewChecked(f.encoded), f.live.LastUsedAt, f.live.Anchor}
}

// stored reads a record and returns its encoding, nil if there is none.
func (t *tx) stored(k productkey.Key, r *encoding.Record) (data []byte, err error) {
	data, ok := t.fetched[k]
	if ok {
		delete(t.fetched, k)
		if data == nil {
			return nil, nil
		}
		return data, encoding.DecodeRecordAliasing(data, r)
	}
	if data, ok = t.cached(k); ok { // which holds what was verified
		images, err := encoding.BeginRecord(data, r)
		if err == nil {
			err = images.Rest(r)
		}
		return data, err
	}
	t.key = encoding.AppendProductKey(t.key[:0], k.Account, k.ID)
	_, err = t.txn.Get(t.ctx, t.key, func(value []byte) error {
		data = append([]byte{}, value...) // not nil, which is absent
		return encoding.DecodeRecordAliasing(data, r)
	})
	return data, err
}

// manyScopes is the number of scopes, or of marks, from which a map finds one
// faster.
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
