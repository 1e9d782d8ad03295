package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/backend"
)

// ErrMisuse is returned by a [Checked] backend for a call that breaks the
// contract in another way than [backend.ErrScope] says: the caller changed bytes of
// the engine, wrote through a Txn that it was scanning, used a Txn after its
// callback, from two goroutines or from inside a Get's fn, read the Backend
// beside the Txn in a callback, or passed on a context that is not the
// callback's own.
var ErrMisuse = errors.New("backendtest: contract broken by the caller")

// Checked returns a Backend for tests that watches its caller break the
// contract of b in ways that some engines forgive and others do not.
//
// Inside an Update every key that is read, written, yielded by a Scan or
// removed by a DeleteRange must be covered by a declared scope, and by a
// whole-group scope for DeleteRange. scopeOf returns the scope that a key
// belongs to, with an empty Item where that is the group as a whole; it must
// not keep or change key, and may be called concurrently. A key for which ok
// is false is covered by nothing. The violating call does not reach b, fails
// with an error that matches [backend.ErrScope] and names the key in hexadecimal;
// other misuse gives [ErrMisuse].
//
// What b hands out is handed on as copies, which are overwritten as soon as
// they are no longer valid, so that a caller that keeps them reads garbage;
// what the caller hands in reaches b as copies, which are overwritten when the
// call returns, so that an engine that keeps them stores garbage.
//
// report, if it is not nil, is called with every violation as well, because
// the caller may drop the error; it may be called concurrently.
func Checked(b backend.Backend, scopeOf func(key []byte) (s backend.Scope, ok bool), report func(error)) backend.Backend {
	c := &checked{Backend: b, scopeOf: scopeOf, report: report}
	c.reader = checkedReader{c: c, r: b}
	return c
}

type checked struct {
	backend.Backend
	scopeOf func(key []byte) (backend.Scope, bool)
	report  func(error)
	reader  checkedReader
}

var _ backend.Backend = (*checked)(nil)

// Unwrap returns what c watches over.
func (c *checked) Unwrap() backend.Backend { return c.Backend }

func (c *checked) Get(ctx context.Context, key []byte, fn func(value []byte) error) (bool, error) {
	return c.reader.Get(ctx, key, fn)
}

func (c *checked) GetMany(ctx context.Context, keys [][]byte, fn func(i int, value []byte) error) error {
	return c.reader.GetMany(ctx, keys, fn)
}

func (c *checked) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return c.reader.Scan(ctx, r, o)
}

func (c *checked) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	declared := slices.Clone(scopes)
	return c.Backend.Update(ctx, scopes, o, func(ctx context.Context, txn backend.Txn) error {
		t := &checkedTxn{txn: txn, scopes: declared}
		t.checkedReader = checkedReader{c: c, r: txn, t: t}
		defer t.ended.Store(true)
		return fn(backend.MarkUpdate(backend.MarkUpdate(ctx, c), t), t)
	})
}

func (c *checked) Durable(ctx context.Context, scopes []backend.Scope) error {
	if err := c.outside(ctx, "Durable"); err != nil {
		return err
	}
	return c.Backend.Durable(ctx, scopes)
}

func (c *checked) Snapshot(ctx context.Context) (backend.Snapshot, error) {
	if err := c.outside(ctx, "Snapshot"); err != nil {
		return nil, err
	}
	s, err := c.Backend.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return &checkedSnapshot{checkedReader: checkedReader{c: c, r: s}, s: s}, nil
}

func (c *checked) Size(ctx context.Context, r backend.Range) (int64, error) {
	if err := c.outside(ctx, "Size"); err != nil {
		return 0, err
	}
	start, end := bytes.Clone(r.Start), bytes.Clone(r.End)
	defer overwrite(start, end)
	return c.Backend.Size(ctx, backend.Range{Start: start, End: end})
}

// outside complains when ctx is that of an Update's callback.
func (c *checked) outside(ctx context.Context, op string) error {
	if backend.InUpdate(ctx, c) {
		return c.violation(fmt.Errorf("%w: %s beside the backend.Txn inside an Update", ErrMisuse, op))
	}
	return nil
}

func (c *checked) violation(err error) error {
	if c.report != nil {
		c.report(err)
	}
	return err
}

type checkedSnapshot struct {
	checkedReader
	s backend.Snapshot
}

func (s *checkedSnapshot) Close() error { return s.s.Close() }

// checkedReader reads the Backend, a Snapshot, or the Txn of t.
type checkedReader struct {
	c *checked
	r backend.Reader
	t *checkedTxn // nil outside an Update
}

func (r *checkedReader) Get(ctx context.Context, key []byte, fn func(value []byte) error) (bool, error) {
	leave, err := r.enter(ctx, "Get")
	if err != nil {
		return false, err
	}
	defer leave()
	if err := r.covered("Get", key, false); err != nil {
		return false, err
	}
	k := bytes.Clone(key)
	defer overwrite(k)
	return r.r.Get(ctx, k, func(value []byte) error {
		return r.lend("Get", key, value, fn)
	})
}

func (r *checkedReader) GetMany(ctx context.Context, keys [][]byte, fn func(i int, value []byte) error) error {
	leave, err := r.enter(ctx, "GetMany")
	if err != nil {
		return err
	}
	defer leave()
	ks := make([][]byte, len(keys))
	for i, key := range keys {
		if err := r.covered("GetMany", key, false); err != nil {
			return err
		}
		ks[i] = bytes.Clone(key)
	}
	defer overwrite(ks...)
	return r.r.GetMany(ctx, ks, func(i int, value []byte) error {
		return r.lend("GetMany", keys[i], value, func(value []byte) error { return fn(i, value) })
	})
}

func (r *checkedReader) Scan(ctx context.Context, rng backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		leave, err := r.enter(ctx, "Scan")
		if err != nil {
			yield(backend.Entry{}, err)
			return
		}
		// The loop may call the Txn, but not write.
		leave()
		if r.t != nil {
			r.t.scans.Add(1)
			defer r.t.scans.Add(-1)
		}
		start, end := bytes.Clone(rng.Start), bytes.Clone(rng.End)
		for e, err := range r.r.Scan(ctx, backend.Range{Start: start, End: end}, o) {
			overwrite(start, end)
			if isPassed(err, o) {
				if !yield(backend.Entry{}, err) {
					return
				}
				continue
			}
			if err == nil {
				err = r.covered("Scan", e.Key, false)
			}
			if err != nil {
				yield(backend.Entry{}, err)
				return
			}
			if more, err := r.step(e, yield); !more {
				return
			} else if err != nil {
				yield(backend.Entry{}, err)
				return
			}
		}
	}
}

// isPassed reports whether a Scan with the options goes on behind err.
func isPassed(err error, o backend.ScanOptions) bool {
	var damage *backend.DamageError
	return o.PastDamage && !o.Reverse && errors.As(err, &damage)
}

// step yields a copy of e and reports whether the loop goes on.
func (r *checkedReader) step(e backend.Entry, yield func(backend.Entry, error) bool) (more bool, err error) {
	lent := backend.Entry{Key: bytes.Clone(e.Key), Value: bytes.Clone(e.Value)}
	// A loop that ends its goroutine leaves by a panic of its own.
	defer overwrite(lent.Key, lent.Value)
	more = yield(lent, nil)
	if !bytes.Equal(lent.Key, e.Key) || !bytes.Equal(lent.Value, e.Value) {
		err = r.c.violation(fmt.Errorf("%w: the bytes of the entry %x were changed in a Scan", ErrMisuse, e.Key))
	}
	return more, err
}

// lend calls fn with a copy of value for as long as the call lasts.
func (r *checkedReader) lend(op string, key, value []byte, fn func([]byte) error) error {
	lent := bytes.Clone(value)
	defer overwrite(lent)
	err := fn(lent)
	if !bytes.Equal(lent, value) {
		misuse := r.c.violation(fmt.Errorf("%w: the value of %x was changed in a %s", ErrMisuse, key, op))
		if err == nil {
			err = misuse
		}
	}
	return err
}

// enter checks the circumstances of a call with ctx. Without an error leave
// must be called at its end.
func (r *checkedReader) enter(ctx context.Context, op string) (leave func(), err error) {
	if r.t == nil {
		return func() {}, r.c.outside(ctx, op)
	}
	if !backend.InUpdate(ctx, r.t) {
		return nil, r.c.violation(fmt.Errorf("%w: %s through a backend.Txn with a context that is not its callback's", ErrMisuse, op))
	}
	return r.t.enter(op)
}

// covered checks that key is under a declared scope, if this is an Update.
func (r *checkedReader) covered(op string, key []byte, whole bool) error {
	if r.t == nil {
		return nil
	}
	scope, ok := r.c.scopeOf(key)
	if !ok {
		return r.c.violation(fmt.Errorf("%w: %s of key %x, which belongs to no scope", backend.ErrScope, op, key))
	}
	for _, d := range r.t.scopes {
		if d.Group == scope.Group && (d.Item == "" || !whole && d.Item == scope.Item) {
			return nil
		}
	}
	return r.c.violation(fmt.Errorf("%w: %s of key %x of %+q", backend.ErrScope, op, key, scope))
}

// checkedTxn belongs to one run of a callback.
type checkedTxn struct {
	checkedReader
	txn    backend.Txn
	scopes []backend.Scope
	ended  atomic.Bool
	busy   atomic.Bool  // a call is running, other than a Scan
	scans  atomic.Int32 // running
}

var _ backend.Txn = (*checkedTxn)(nil)

func (t *checkedTxn) Put(key, value []byte) error {
	leave, err := t.enterWrite("Put")
	if err != nil {
		return err
	}
	defer leave()
	if err := t.covered("Put", key, false); err != nil {
		return err
	}
	k, v := bytes.Clone(key), bytes.Clone(value)
	defer overwrite(k, v)
	return t.txn.Put(k, v)
}

func (t *checkedTxn) Delete(key []byte, valueSize int) error {
	leave, err := t.enterWrite("Delete")
	if err != nil {
		return err
	}
	defer leave()
	if err := t.covered("Delete", key, false); err != nil {
		return err
	}
	k := bytes.Clone(key)
	defer overwrite(k)
	return t.txn.Delete(k, valueSize)
}

// DeleteRange leaves it to the engine to refuse it without any whole-group
// scope.
func (t *checkedTxn) DeleteRange(r backend.Range) error {
	leave, err := t.enterWrite("DeleteRange")
	if err != nil {
		return err
	}
	defer leave()
	if r.Start == nil || r.End == nil {
		return t.c.violation(fmt.Errorf("%w: DeleteRange without both bounds", ErrMisuse))
	}
	start, end := bytes.Clone(r.Start), bytes.Clone(r.End)
	defer overwrite(start, end)
	if slices.ContainsFunc(t.scopes, func(s backend.Scope) bool { return s.Item == "" }) {
		for e, err := range t.txn.Scan(context.Background(), r, backend.ScanOptions{KeysOnly: true}) {
			if err == nil {
				err = t.covered("DeleteRange", e.Key, true)
			}
			if err != nil {
				return err
			}
		}
	}
	return t.txn.DeleteRange(backend.Range{Start: start, End: end})
}

func (t *checkedTxn) OnVisible(fn func()) {
	leave, err := t.enter("OnVisible")
	if err != nil {
		return // reported
	}
	defer leave()
	t.txn.OnVisible(fn)
}

func (t *checkedTxn) enter(op string) (leave func(), err error) {
	if t.ended.Load() {
		return nil, t.c.violation(fmt.Errorf("%w: %s through a backend.Txn whose callback has returned", ErrMisuse, op))
	}
	if !t.busy.CompareAndSwap(false, true) {
		return nil, t.c.violation(fmt.Errorf("%w: %s through a backend.Txn during another call on it", ErrMisuse, op))
	}
	return func() { t.busy.Store(false) }, nil
}

func (t *checkedTxn) enterWrite(op string) (leave func(), err error) {
	leave, err = t.enter(op)
	if err == nil && t.scans.Load() > 0 {
		leave()
		return nil, t.c.violation(fmt.Errorf("%w: %s through a backend.Txn that is being scanned", ErrMisuse, op))
	}
	return leave, err
}

// overwrite makes bytes that are no longer valid recognizably wrong.
func overwrite(bs ...[]byte) {
	for _, b := range bs {
		for i := range b {
			b[i] = 0xDB
		}
	}
}
